"""Concurrent writes give the same rows as the same writes one after another."""

from collections import Counter
from functools import partial
from itertools import count
from typing import Any

from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.sessions import mark_threads_gone
from messenger_pipeline.rows import ConversationRow, EventRow
from tests.convergence.concurrency import Call, run_concurrently
from tests.convergence.example_counts import SCALE
from tests.convergence.sql_calls import (
    at,
    conversation,
    conversation_facts,
    event_facts,
    failed_checks,
    load_response,
    message,
    open_session,
    query,
    thread_row,
    upsert,
)

ROUNDS = 50 * SCALE
EVENTS = 5


def version(sender: int, number: int, source: int) -> EventRow:
    """A source's version of a message. Sources differ in id spelling, time, direction and text."""
    row = message(f"{'m_' * (source % 2)}mid.{sender}.{number}", number + 0.123 * (source % 2))
    row["event_type"] = ("message", "message_received")[source % 2]
    row["as_of"] = at(number + source)
    row["metadata"]["text"] = f"{'za'[source % 2]} {sender}.{number}.{source}"
    return row


def batch(senders: range, turn: int, source: int) -> list[ConversationRow]:
    """Conversations with the messages of a turn and some of the turn before. The second source
    lists them in reverse order."""
    numbers = range(turn * EVENTS - 2, (turn + 1) * EVENTS - 2)
    rows = [
        conversation(
            str(sender),
            turn * EVENTS + source,
            *(version(sender, number, source) for number in numbers if number >= 0),
            name=f"{sender} {turn * EVENTS + source:05}",
        )
        for sender in senders
    ]
    return rows[::-1] if source % 2 else rows


def versions(database: Database) -> dict[str, int]:
    return dict(query(database, "select sender_id, version from messenger_conversations"))


def updates(*results: list[Any]) -> dict[str, int]:
    """The number of updates that calls reported, by conversation."""
    counted: Counter[str] = Counter()
    for result in results:
        counted.update({row[0]: int(row[3]) for row in result})
    return dict(counted)


def test_concurrent_overlapping_batches_in_opposite_order_equal_sequential_ones(
    database: Database, second: Database
) -> None:
    results = []
    for turn in range(ROUNDS):
        batches = [batch(range(100, 130), turn, 0), batch(range(110, 140), turn, 1)]
        results += run_concurrently([partial(upsert, database, *rows) for rows in batches])
        for rows in reversed(batches):
            upsert(second, *rows)
    assert event_facts(database) == event_facts(second)
    assert conversation_facts(database) == conversation_facts(second)
    assert failed_checks(database) == {}
    assert versions(database) == updates(*results)
    assert sum(row[5] for result in results for row in result) == len(event_facts(database))
    assert sum(row[2] for result in results for row in result) == 40


def test_three_concurrent_upserts_of_the_same_messages_for_different_contacts_store_each_once(
    database: Database,
) -> None:
    """The one case in which loads can deadlock. Counts and last messages are checked in
    test_concurrent_counterexamples."""
    expected: set[str] = set()
    for turn in range(ROUNDS):
        names = [f"mid.{turn}.{number}" for number in range(60)]
        expected.update(names)
        calls: list[Call] = []
        for sender, step in (("20", 1), ("30", -1), ("40", 7)):
            order = [names[number * step % 60] for number in range(60)]
            rows = [message(name, turn, text=f"{sender} {name}") for name in order]
            calls.append(partial(upsert, database, conversation(sender, turn, *rows)))
        run_concurrently(calls)
    found = query(database, "select message_id from contact_interaction_events")
    assert sorted(name for (name,) in found) == sorted(expected)
    assert "events_are_unique" not in failed_checks(database)
    assert "conversations_have_events" not in failed_checks(database)


def test_a_walk_concurrent_with_webhooks_equals_sequential_writes(
    database: Database, second: Database
) -> None:
    session, serial = open_session(database), open_session(second)
    updated: Counter[str] = Counter()
    for turn in range(ROUNDS):
        walked = batch(range(100, 130), turn, 0)
        pushed = [batch(range(100 + number, 101 + number), turn, 1) for number in range(0, 40, 8)]
        threads = [thread_row(f"t{row['sender_id']}", row["sender_id"], at(0)) for row in walked]

        def walk(
            turn: int = turn, rows: list[ConversationRow] = walked, threads: list[Any] = threads
        ) -> list[Any]:
            return [load_response(database, session, turn, str(turn), rows, threads)]

        def push(batches: list[list[ConversationRow]] = pushed) -> list[Any]:
            return [row for rows in batches for row in upsert(database, *rows)]

        loaded, *upserted = run_concurrently([walk, push, lambda push=push: push()])  # type: ignore[misc]
        updated.update(walk=loaded[0].updated, push=sum(updates(*upserted).values()))
        for rows in pushed:
            upsert(second, *rows)
        load_response(second, serial, turn, str(turn), walked, threads)
    assert event_facts(database) == event_facts(second)
    assert conversation_facts(database) == conversation_facts(second)
    assert failed_checks(database) == {}
    assert sum(versions(database).values()) == updated.total()


def test_gone_marks_concurrent_with_older_facts_leave_the_conversations_deleted(
    database: Database,
) -> None:
    """Later facts, loaded afterwards, revive them."""
    session = open_session(database)
    steps, senders, updated = count(), range(100, 120), 0
    for turn in range(0, ROUNDS * 10, 10):
        revived = [
            conversation(str(one), turn + 1, message(f"mid.{one}.{turn}", turn + 1, text="a"))
            for one in senders
        ]
        threads = [thread_row(f"t{one}", str(one), at(turn + 1)) for one in senders]
        step = next(steps)
        updated += load_response(database, session, step, str(step), revived, threads).updated
        assert {row[-1] for row in conversation_facts(database)} == {"active"}

        older = [
            conversation(str(one), turn + 4, message(f"mid.{one}.{turn + 4}", turn + 4, text="b"))
            for one in reversed(senders)
        ]
        gone = {f"t{one}": at(turn + 4) for one in senders}

        def mark(gone: dict[str, Any] = gone) -> list[Any]:
            mark_threads_gone(database, *session, gone)
            return []

        _, upserted = run_concurrently([mark, partial(upsert, database, *older)])
        updated += sum(updates(upserted).values())
        assert {row[-1] for row in conversation_facts(database)} == {"deleted"}
    [(marked,)] = query(database, "select deleted from sync_state")
    assert marked == ROUNDS * len(senders)
    assert sum(versions(database).values()) == updated + marked
    assert failed_checks(database) == {}
