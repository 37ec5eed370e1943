"""The two kinds of full sync: one restores every message, one sweeps."""

from datetime import UTC, datetime, timedelta

import pytest

from messenger_pipeline.db.migrate import run_check
from messenger_pipeline.db.pool import Database
from messenger_pipeline.engine import Engine
from tests.conftest import Simulated
from tests.sync.test_set_aside import change
from tests.walking import Connect, Simulate, rows, stored, truth, walk


@pytest.fixture
def small(simulate: Simulate) -> Simulated:
    return simulate(conversations=60)


@pytest.fixture
def engine(small: Simulated, connect: Connect) -> Engine:
    engine = connect(small)
    walk(engine, small.page.id)
    return engine


def delete_events(database: Database, *, counted: bool = False) -> int:
    """Delete each third event by hand, the newest of each conversation included. Returns how many
    are left. `counted`: the conversations' counts are corrected as well."""
    change(
        database,
        "delete from contact_interaction_events e using ("
        " select id, row_number() over (partition by conversation_id order by event_timestamp desc)"
        " as place, count(*) over (partition by conversation_id) as total"
        " from contact_interaction_events) n"
        " where n.id = e.id and n.total > 1 and n.place % 3 = 1",
    )
    if counted:
        change(
            database,
            "update messenger_conversations c set message_count = ("
            " select count(*) from contact_interaction_events e where e.conversation_id = c.id)",
        )
    return sum(stored(database).values())


def calls(simulated: Simulated) -> int:
    return len(simulated.calls())


@pytest.mark.parametrize("asked_by", ["--full", "last_synced_at"])
def test_rows_that_were_deleted_by_hand_come_back(
    small: Simulated, engine: Engine, database: Database, asked_by: str
) -> None:
    left = delete_events(database)
    walk(engine, small.page.id)
    assert sum(stored(database).values()) == left, "nothing changed at Meta"
    if asked_by == "--full":
        result = walk(engine, small.page.id, mode="full")
    else:
        change(database, "update facebook_pages set last_synced_at = null")
        result = walk(engine, small.page.id)
    assert (result.mode, result.outcome) == ("full", "completed")
    assert stored(database) == truth(small)
    assert run_check(database, "message_counts_are_true") is None


def test_a_restoring_sync_is_resumed_and_reads_no_thread_twice(
    small: Simulated, engine: Engine, database: Database
) -> None:
    delete_events(database)
    first = walk(engine, small.page.id, mode="full", max_conversations=20)
    assert first.outcome == "partial"
    small.world.inject(small.page, 3, "NEW", datetime.now(UTC))
    walk(engine, small.page.id, mode="incremental")
    second = walk(engine, small.page.id)
    assert (second.sync_session_id, second.outcome) == (first.sync_session_id, "completed")
    assert second.fetched <= 60 - 20 + 2
    assert stored(database) == truth(small)


def test_a_sweeping_sync_reads_whole_a_thread_with_fewer_messages_than_meta_counts(
    small: Simulated, engine: Engine, database: Database
) -> None:
    delete_events(database, counted=True)
    assert walk(engine, small.page.id, mode="sweep").outcome == "completed"
    assert stored(database) == truth(small)


def test_a_sweeping_sync_reads_a_thread_whole_once_for_each_pair_of_counts(
    small: Simulated, engine: Engine, database: Database
) -> None:
    small.fault("count_too_high", thread=7)

    def sweep() -> tuple[int, int]:
        before = calls(small)
        result = walk(engine, small.page.id, mode="sweep")
        assert result.outcome == "completed"
        return calls(small) - before, result.updated

    first, second, third = sweep(), sweep(), sweep()
    assert first[0] > second[0] == third[0]
    # Of a thread that changed within the last seconds one answer proves nothing.
    small.world.inject(small.page, 7, "NEW", datetime.now(UTC) - timedelta(seconds=20))
    walk(engine, small.page.id)
    assert sweep()[0] > third[0], "other counts"
    assert sweep() == third
    assert stored(database) == truth(small)


def test_the_head_of_the_list_counts_once_though_a_sweep_reads_it_again(
    small: Simulated, engine: Engine
) -> None:
    small.world.delete(small.page, 7)
    result = walk(engine, small.page.id, mode="sweep")
    assert (result.fetched, result.unchanged, result.deleted) == (59, 59, 1)


def test_a_sweeping_sync_goes_on_with_an_open_restoring_one(
    small: Simulated, engine: Engine, database: Database
) -> None:
    delete_events(database)
    first = walk(engine, small.page.id, mode="full", max_conversations=20)
    second = walk(engine, small.page.id, mode="sweep")
    assert second.sync_session_id == first.sync_session_id
    assert rows(database, "select count(*) from sync_state where restores") == [(2,)]
    assert stored(database) == truth(small)


def test_a_sweeping_sync_asks_for_one_message_of_each_unchanged_thread(
    small: Simulated, engine: Engine, database: Database
) -> None:
    before = calls(small)
    result = walk(engine, small.page.id, mode="sweep")
    assert (calls(small) - before, result.unchanged, result.updated) == (1, 60, 0)
