"""What is set aside is met again more and more rarely, and nothing hides it before it is read."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
import stamina

from messenger_pipeline.db import sessions
from messenger_pipeline.db.gaps import (
    begin_gap,
    list_due_gaps,
    list_set_aside_gaps,
    put_off_list_gap,
    release_gaps,
)
from messenger_pipeline.db.lease import held_lease
from messenger_pipeline.db.pool import Database
from messenger_pipeline.errors import (
    GraphError,
    ObjectRefused,
    PermissionMissing,
    TokenDead,
    TooMuchData,
    TransientError,
)
from messenger_pipeline.graph.client import GraphClient
from messenger_pipeline.sync import gaps, thread_list
from tests.conftest import Simulated
from tests.sync.test_set_aside import change, found, make_due, write
from tests.walking import Connect, Simulate, stored, truth, walk


@pytest.fixture
def small(simulate: Simulate) -> Simulated:
    return simulate(conversations=60)


@pytest.fixture(autouse=True)
def few_attempts() -> Iterator[None]:
    with stamina.set_testing(True, attempts=2):
        yield


def put_off_a_gap(simulated: Simulated, connect: Connect) -> sessions.SyncSession:
    """Put off a gap of the page. Returns the session that opened it."""
    engine = connect(simulated)
    walk(engine, simulated.page.id)
    write(simulated, "BURST", 5, times=60)
    simulated.fault("code_1", edge="messages", times=10_000)
    result = walk(engine, simulated.page.id)
    return sessions.get_session(engine.database, UUID(result.sync_session_id))


def test_a_walk_reads_a_gap_of_its_own_once_if_it_fails(
    small: Simulated, connect: Connect, database: Database
) -> None:
    session = put_off_a_gap(small, connect)
    make_due(database)

    def due(*, own: bool) -> int:
        return len(
            list_due_gaps(database, small.page.id, session.sync_session_id, own=own, limit=9)
        )

    assert (due(own=True), due(own=False)) == (0, 1)


def test_a_gap_that_failed_and_then_ends_its_process_is_not_due_at_once(
    small: Simulated, connect: Connect, database: Database
) -> None:
    session = put_off_a_gap(small, connect)
    make_due(database)
    [gap] = list_set_aside_gaps(database)
    begin_gap(database, int(gap.id))

    def due() -> int:
        return len(
            list_due_gaps(database, small.page.id, session.sync_session_id, own=False, limit=9)
        )

    assert due() == 0, "a killed run"
    release_gaps(database, [int(gap.id)])
    assert due() == 1, "a run that stopped"


def test_a_new_full_walk_takes_over_the_gaps_of_the_one_that_it_supersedes(
    small: Simulated, connect: Connect, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = connect(small)
    walk(engine, small.page.id)
    write(small, "BURST", 1, 2, 3, times=60)
    walk(engine, small.page.id, mode="full", max_conversations=10, run_id="r1")
    monkeypatch.setattr(gaps, "_SHARE_SECONDS", 0.0)
    assert walk(engine, small.page.id, mode="full", run_id="r2").outcome == "completed"
    assert stored(database) == truth(small)


def test_a_full_walk_keeps_a_part_of_the_list_that_was_set_aside_after_its_start(
    small: Simulated, connect: Connect, database: Database
) -> None:
    engine = connect(small)
    walk(engine, small.page.id)
    change(
        database,
        "select open_list_gap(facebook_page_id, null, now(), now() - interval '2 hours', 'old')"
        " from facebook_pages;"
        " update list_gaps set opened_at = now() - interval '1 day', not_before = 'tomorrow'",
    )
    walk(engine, small.page.id, mode="full", max_conversations=10, run_id="r1")
    change(
        database,
        "select open_list_gap(facebook_page_id, null, now(), now() - interval '1 hour', 'new')"
        " from facebook_pages",
    )
    assert walk(engine, small.page.id, run_id="r2").outcome == "completed"
    assert [gap.kind for gap in list_set_aside_gaps(database)] == ["list"]
    assert walk(engine, small.page.id, mode="full", run_id="r3").outcome == "completed"
    assert list_set_aside_gaps(database) == []


def test_a_further_part_of_a_list_gap_is_not_given_up_with_the_earlier_one(
    small: Simulated, connect: Connect, database: Database
) -> None:
    engine = connect(small)
    walk(engine, small.page.id)
    open_gap = "select open_list_gap(facebook_page_id, null, now(), null, 'x') from facebook_pages;"
    change(
        database,
        open_gap + " update list_gaps set attempts = 8, unreadable = true,"
        " first_failed_at = now() - interval '30 days'; " + open_gap,
    )
    with held_lease(database, small.page.id, "run") as fence:
        put_off_list_gap(database, small.page.id, fence, "again")
    [gap] = list_set_aside_gaps(database)
    assert (gap.state, gap.attempts) == ("put_off", 2)


def test_a_part_of_the_list_whose_cursors_expire_between_runs_gets_more_time_each_run(
    simulate: Simulate, connect: Connect, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulated = simulate(conversations=300)
    engine = connect(simulated)
    walk(engine, simulated.page.id)
    change(
        database,
        "select open_list_gap(facebook_page_id, null, now(), null, 'deep') from facebook_pages",
    )
    monkeypatch.setattr(thread_list, "_SHARE_SECONDS", 0.0)
    attempts = []
    for number in range(4):
        walk(engine, simulated.page.id, run_id=f"r{number}")
        # Only the cursor that the run left expires.
        change(database, "update list_gaps set resume_cursor = 'expired', not_before = now()"
                         " where resume_cursor is not null;"
                         " update list_gaps set not_before = now()")  # fmt: skip
        attempts += [gap.attempts for gap in list_set_aside_gaps(database)]
    assert attempts == [1, 2, 2, 3]


def test_a_known_thread_that_fails_is_not_requested_by_each_sync_of_a_refused_list(
    small: Simulated, connect: Connect, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = connect(small)
    walk(engine, small.page.id)
    write(small, "NEW", 7)
    walk(engine, small.page.id)
    change(database, "update messenger_threads set answered_at = answered_at - interval '1 day'")
    requested = []

    def refuse(_client: GraphClient, thread_id: str, **_options: Any) -> Any:
        requested.append(thread_id)
        raise ObjectRefused("gone", code=100, subcode=33)

    monkeypatch.setattr(GraphClient, "fetch_thread", refuse)
    small.fault("list_refused")
    for number in range(3):
        walk(engine, small.page.id, mode="incremental", run_id=f"r{number}")
    assert len(requested) == 1


@pytest.mark.parametrize("error", [TransientError("unknown", code=1), TooMuchData("less", code=1)])
def test_a_place_of_the_list_that_always_fails_becomes_a_gap_and_the_page_goes_on(
    simulate: Simulate,
    connect: Connect,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    error: GraphError,
) -> None:
    simulated = simulate(conversations=200)
    engine = connect(simulated)
    real = GraphClient.fetch_conversations

    def fetch(self: GraphClient, *page: str, after: str | None = None, **sizes: Any) -> Any:
        if after is not None:
            raise error
        return real(self, *page, after=after, **sizes)

    monkeypatch.setattr(GraphClient, "fetch_conversations", fetch)
    assert walk(engine, simulated.page.id, run_id="r1").outcome == "truncated"
    [gap] = list_set_aside_gaps(database)
    assert gap.kind == "list"
    write(simulated, "NEW", 1)
    assert walk(engine, simulated.page.id, run_id="r2").outcome in ("completed", "truncated")
    assert found(database, "NEW") == 1
    monkeypatch.undo()
    make_due(database)
    walk(engine, simulated.page.id, run_id="r3")
    walk(engine, simulated.page.id, run_id="r4")
    assert list_set_aside_gaps(database) == []
    assert stored(database) == truth(simulated)


@pytest.mark.parametrize(
    "error",
    [
        PermissionMissing("another app has the thread", code=10),
        TokenDead("?", code=190),
        TransientError("?", code=2),
    ],
)
def test_a_thread_that_is_refused_on_a_page_whose_list_is_refused_stops_no_other(
    small: Simulated,
    connect: Connect,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    error: GraphError,
) -> None:
    engine = connect(small)
    walk(engine, small.page.id)
    write(small, "NEW", *range(20))
    real = GraphClient.fetch_thread
    refused = {small.world.thread_id(small.page, number) for number in range(5, 12)}

    def fetch(self: GraphClient, thread_id: str, **sizes: Any) -> Any:
        if thread_id in refused:
            raise error
        return real(self, thread_id, **sizes)

    monkeypatch.setattr(GraphClient, "fetch_thread", fetch)
    small.fault("list_refused")
    assert walk(engine, small.page.id, mode="full").outcome == "truncated"
    assert found(database, "NEW") == 13
    assert len(list_set_aside_gaps(database)) == 7
