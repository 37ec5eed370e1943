"""A load whose result was lost is repeated: it returns the same result and counts once."""

from functools import partial

import pytest

from messenger_pipeline.db import load, sessions
from messenger_pipeline.db.pool import Database
from messenger_pipeline.errors import DatabaseError, LeaseLost, SessionMoved
from messenger_pipeline.rows import ConversationRow
from tests.conftest import give_locks_up
from tests.convergence.concurrency import run_concurrently
from tests.convergence.sql_calls import (
    PAGE,
    at,
    conversation,
    load_response,
    message,
    open_session,
    query,
    thread_row,
    upsert_within,
)

THREADS = [thread_row("t1", "20", at(1)), thread_row("t2", "30", at(1))]


def conversations(number: int) -> list[ConversationRow]:
    return [
        conversation(sender, number, message(f"mid.{sender}.{number}", number, text="a"))
        for sender in ("20", "30")
    ]


def rows(database: Database) -> list[object]:
    return [
        query(database, f"select xmin::text, * from {table} order by 2, 3")
        for table in (
            "sync_state",
            "messenger_conversations",
            "contact_interaction_events",
            "messenger_threads",
            "thread_gaps",
            "quarantined_records",
        )
    ]


def test_a_repeated_load_returns_the_same_result_and_changes_no_row(database: Database) -> None:
    session = open_session(database)
    load_response(database, session, 0, "zero", conversations(1), THREADS)
    first = load_response(database, session, 1, "one", conversations(2), THREADS)
    assert first == load.Loaded(inserted=0, updated=2, unchanged=0, events_created=2)
    before = rows(database)
    for _ in range(3):
        assert load_response(database, session, 1, "one", conversations(2), THREADS) == first
    assert rows(database) == before


def test_a_message_stated_a_thousand_times_in_one_call_takes_three_turns(
    database: Database,
) -> None:
    """As a webhook states it that has an item, with a time of its own, for each attachment."""

    def picture(number: int) -> dict[str, object]:
        url = f"https://scontent.xx.fbcdn.net/v/{number}.jpg?oh=1"
        return {"type": "image", "payload": {"url": url}}

    events = [
        {
            **message("mid.1", number / 1000, attachments=[picture(number)]),
            "as_of": at(number // 100),
        }
        for number in range(1000)
    ]
    with database.transaction() as connection:
        connection.execute("set local track_functions to 'all'")
        upsert_within(connection, conversation("20", 1, *events))  # type: ignore[arg-type]
        turns = connection.execute(
            "select calls from pg_stat_xact_user_functions"
            " where funcname = 'merge_stored_events_turn'"
        ).fetchall()
    assert turns == [(3,)]
    facts = (
        "select jsonb_array_length(metadata -> 'attachments'), event_timestamp, as_of"
        " from contact_interaction_events"
    )
    assert query(database, facts) == [(1000, at(0.001), at(0))]
    assert query(database, "select as_of from restatements") == [(at(9),)]


def test_a_repeated_load_with_other_rows_does_not_load_them(database: Database) -> None:
    session = open_session(database)
    first = load_response(database, session, 0, "zero", conversations(1), THREADS)
    before = rows(database)
    assert load_response(database, session, 0, "zero", conversations(2), THREADS) == first
    assert rows(database) == before


@pytest.mark.parametrize(("step", "load_id"), [(1, "other"), (0, "zero"), (0, "one"), (3, "one")])
def test_another_load_at_a_wrong_step_raises_session_moved(
    database: Database, step: int, load_id: str
) -> None:
    session = open_session(database)
    load_response(database, session, 0, "zero", conversations(1), THREADS)
    load_response(database, session, 1, "one", conversations(2), THREADS)
    before = rows(database)
    with pytest.raises(SessionMoved):
        load_response(database, session, step, load_id, conversations(3), THREADS)
    assert rows(database) == before


def test_a_load_without_an_id_is_never_treated_as_a_repeated_one(database: Database) -> None:
    session = open_session(database)
    response = load.encode_response(
        {"conversations": conversations(1), "threads": [], "gaps_opened": []}
    )
    load.load_response(database, *session, 0, response)
    with pytest.raises(SessionMoved):
        load.load_response(database, *session, 0, response)


def test_two_concurrent_copies_of_a_load_return_the_same_result(database: Database) -> None:
    session = open_session(database)
    for step in range(20):
        one = partial(
            load_response, database, session, step, str(step), conversations(step), THREADS
        )
        first, second = run_concurrently([lambda one=one: [one()]] * 2)  # type: ignore[misc]
        assert first == second
    state = sessions.get_session(database, session[0])
    assert (state.step, state.total_synced, state.inserted, state.updated, state.api_calls) == (
        (20, 40, 2, 38, 20)
    )
    assert state.events_created == 40


def test_of_two_concurrent_loads_of_one_step_one_loads_and_one_raises_session_moved(
    database: Database,
) -> None:
    session = open_session(database)
    for step in range(20):

        def one(load_id: str, step: int = step) -> list[object]:
            try:
                return [
                    load_response(database, session, step, load_id, conversations(step), THREADS)
                ]
            except SessionMoved:
                return []

        results = run_concurrently([partial(one, f"{step} a"), partial(one, f"{step} b")])
        assert sorted(map(len, results)) == [0, 1]
    assert sessions.get_session(database, session[0]).api_calls == 20


def test_after_a_lost_lease_new_and_repeated_loads_are_refused(
    database: Database,
) -> None:
    session = open_session(database)
    load_response(database, session, 0, "zero", conversations(1), THREADS)
    query(database, "update sync_locks set expires_at = now() - interval '1 day' returning 1")
    assert database.value("take_lease", page_id=PAGE, locked_by="other", seconds=60) is not None
    before = rows(database)
    for step, load_id, seconds in ((0, "zero", 1), (1, "one", 2)):
        with pytest.raises(LeaseLost):
            load_response(database, session, step, load_id, conversations(seconds), THREADS)
    assert rows(database) == before


def test_a_lock_time_out_fails_the_response_and_quarantines_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = open_session(database)
    load_response(database, session, 0, "first", conversations(1), THREADS)
    give_locks_up(monkeypatch)
    with Database(database._url, timeout=5) as hurried, database.transaction() as other:
        other.execute("select from messenger_conversations where sender_id = '20' for update")
        with pytest.raises(DatabaseError, match="holds a lock"):
            load_response(hurried, session, 1, "second", conversations(2), THREADS)
    assert query(database, "select 1 from quarantined_records") == []
    load_response(database, session, 1, "second", conversations(2), THREADS)
    assert query(database, "select message_count from messenger_conversations") == [(2,), (2,)]
