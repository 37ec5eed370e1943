"""The load in the database: the same rules as events.py, for many rows at once, by many at once."""

import itertools
import json
import random
import threading
import traceback
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import to_json

from messenger_pipeline.db import migrate
from messenger_pipeline.db.pool import Database
from messenger_pipeline.errors import DatabaseError, VersionConflict
from messenger_pipeline.merge import merge_events, message_key
from messenger_pipeline.rows import ConversationRow, EventRow
from messenger_pipeline.stable import stable_content

T = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)
_pages = itertools.count(1)


def event(message_id: str, at: datetime = T, text: str | None = "hi", **fields: Any) -> EventRow:
    metadata = {"source": "initial_sync", "message_id": message_id}
    if text is not None:
        metadata["text"] = text
    return {
        "event_type": "message_received",
        "event_timestamp": at,
        "message_id": message_id,
        "metadata": metadata,
        **fields,  # type: ignore[typeddict-item]
    }


def conversation(
    sender: str, *events: EventRow, name: str | None = "A", as_of: datetime = T
) -> ConversationRow:
    return {"sender_id": sender, "sender_name": name, "as_of": as_of, "events": list(events)}


def upsert(database: Database, page_id: str, *rows: ConversationRow) -> list[tuple[Any, ...]]:
    """(sender, inserted, updated, version, events created) of each conversation."""
    body = to_json(rows).decode()
    found = database.call(
        "bulk_upsert_conversations_with_events", page_id=page_id, conversations=body
    )
    return sorted((row[0], *row[2:]) for row in found)


def query(database: Database, statement: str, *arguments: Any) -> list[tuple[Any, ...]]:
    with database.transaction() as connection:
        return connection.execute(statement, arguments or None).fetchall()


def test_a_conversation_lands_with_its_events(database: Database) -> None:
    given = conversation("20", event("m_1"), event("m_2", T + timedelta(seconds=1), "last"))
    assert upsert(database, "10", given) == [("20", True, False, 0, 2)]
    assert query(
        database,
        "select sender_name, last_message, last_message_time, message_count, version,"
        " conversation_status from messenger_conversations",
    ) == [("A", "last", T + timedelta(seconds=1), 2, 0, "active")]


def test_loading_again_changes_nothing(database: Database) -> None:
    given = conversation("20", event("m_1"), event("m_2"))
    upsert(database, "10", given)
    before = query(database, "select xmin::text, * from messenger_conversations")
    events = query(database, "select xmin::text, * from contact_interaction_events order by id")
    assert upsert(database, "10", given) == [("20", False, False, 0, 0)]
    assert query(database, "select xmin::text, * from messenger_conversations") == before
    assert (
        query(database, "select xmin::text, * from contact_interaction_events order by id")
        == events
    )


def test_the_version_grows_by_one_on_each_real_change(database: Database) -> None:
    upsert(database, "10", conversation("20", event("m_1")))
    assert upsert(database, "10", conversation("20", event("m_2")))[0][2:4] == (True, 1)
    assert upsert(database, "10", conversation("20", event("m_2")))[0][2:4] == (False, 1)
    later = T + timedelta(minutes=1)
    assert upsert(database, "10", conversation("20", name="B", as_of=later))[0][2:4] == (True, 2)


def test_an_older_name_does_not_replace_a_newer(database: Database) -> None:
    upsert(database, "10", conversation("20", event("m_1"), name="new", as_of=T))
    upsert(database, "10", conversation("20", name="old", as_of=T - timedelta(days=1)))
    upsert(database, "10", conversation("20", name=None, as_of=T + timedelta(days=1)))
    assert query(database, "select sender_name from messenger_conversations") == [("new",)]


def test_no_conversation_is_made_without_events(database: Database) -> None:
    assert upsert(database, "10", conversation("20")) == []
    assert query(database, "select * from messenger_conversations") == []


def test_no_conversation_is_made_of_messages_that_belong_to_another(database: Database) -> None:
    upsert(database, "10", conversation("20", event("m_1")))
    assert upsert(database, "10", conversation("30", event("m_1"))) == []
    assert query(database, "select sender_id from messenger_conversations") == [("20",)]


def test_a_message_is_one_row_on_its_page_and_another_on_another(database: Database) -> None:
    upsert(database, "10", conversation("20", event("m_mid.1"), event("m_1")))
    upsert(database, "10", conversation("20", event("mid.1"), event("m_1")))
    upsert(database, "11", conversation("20", event("mid.1")))
    assert query(
        database, "select page_id, message_id from contact_interaction_events order by 1, 2"
    ) == [("10", "m_1"), ("10", "m_mid.1"), ("11", "mid.1")]


def test_a_message_and_what_happened_to_it_stay_separate_events(database: Database) -> None:
    given = [
        event("m_1"),
        event("m_1", event_type="reaction", discriminator="20:love"),
        event("m_1", event_type="reaction", discriminator="20:sad"),
        event("m_1", event_type="edit", discriminator="1"),
        event("m_1", event_type="postback"),
    ]
    assert upsert(database, "10", conversation("20", *given))[0][-1] == 5
    assert query(database, "select message_count from messenger_conversations") == [(1,)]


def test_events_without_a_message_id_are_identified_by_time(database: Database) -> None:
    read = event("", event_type="read", text=None)
    read["message_id"] = None
    later: EventRow = {**read, "event_timestamp": T + timedelta(milliseconds=1)}
    for _ in range(2):
        upsert(database, "10", conversation("20", read, later))
    assert query(database, "select count(*) from contact_interaction_events") == [(2,)]


def test_a_direction_learnt_later_is_kept(database: Database) -> None:
    upsert(database, "10", conversation("20", event("m_1", event_type="message")))
    upsert(database, "10", conversation("20", event("m_1", event_type="message_sent")))
    upsert(database, "10", conversation("20", event("m_1", event_type="message")))
    assert query(database, "select event_type from contact_interaction_events") == [
        ("message_sent",)
    ]


def test_a_repeated_statement_in_one_call_counts_once(database: Database) -> None:
    twice = [event("m_1", as_of=T), event("m_1", text="edited", as_of=T + timedelta(seconds=1))]
    assert upsert(database, "10", conversation("20", *twice)) == [("20", True, False, 0, 1)]
    assert query(database, "select last_message, message_count from messenger_conversations") == [
        ("edited", 1)
    ]


def test_only_a_new_cdn_address_is_no_change(database: Database) -> None:
    def picture(query: str) -> EventRow:
        picture = event("m_1", as_of=T + timedelta(seconds=len(query)))
        url = f"https://scontent.xx.fbcdn.net/v/1.jpg?{query}"
        picture["metadata"]["attachments"] = [{"id": "1", "image_data": {"url": url}}]
        return picture

    upsert(database, "10", conversation("20", picture("oh=1")))
    before = query(database, "select xmin::text, * from contact_interaction_events")
    upsert(database, "10", conversation("20", picture("oh=1&oe=2")))
    assert query(database, "select xmin::text, * from contact_interaction_events") == before


def test_an_expected_version_guards_an_update(database: Database) -> None:
    def single(expected: int | None, *events: EventRow) -> list[Any]:
        given = {k: v for k, v in conversation("20").items() if k != "events"}
        return database.call(
            "upsert_conversation_with_events",
            page_id="10",
            conversation=to_json(given).decode(),
            events=to_json(events).decode(),
            expected_version=expected,
        )

    single(0, event("m_1"))
    single(0, event("m_2"))
    with pytest.raises(VersionConflict, match="is at version 1, not 0"):
        single(0, event("m_3"))
    assert query(database, "select message_count, version from messenger_conversations") == [(2, 1)]
    single(None, event("m_3"))
    assert query(database, "select message_count, version from messenger_conversations") == [(3, 2)]


def test_a_fact_later_than_the_deletion_revives(database: Database) -> None:
    upsert(database, "10", conversation("20", event("m_1")))
    deleted = T + timedelta(days=1)
    query(
        database,
        "update messenger_conversations set conversation_status = 'deleted', deleted_at = %s"
        " returning id",
        deleted,
    )
    upsert(database, "10", conversation("20", event("m_1"), as_of=deleted - timedelta(seconds=1)))
    status = "select conversation_status, deleted_at from messenger_conversations"
    assert query(database, status) == [("deleted", deleted)]
    upsert(database, "10", conversation("20", event("m_1"), as_of=deleted + timedelta(seconds=1)))
    assert query(database, status) == [("active", None)]


def test_a_row_that_postgres_refuses_fails_the_whole_call(database: Database) -> None:
    broken = conversation("20", event("m_1"))
    broken["events"][0]["event_timestamp"] = "never"  # type: ignore[typeddict-item]
    with pytest.raises(DatabaseError, match="invalid input syntax"):
        upsert(database, "10", conversation("19", event("m_0")), broken)
    assert query(database, "select * from messenger_conversations") == []


@pytest.mark.parametrize("key", ["reactions", "shares", "sticker", "reply_to", "is_unsupported"])
def test_of_two_contents_stated_at_one_time_the_greater_wins(database: Database, key: str) -> None:
    stored = set()
    for page_id, values in (("10", (1, 2)), ("11", (2, 1))):
        for value in values:
            row = event("m_1")
            row["metadata"][key] = {"x": value}
            upsert(database, page_id, conversation("20", row))
        stored |= set(
            query(database, "select content from event_facts where page_id = %s", page_id)
        )
    assert len(stored) == 1


def test_of_two_names_stated_at_one_time_the_greater_wins(database: Database) -> None:
    for page_id, names in (("10", "AB"), ("11", "BA")):
        for name in names:
            upsert(database, page_id, conversation("20", event("m_1"), name=name))
    assert query(database, "select sender_name from messenger_conversations") == [("B",), ("B",)]


def test_an_unsent_message_is_no_conversations_last(database: Database) -> None:
    unsent = event("m_1", text=None)
    unsent["metadata"]["unsent_at"] = "2026-05-01"
    for page_id, rows in (("10", (event("m_1"), unsent)), ("11", (unsent, event("m_1")))):
        for row in rows:
            upsert(database, page_id, conversation("20", row))
    assert (
        query(
            database,
            "select last_message, last_message_time, message_count from messenger_conversations",
        )
        == [(None, None, 1)] * 2
    )


def test_a_message_stated_of_two_contacts_stays_with_the_first(
    database: Database,
) -> None:
    upsert(database, "10", conversation("20", event("m_1", text="old")))
    edited = event("m_1", T + timedelta(milliseconds=5), "edited", as_of=T + timedelta(hours=1))
    upsert(database, "10", conversation("30", edited, event("m_2")))
    assert query(
        database,
        "select sender_id, last_message, last_message_time, message_count, version"
        " from messenger_conversations order by 1",
    ) == [("20", "edited", T + timedelta(milliseconds=5), 1, 1), ("30", "hi", T, 1, 0)]
    assert migrate.run_check(database, "message_counts_are_true") is None


def test_loads_of_messages_of_two_contacts_in_opposite_order_both_succeed(
    database: Database,
) -> None:
    """The one case where two loads can wait for each other in a circle: the one that gives way is
    made again."""
    failures: list[Exception] = []
    barrier = threading.Barrier(2)

    def load(sender: str, step: int) -> None:
        for number in range(5):
            events = [event(f"m_{number}_{n}") for n in range(300)][::step]
            barrier.wait()
            try:
                upsert(database, "10", conversation(sender, *events))
            except DatabaseError as error:
                failures.append(error)

    threads = [threading.Thread(target=load, args=pair) for pair in (("20", 1), ("30", -1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert query(database, "select count(*) from contact_interaction_events") == [(1500,)]


def test_an_error_of_postgres_does_not_quote_the_refused_row(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute(
            "alter table contact_interaction_events add constraint poison"
            " check (metadata ->> 'text' <> 'a PRIVATE diagnosis')"
        )
    with pytest.raises(DatabaseError, match="poison") as caught:
        upsert(database, "10", conversation("20", event("m_1", text="a PRIVATE diagnosis")))
    printed = "".join(traceback.format_exception(caught.value))
    assert "PRIVATE" not in printed.replace('text="a PRIVATE', "")


# -- Convergence ----------------------------------------------------------------------------------

SENDERS = ("20", "30")


@st.composite
def statements(draw: st.DrawFn) -> tuple[str, EventRow]:
    """A statement of one of some messages. Texts differ by the time of the statement, as edits
    do; a message belongs to one sender."""
    number = draw(st.integers(0, 4))
    version = draw(st.integers(0, 3))
    fine = draw(st.booleans())
    at = T + timedelta(seconds=number // 2, milliseconds=123 + number if fine else 0)
    row = event(
        draw(st.sampled_from(["mid.", "m_mid."])) + str(number),
        at,
        [None, "a", "b", "ä"][version],
        event_type=draw(st.sampled_from(["message", "message_received", "message_sent"])),
        as_of=T + timedelta(hours=version, minutes=draw(st.integers(0, 59))),
    )
    if version == 2:
        url = f"https://scontent.xx.fbcdn.net/{draw(st.integers(0, 9))}"
        row["metadata"]["attachments"] = [{"type": "image", "id": "1", "url": url}]
    if version == 3:
        row["metadata"]["reactions"] = [{"reaction": "love"}]
    return SENDERS[number % 2], row


def expected(given: list[tuple[str, EventRow]]) -> tuple[Any, Any]:
    """What the rules of merge.py make of the statements, in the shape of the fact views."""
    groups: dict[tuple[str, str], list[EventRow]] = {}
    for sender, row in given:
        groups.setdefault((sender, message_key(row["message_id"] or "")), []).append(row)
    events: list[Any] = []
    newest: dict[str, Any] = {}
    for (sender, message_id), group in groups.items():
        merged = reduce(merge_events, [group[0], *group])
        content = {k: v for k, v in merged["metadata"].items() if k not in ("source", "message_id")}
        at = merged["event_timestamp"]
        events.append((sender, merged["event_type"], at, message_id, stable_content(content)))
        text = merged["metadata"].get("text", "")
        count = newest.get(sender, (0,))[0] + 1
        candidate = (at, message_id, text)
        newest[sender] = (count, max(candidate, newest.get(sender, (0, candidate))[1]))
    conversations = [
        (sender, "A", best[2], best[0], count) for sender, (count, best) in newest.items()
    ]
    return sorted(events), sorted(conversations)


@given(
    given=st.lists(statements(), min_size=1, max_size=12), chance=st.randoms(use_true_random=False)
)
def test_any_order_repetition_and_batching_ends_in_the_rows_that_the_rules_give(
    database: Database, given: list[tuple[str, EventRow]], chance: random.Random
) -> None:
    page_id = f"page-{next(_pages)}"
    batches = given + chance.choices(given, k=len(given) // 2)
    chance.shuffle(batches)
    while batches:
        batch, batches = batches[: (size := chance.randint(1, 5))], batches[size:]
        groups: dict[str, list[EventRow]] = {}
        for sender, row in batch:
            groups.setdefault(sender, []).append(json.loads(to_json(row)))
        upsert(database, page_id, *(conversation(sender, *rows) for sender, rows in groups.items()))

    events, conversations = expected(given)
    assert (
        sorted(
            query(
                database,
                "select sender_id, event_type, event_timestamp, message_id, content"
                " from event_facts where page_id = %s",
                page_id,
            )
        )
        == events
    )
    assert (
        query(
            database,
            "select sender_id, sender_name, last_message, last_message_time, message_count"
            " from conversation_facts where page_id = %s order by 1",
            page_id,
        )
        == conversations
    )


def test_loads_of_overlapping_batches_in_opposite_order_never_deadlock_or_double(
    database: Database,
) -> None:
    rounds, workers = 25, 4
    barrier = threading.Barrier(workers)
    failures: list[Exception] = []

    def load(worker: int) -> None:
        for number in range(rounds):
            batch = [
                conversation(str(sender), *(event(f"m_{sender}_{number}_{n}") for n in range(3)))
                for sender in range(20, 40)
            ]
            barrier.wait()
            try:
                upsert(database, "10", *(batch if worker % 2 else reversed(batch)))
            except DatabaseError as error:
                failures.append(error)

    threads = [threading.Thread(target=load, args=(worker,)) for worker in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert query(
        database,
        "select count(*), min(message_count), max(message_count) from messenger_conversations",
    ) == [(20, 3 * rounds, 3 * rounds)]
    assert query(database, "select count(*) from contact_interaction_events") == [
        (20 * 3 * rounds,)
    ]
