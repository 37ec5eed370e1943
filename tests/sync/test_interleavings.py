"""Changes on the page during a walk, and between two walks."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from messenger_pipeline.db import load, sessions
from messenger_pipeline.db.pool import Database
from messenger_pipeline.engine import Engine
from tests.conftest import Simulated
from tests.walking import Connect, Simulate, rows, stored, truth, walk

CHANGES = ("reorder", "insertion", "deletion")


@pytest.fixture
def small(simulate: Simulate) -> Simulated:
    """One page of 230 threads: three answers of the list, and some threads with long history."""
    return simulate(conversations=230)


def webhook(database: Database, simulated: Simulated, number: int, text: str) -> None:
    """A new message, delivered by a webhook; its thread moves to the head of the list."""
    page = simulated.page
    message = simulated.world.inject(page, number, text, datetime.now(UTC))
    deliver(database, simulated, number, message)


def deliver(
    database: Database, simulated: Simulated, number: int, message: Mapping[str, object]
) -> None:
    event = {
        "event_type": "message_received",
        "event_timestamp": message["created_time"],
        "message_id": message["id"],
        "metadata": {"source": "webhook", "message_id": message["id"], "text": message["message"]},
    }
    sender = simulated.world.contact(simulated.page, number)["id"]
    conversation = {"sender_id": sender, "as_of": message["created_time"], "events": [event]}
    database.call(
        "bulk_upsert_conversations_with_events",
        page_id=simulated.page.id,
        conversations=load.encode([conversation]),
    )


def deleted(database: Database) -> set[str]:
    """The contacts whose conversations are marked as deleted."""
    return {
        sender
        for (sender,) in rows(
            database,
            "select sender_id from messenger_conversations where conversation_status = 'deleted'",
        )
    }


def contact(simulated: Simulated, number: int) -> str:
    return simulated.world.contact_id(simulated.page, number)


# -- While the list is read -----------------------------------------------------------------------


@pytest.mark.parametrize("call", [0, 1, 2])
@pytest.mark.parametrize("name", CHANGES)
def test_changes_during_a_first_walk_are_loaded_by_the_next_incremental_walk(
    small: Simulated, connect: Connect, database: Database, name: str, call: int
) -> None:
    engine = connect(small)
    small.fault(name, after=call, edge="conversations")
    assert walk(engine, small.page.id).outcome == "completed"
    assert small.hits(name) == 1
    assert walk(engine, small.page.id).mode == "incremental"
    assert truth(small) - stored(database) == {}


@pytest.mark.parametrize("call", [0, 1, 2])
@pytest.mark.parametrize("name", CHANGES)
def test_with_offset_cursors_changes_are_loaded_by_the_next_full_walk(
    simulate: Simulate, connect: Connect, database: Database, name: str, call: int
) -> None:
    """After a deletion above such a cursor the next answer skips a thread."""
    simulated = simulate(conversations=230, cursors="offset")
    engine = connect(simulated)
    simulated.fault(name, after=call, edge="conversations", **_thread(name))
    assert walk(engine, simulated.page.id).outcome == "completed"
    walk(engine, simulated.page.id, mode="full")
    assert truth(simulated) - stored(database) == {}
    assert deleted(database) <= {contact(simulated, 3)}


def _thread(name: str) -> dict[str, int]:
    return {"thread": 3} if name == "deletion" else {}


def test_a_walk_with_changes_at_every_call_loses_nothing(
    simulate: Simulate, connect: Connect, database: Database
) -> None:
    simulated = simulate(conversations=330)
    engine = connect(simulated)
    for call in range(4):
        for name in ("reorder", "insertion", "reorder"):
            simulated.fault(name, after=call, edge="conversations")
    walk(engine, simulated.page.id)
    walk(engine, simulated.page.id)
    assert stored(database) == truth(simulated)


def test_a_thread_that_moves_to_the_head_is_listed_twice_and_stored_once(
    small: Simulated, connect: Connect, database: Database
) -> None:
    """It was in the first answer; the last thread of an answer may also be first in the next."""
    engine = connect(small)
    small.fault("reorder", after=1, edge="conversations", thread=0)
    walk(engine, small.page.id)
    walk(engine, small.page.id)
    assert stored(database) == truth(small)


def test_a_walk_resumed_days_later_misses_nothing(
    small: Simulated, connect: Connect, database: Database
) -> None:
    """What came meanwhile is at the head, above the position where the walk resumes."""
    engine = connect(small)
    walk(engine, small.page.id, max_conversations=100)
    for number in (5, 150, 229):
        small.world.inject(small.page, number, "meanwhile", datetime.now(UTC))
    rows(database, "update sync_state set started_at = now() - interval '3 days' returning 1")
    assert walk(engine, small.page.id).outcome == "completed"
    walk(engine, small.page.id)
    assert stored(database) == truth(small)


def test_a_resumed_incremental_walk_misses_nothing(
    small: Simulated, connect: Connect, database: Database
) -> None:
    engine = connect(small)
    walk(engine, small.page.id)
    for number in range(60):
        small.world.inject(small.page, number, "first", datetime.now(UTC))
    cut = walk(engine, small.page.id, max_conversations=20)
    for number in (3, 100):
        small.world.inject(small.page, number, "meanwhile", datetime.now(UTC))
    resumed = walk(engine, small.page.id)
    assert resumed.sync_session_id == cut.sync_session_id
    walk(engine, small.page.id)
    assert stored(database) == truth(small)


def test_a_thread_that_meta_lists_late_is_found_within_the_overlap(
    small: Simulated, connect: Connect, database: Database
) -> None:
    """Its time is before the watermark, which moved without it."""
    engine = connect(small)
    walk(engine, small.page.id)
    now = datetime.now(UTC)
    small.world.inject(small.page, 7, "listed late", now - timedelta(minutes=5))
    small.fault("hidden", thread=7)
    for number in range(20, 120):
        small.world.inject(small.page, number, "before", now - timedelta(minutes=1))
    small.world.inject(small.page, 9, "listed at once", now)
    walk(engine, small.page.id)
    assert truth(small) != stored(database)
    small.clear_faults()
    walk(engine, small.page.id)
    assert stored(database) == truth(small)


def test_threads_out_of_order_are_read_to_the_end(
    small: Simulated, connect: Connect, database: Database
) -> None:
    """Meta documents no order; without one the cutoff proves nothing."""
    engine = connect(small)
    walk(engine, small.page.id)
    small.world.inject(small.page, 229, "new", datetime.now(UTC))
    small.fault("unsorted")
    result = walk(engine, small.page.id)
    assert (result.mode, result.fetched) == ("incremental", 230)
    assert stored(database) == truth(small)


# -- Within a thread ------------------------------------------------------------------------------


def test_a_second_message_of_the_second_that_was_answered_is_not_missed(
    small: Simulated, connect: Connect, database: Database
) -> None:
    """Meta's times are whole seconds: the thread looks unchanged."""
    engine = connect(small)
    walk(engine, small.page.id)
    now = datetime.now(UTC)
    small.world.inject(small.page, 9, "the first of its second", now)
    walk(engine, small.page.id)
    small.world.inject(small.page, 9, "the second of its second", now)
    walk(engine, small.page.id)
    assert stored(database) == truth(small)


def test_a_webhook_after_an_outage_hides_no_message_of_the_outage(
    small: Simulated, connect: Connect, database: Database
) -> None:
    """The newest message is stored, those before it are not: only a walk moves newest_loaded_at."""
    engine = connect(small)
    walk(engine, small.page.id)
    for number in range(40):
        small.world.inject(small.page, 9, f"lost by the outage {number}", datetime.now(UTC))
    webhook(database, small, 9, "known from a webhook")
    assert truth(small) != stored(database)
    walk(engine, small.page.id)
    assert stored(database) == truth(small)


def test_a_webhook_before_the_first_walk_hides_no_history(
    small: Simulated, connect: Connect, database: Database
) -> None:
    engine = connect(small)
    webhook(database, small, 9, "before any walk")
    walk(engine, small.page.id)
    assert stored(database) == truth(small)


def test_a_webhook_for_a_thread_that_moves_past_the_walk_hides_no_history(
    small: Simulated, connect: Connect, database: Database
) -> None:
    engine = connect(small)
    walk(engine, small.page.id, max_conversations=100)
    webhook(database, small, 229, "it jumps past the walk")
    walk(engine, small.page.id)
    walk(engine, small.page.id)
    assert stored(database) == truth(small)


def test_several_threads_of_one_contact_are_one_conversation(
    small: Simulated, connect: Connect, database: Database
) -> None:
    engine = connect(small)
    small.world.share_contact(small.page, 3, 200)
    walk(engine, small.page.id)
    assert stored(database) == truth(small)
    [(conversations,)] = rows(database, "select count(*) from messenger_conversations")
    assert conversations == 229
    for number in (3, 200):
        small.world.inject(small.page, number, f"in thread {number}", datetime.now(UTC))
        walk(engine, small.page.id)
        assert stored(database) == truth(small)


# -- Deleted threads ------------------------------------------------------------------------------


@pytest.fixture
def synced(small: Simulated, connect: Connect) -> Engine:
    engine = connect(small)
    walk(engine, small.page.id)
    return engine


def test_the_next_full_walk_marks_a_deleted_thread_and_keeps_its_rows(
    small: Simulated, synced: Engine, database: Database
) -> None:
    before = stored(database)
    small.world.delete(small.page, 7)
    walk(synced, small.page.id)
    assert deleted(database) == set(), "an incremental walk proves nothing"
    result = walk(synced, small.page.id, mode="full")
    assert (result.deleted, result.warning) == (1, None)
    assert deleted(database) == {contact(small, 7)}
    assert stored(database) == before
    [(version,)] = rows(
        database, "select version from messenger_conversations where deleted_at is not null"
    )
    assert version == 1
    again = walk(synced, small.page.id, mode="sweep")
    assert again.deleted == 0
    assert again.api_calls <= 2, "threads known to be gone are not requested again"


def test_a_later_message_revives_a_deleted_thread(
    small: Simulated, synced: Engine, database: Database
) -> None:
    small.world.delete(small.page, 7)
    walk(synced, small.page.id, mode="full")
    small.world.restore(small.page, 7)
    small.world.inject(small.page, 7, "back", datetime.now(UTC) + timedelta(seconds=2))
    walk(synced, small.page.id)
    assert deleted(database) == set()
    assert stored(database) == truth(small)


def test_a_deleted_thread_that_is_listed_again_is_revived(
    small: Simulated, synced: Engine, database: Database
) -> None:
    small.world.delete(small.page, 7)
    walk(synced, small.page.id, mode="full")
    small.world.restore(small.page, 7)
    rows(
        database,
        "update messenger_conversations set deleted_at = deleted_at - interval '10 seconds'"
        " where deleted_at is not null returning 1",
    )
    walk(synced, small.page.id, mode="full")
    assert deleted(database) == set()


def test_an_older_message_does_not_revive_a_deleted_thread(
    small: Simulated, synced: Engine, database: Database
) -> None:
    small.world.delete(small.page, 7)
    walk(synced, small.page.id, mode="full")
    old = {"id": "m_old", "created_time": "2026-01-01T00:00:00+0000", "message": "late delivery"}
    deliver(database, small, 7, old)
    assert deleted(database) == {contact(small, 7)}


def test_a_conversation_of_two_threads_is_deleted_with_the_last_of_them(
    small: Simulated, connect: Connect, database: Database
) -> None:
    small.world.share_contact(small.page, 3, 200)
    engine = connect(small)
    walk(engine, small.page.id)
    small.world.delete(small.page, 200)
    walk(engine, small.page.id, mode="full")
    assert deleted(database) == set()
    small.world.delete(small.page, 3)
    walk(engine, small.page.id, mode="full")
    assert deleted(database) == {contact(small, 3)}


def test_a_thread_that_meta_leaves_out_of_the_list_is_not_deleted(
    small: Simulated, synced: Engine, database: Database
) -> None:
    """Meta leaves out what has been in the request folder for a month."""
    small.fault("hidden", thread=7)
    result = walk(synced, small.page.id, mode="full")
    assert (result.deleted, deleted(database)) == (0, set())


def test_a_thread_that_moved_during_the_walk_is_not_deleted(
    small: Simulated, synced: Engine, database: Database
) -> None:
    """The walk missed it; it is now at the head, which is read again."""
    small.fault("reorder", after=1, edge="conversations")
    result = walk(synced, small.page.id, mode="full")
    assert small.hits("reorder") == 1
    assert (result.deleted, deleted(database)) == (0, set())
    assert stored(database) == truth(small)


def test_a_thread_named_by_a_webhook_is_not_marked_deleted(
    small: Simulated, synced: Engine, database: Database
) -> None:
    small.world.delete(small.page, 7)
    walk(synced, small.page.id, mode="full", max_conversations=100)
    now = datetime.now(UTC).isoformat()
    deliver(database, small, 7, {"id": "m_now", "created_time": now, "message": "here I am"})
    walk(synced, small.page.id)
    assert deleted(database) == set()


def test_an_empty_list_deletes_nothing(
    small: Simulated, synced: Engine, database: Database
) -> None:
    for number in range(230):
        small.world.delete(small.page, number)
    result = walk(synced, small.page.id, mode="full")
    assert deleted(database) == set()
    assert "Nothing was marked deleted: the list was empty" in (result.warning or "")


def test_nothing_is_marked_deleted_if_more_than_a_twentieth_is_missing(
    small: Simulated, synced: Engine, database: Database
) -> None:
    for number in range(12):
        small.world.delete(small.page, number)
    result = walk(synced, small.page.id, mode="full")
    assert deleted(database) == set()
    assert "12 of 230 threads are missing from the list at once" in (result.warning or "")
    for number in range(1, 12):
        small.world.restore(small.page, number)
    assert walk(synced, small.page.id, mode="full").deleted == 1


def test_a_mass_deletion_is_marked_once_a_person_accepts_it(
    small: Simulated, synced: Engine, database: Database
) -> None:
    for number in range(12):
        small.world.delete(small.page, number)
    result = walk(synced, small.page.id, mode="full")
    assert f"`messenger-pipeline sync {small.page.id} --accept-deletions`" in (result.warning or "")
    sessions.accept_deletions(database, small.page.id)
    walk(synced, small.page.id, mode="sweep", max_conversations=100)
    result = walk(synced, small.page.id)
    assert (result.deleted, result.warning) == (12, None)
    for number in range(12, 24):
        small.world.delete(small.page, number)
    assert walk(synced, small.page.id, mode="full").deleted == 0, "one walk's only"


def test_a_lost_permission_on_threads_deletes_nothing(
    small: Simulated, synced: Engine, database: Database
) -> None:
    """Threads look as if they were gone, including one that was listed a moment ago."""
    small.world.delete(small.page, 7)
    small.fault("thread_permission_lost")
    result = walk(synced, small.page.id, mode="full")
    assert deleted(database) == set()
    assert "permission" in (result.warning or "")


def test_a_walk_with_an_unidentified_record_deletes_nothing(
    small: Simulated, synced: Engine, database: Database
) -> None:
    small.world.delete(small.page, 7)
    small.fault("thread_without_id", thread=20)
    result = walk(synced, small.page.id, mode="full")
    assert deleted(database) == set()
    assert "1 record of the list has no thread id" in (result.warning or "")


@pytest.mark.parametrize("name", ["code_1", "http_500", "connection_dropped"])
def test_an_error_deletes_nothing(
    small: Simulated, synced: Engine, database: Database, name: str
) -> None:
    small.fault("hidden", thread=7)
    small.fault(name, edge="thread", times=2)
    walk(synced, small.page.id, mode="full")
    assert deleted(database) == set()


def test_a_sweep_that_reached_a_limit_is_resumed_by_the_next_run(
    small: Simulated, synced: Engine, database: Database
) -> None:
    for number in range(5):
        small.world.delete(small.page, number)
    runs = [walk(synced, small.page.id, mode="full", max_seconds=0.001)]
    while runs[-1].has_more:
        runs.append(walk(synced, small.page.id, max_seconds=0.05 * len(runs)))
        assert len(runs) < 60
    assert len(runs) > 1
    assert deleted(database) == {contact(small, number) for number in range(5)}
