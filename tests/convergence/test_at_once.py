"""Several at once: what each tells lands as if they had come one after another."""

from collections import Counter
from functools import partial
from itertools import count
from typing import Any

from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.sessions import mark_threads_gone
from messenger_pipeline.rows import ConversationRow, EventRow
from tests.convergence.asking import (
    asked,
    at,
    conversation,
    conversation_facts,
    event_facts,
    findings,
    message,
    open_session,
    respond,
    thread_row,
    upsert,
)
from tests.convergence.effort import EFFORT
from tests.convergence.together import Call, at_once

ROUNDS = 50 * EFFORT
EVENTS = 5


def said(sender: int, number: int, teller: int) -> EventRow:
    """What a teller says of a message. Each knows something of its own: the time, the direction,
    a later text."""
    row = message(f"{'m_' * (teller % 2)}mid.{sender}.{number}", number + 0.123 * (teller % 2))
    row["event_type"] = ("message", "message_received")[teller % 2]
    row["as_of"] = at(number + teller)
    row["metadata"]["text"] = f"{'za'[teller % 2]} {sender}.{number}.{teller}"
    return row


def batch(senders: range, turn: int, teller: int) -> list[ConversationRow]:
    """Conversations with some messages of the turn before, too: all in the teller's direction."""
    numbers = range(turn * EVENTS - 2, (turn + 1) * EVENTS - 2)
    rows = [
        conversation(
            str(sender),
            turn * EVENTS + teller,
            *(said(sender, number, teller) for number in numbers if number >= 0),
            name=f"{sender} {turn * EVENTS + teller:05}",
        )
        for sender in senders
    ]
    return rows[::-1] if teller % 2 else rows


def versions(database: Database) -> dict[str, int]:
    return dict(asked(database, "select sender_id, version from messenger_conversations"))


def updates(*answers: list[Any]) -> dict[str, int]:
    """How many calls reported an update of each conversation."""
    counted: Counter[str] = Counter()
    for answer in answers:
        counted.update({row[0]: int(row[3]) for row in answer})
    return dict(counted)


def test_overlapping_batches_in_opposite_order_end_as_one_after_the_other(
    database: Database, second: Database
) -> None:
    answers = []
    for turn in range(ROUNDS):
        told = [batch(range(100, 130), turn, 0), batch(range(110, 140), turn, 1)]
        answers += at_once([partial(upsert, database, *rows) for rows in told])
        for rows in reversed(told):
            upsert(second, *rows)
    assert event_facts(database) == event_facts(second)
    assert conversation_facts(database) == conversation_facts(second)
    assert findings(database) == {}
    assert versions(database) == updates(*answers)
    assert sum(row[5] for answer in answers for row in answer) == len(event_facts(database))
    assert sum(row[2] for answer in answers for row in answer) == 40


def test_three_that_tell_messages_of_different_contacts_all_succeed_and_double_nothing(
    database: Database,
) -> None:
    """The one case in which loads can wait for each other in a circle. Of counts and last messages
    then see test_counterexamples_at_once."""
    told: set[str] = set()
    for turn in range(ROUNDS):
        names = [f"mid.{turn}.{number}" for number in range(60)]
        told.update(names)
        calls: list[Call] = []
        for sender, step in (("20", 1), ("30", -1), ("40", 7)):
            order = [names[number * step % 60] for number in range(60)]
            rows = [message(name, turn, text=f"{sender} {name}") for name in order]
            calls.append(partial(upsert, database, conversation(sender, turn, *rows)))
        at_once(calls)
    found = asked(database, "select message_id from contact_interaction_events")
    assert sorted(name for (name,) in found) == sorted(told)
    assert "events_are_unique" not in findings(database)
    assert "conversations_have_events" not in findings(database)


def test_a_walk_and_webhooks_at_once_end_as_one_after_the_other(
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
            return [respond(database, session, turn, str(turn), rows, threads)]

        def push(batches: list[list[ConversationRow]] = pushed) -> list[Any]:
            return [row for rows in batches for row in upsert(database, *rows)]

        loaded, *answers = at_once([walk, push, lambda push=push: push()])  # type: ignore[misc]
        updated.update(walk=loaded[0].updated, push=sum(updates(*answers).values()))
        for rows in pushed:
            upsert(second, *rows)
        respond(second, serial, turn, str(turn), walked, threads)
    assert event_facts(database) == event_facts(second)
    assert conversation_facts(database) == conversation_facts(second)
    assert findings(database) == {}
    assert sum(versions(database).values()) == updated.total()


def test_marks_of_gone_threads_and_older_facts_at_once_leave_them_deleted(
    database: Database,
) -> None:
    """And later facts, which come behind, revive them."""
    session = open_session(database)
    steps, senders, updated = count(), range(100, 120), 0
    for turn in range(0, ROUNDS * 10, 10):
        revived = [
            conversation(str(one), turn + 1, message(f"mid.{one}.{turn}", turn + 1, text="a"))
            for one in senders
        ]
        threads = [thread_row(f"t{one}", str(one), at(turn + 1)) for one in senders]
        step = next(steps)
        updated += respond(database, session, step, str(step), revived, threads).updated
        assert {row[-1] for row in conversation_facts(database)} == {"active"}

        older = [
            conversation(str(one), turn + 4, message(f"mid.{one}.{turn + 4}", turn + 4, text="b"))
            for one in reversed(senders)
        ]
        gone = {f"t{one}": at(turn + 4) for one in senders}

        def mark(gone: dict[str, Any] = gone) -> list[Any]:
            mark_threads_gone(database, *session, gone)
            return []

        _, answer = at_once([mark, partial(upsert, database, *older)])
        updated += sum(updates(answer).values())
        assert {row[-1] for row in conversation_facts(database)} == {"deleted"}
    [(marked,)] = asked(database, "select deleted from sync_state")
    assert marked == ROUNDS * len(senders)
    assert sum(versions(database).values()) == updated + marked
    assert findings(database) == {}
