"""A response whose acknowledgement was lost is loaded again: it answers the same, and counts
once."""

from functools import partial

import pytest

from messenger_pipeline.db import load, sessions
from messenger_pipeline.db.pool import Database
from messenger_pipeline.errors import LeaseLost, SessionMoved
from messenger_pipeline.rows import ConversationRow
from tests.convergence.asking import (
    PAGE,
    asked,
    at,
    conversation,
    message,
    open_session,
    respond,
    thread_row,
)
from tests.convergence.together import at_once

THREADS = [thread_row("t1", "20", at(1)), thread_row("t2", "30", at(1))]


def told(number: int) -> list[ConversationRow]:
    return [
        conversation(sender, number, message(f"mid.{sender}.{number}", number, text="a"))
        for sender in ("20", "30")
    ]


def rows(database: Database) -> list[object]:
    return [
        asked(database, f"select xmin::text, * from {table} order by 2, 3")
        for table in (
            "sync_state",
            "messenger_conversations",
            "contact_interaction_events",
            "messenger_threads",
            "thread_gaps",
            "quarantined_records",
        )
    ]


def test_a_load_that_is_repeated_answers_the_same_and_changes_no_row(database: Database) -> None:
    session = open_session(database)
    respond(database, session, 0, "zero", told(1), THREADS)
    first = respond(database, session, 1, "one", told(2), THREADS)
    assert first == load.Loaded(inserted=0, updated=2, unchanged=0, events_created=2)
    before = rows(database)
    for _ in range(3):
        assert respond(database, session, 1, "one", told(2), THREADS) == first
    assert rows(database) == before


def test_a_load_that_is_repeated_with_other_rows_does_not_load_them(database: Database) -> None:
    session = open_session(database)
    first = respond(database, session, 0, "zero", told(1), THREADS)
    before = rows(database)
    assert respond(database, session, 0, "zero", told(2), THREADS) == first
    assert rows(database) == before


@pytest.mark.parametrize(("step", "load_id"), [(1, "other"), (0, "zero"), (0, "one"), (3, "one")])
def test_another_load_at_a_step_that_is_past_or_to_come_finds_the_session_moved(
    database: Database, step: int, load_id: str
) -> None:
    session = open_session(database)
    respond(database, session, 0, "zero", told(1), THREADS)
    respond(database, session, 1, "one", told(2), THREADS)
    before = rows(database)
    with pytest.raises(SessionMoved):
        respond(database, session, step, load_id, told(3), THREADS)
    assert rows(database) == before


def test_a_load_without_an_id_is_never_taken_for_a_repeated_one(database: Database) -> None:
    session = open_session(database)
    response = load.encoded_response({"conversations": told(1), "threads": [], "gaps_opened": []})
    load.load_response(database, *session, 0, response)
    with pytest.raises(SessionMoved):
        load.load_response(database, *session, 0, response)


def test_a_load_that_is_made_twice_at_once_answers_both_the_same(database: Database) -> None:
    session = open_session(database)
    for step in range(20):
        one = partial(respond, database, session, step, str(step), told(step), THREADS)
        first, second = at_once([lambda one=one: [one()]] * 2)  # type: ignore[misc]
        assert first == second
    state = sessions.get_session(database, session[0])
    assert (state.step, state.total_synced, state.inserted, state.updated, state.api_calls) == (
        (20, 40, 2, 38, 20)
    )
    assert state.events_created == 40


def test_two_loads_of_one_step_at_once_are_one_loaded_and_one_moved(database: Database) -> None:
    session = open_session(database)
    for step in range(20):

        def one(load_id: str, step: int = step) -> list[object]:
            try:
                return [respond(database, session, step, load_id, told(step), THREADS)]
            except SessionMoved:
                return []

        answers = at_once([partial(one, f"{step} a"), partial(one, f"{step} b")])
        assert sorted(map(len, answers)) == [0, 1]
    assert sessions.get_session(database, session[0]).api_calls == 20


def test_a_load_behind_a_lost_lease_is_refused_also_one_that_is_repeated(
    database: Database,
) -> None:
    session = open_session(database)
    respond(database, session, 0, "zero", told(1), THREADS)
    asked(database, "update sync_locks set expires_at = '-infinity' returning 1")
    assert database.value("take_lease", page_id=PAGE, locked_by="other", seconds=60) is not None
    before = rows(database)
    for step, load_id, seconds in ((0, "zero", 1), (1, "one", 2)):
        with pytest.raises(LeaseLost):
            respond(database, session, step, load_id, told(seconds), THREADS)
    assert rows(database) == before
