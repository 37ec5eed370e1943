"""Minimal orders of the same facts that once gave different rows, or could."""

from functools import reduce
from itertools import permutations
from typing import Any

import pytest

from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.sessions import mark_threads_gone
from messenger_pipeline.merge import dedupe_conversations, merge_events
from messenger_pipeline.rows import ConversationRow, EventRow
from messenger_pipeline.stable import stable_content
from tests.convergence.sql_calls import (
    at,
    conversation,
    conversation_facts,
    event_facts,
    load_response,
    message,
    open_session,
    thread_row,
    upsert,
)

A_TEXT = "https://scontent.xx.fbcdn.net/a.jpg"
ANOTHER = "https://scontent.xx.fbcdn.net/b.jpg"


def test_an_edit_from_one_content_address_to_another_is_kept(
    database: Database, second: Database
) -> None:
    writes = [
        conversation("20", 1, message("mid.1", text=A_TEXT)),
        conversation("20", 2, message("mid.1", text=ANOTHER)),
    ]
    for one in writes:
        upsert(database, one)
    for one in reversed(writes):
        upsert(second, one)
    assert conversation_facts(database) == conversation_facts(second)


def test_a_repeated_response_keeps_a_thread_active_after_an_older_deletion(
    database: Database, second: Database
) -> None:
    def load(where: Database, session: Any, step: int, seconds: int) -> None:
        row = conversation("20", seconds, message("mid.1", text="a"))
        load_response(where, session, step, str(step), [row], [thread_row("t", "20", at(seconds))])

    session = open_session(database)
    load(database, session, 0, 1)
    mark_threads_gone(database, *session, {"t": at(5)})
    load(database, session, 1, 9)

    session = open_session(second)
    load(second, session, 0, 1)
    load(second, session, 1, 9)
    mark_threads_gone(second, *session, {"t": at(5)})
    assert conversation_facts(database) == conversation_facts(second)


def test_an_edit_reported_for_another_contact_revives_the_owners_conversation(
    database: Database, second: Database
) -> None:
    edit = conversation("30", 9, message("mid.1", text="edited"))
    for where, edit_first in ((database, True), (second, False)):
        session = open_session(where)
        row = conversation("20", 1, message("mid.1", text="a"))
        load_response(where, session, 0, "one", [row], [thread_row("t", "20", at(1))])
        if edit_first:
            upsert(where, edit)
        mark_threads_gone(where, *session, {"t": at(5)})
        if not edit_first:
            upsert(where, edit)
    assert conversation_facts(database) == conversation_facts(second)


@pytest.mark.parametrize(
    "late",
    [
        message("mid.1", unsent_at="9"),
        {**message("mid.1", 0.5, text="a"), "message_id": None, "as_of": at(9)},
    ],
)
def test_a_late_fact_that_changes_no_event_keeps_a_conversation_active_after_an_older_deletion(
    database: Database, second: Database, late: EventRow
) -> None:
    """A message that is unsent, or one without an id that the stored one claims."""
    for where, late_first in ((database, True), (second, False)):
        session = open_session(where)
        row = conversation("20", 1, message("mid.1", text="a"))
        load_response(where, session, 0, "one", [row], [thread_row("t", "20", at(1))])
        if late_first:
            upsert(where, conversation("20", 9, late))
        mark_threads_gone(where, *session, {"t": at(5)})
        if not late_first:
            upsert(where, conversation("20", 9, late))
    assert conversation_facts(database) == conversation_facts(second)


def test_a_second_deletion_moves_the_time_of_the_first(
    database: Database, second: Database
) -> None:
    between = conversation("20", 7, message("mid.2", 7, text="b"))
    for where, early in ((database, True), (second, False)):
        session = open_session(where)
        row = conversation("20", 1, message("mid.1", text="a"))
        load_response(where, session, 0, "one", [row], [thread_row("t", "20", at(1))])
        mark_threads_gone(where, *session, {"t": at(5)})
        if early:
            upsert(where, between)
        mark_threads_gone(where, *session, {"t": at(9)})
        if not early:
            upsert(where, between)
    assert conversation_facts(database) == conversation_facts(second)


def test_an_unsent_message_that_arrives_with_its_text_keeps_none(database: Database) -> None:
    upsert(database, conversation("20", 1, message("mid.1", text="secret", unsent_at="1")))
    assert [row[-1] for row in event_facts(database)] == ['{"unsent_at": "1"}']


def test_two_unsend_times_give_the_same_event_in_any_order(
    database: Database, second: Database
) -> None:
    writes = [conversation("20", n, message("mid.1", unsent_at=str(n))) for n in (1, 2)]
    for one in writes:
        upsert(database, one)
    for one in reversed(writes):
        upsert(second, one)
    assert event_facts(database) == event_facts(second)


# -- The pure rules -----------------------------------------------------------------------------


def merged_contents(group: list[EventRow]) -> set[str]:
    return {stable_content(reduce(merge_events, one)["metadata"]) for one in permutations(group)}


def test_the_content_of_an_unsent_message_does_not_depend_on_its_lost_text() -> None:
    unsent = message("mid.1", as_of=0, unsent_at="0")
    one = message("mid.1", text="a", sticker="1")
    other = message("mid.1", text="b", sticker="2")
    group: list[EventRow] = [
        {**unsent, "as_of": at(0)},
        {**one, "as_of": at(1)},
        {**other, "as_of": at(1)},
    ]
    assert len(merged_contents(group)) == 1


def test_a_later_lost_text_gives_an_unsent_message_the_same_content_in_any_order() -> None:
    group: list[EventRow] = [
        {**message("mid.1", unsent_at="2"), "as_of": at(2)},
        {**message("mid.1", sticker="1"), "as_of": at(3)},
        {**message("mid.1", text="late"), "as_of": at(4)},
    ]
    assert len(merged_contents(group)) == 1


def test_two_conversations_of_one_contact_merge_in_any_order() -> None:
    def conversations() -> list[ConversationRow]:
        return [
            conversation("20", 1, message("mid.1", text="new"), name="B"),
            conversation("20", 2, message("mid.1", text="old"), name="A"),
        ]

    [row] = dedupe_conversations(conversations())
    [other] = dedupe_conversations(reversed(conversations()))
    assert (row["sender_name"], row["events"][0]["metadata"]["text"]) == ("A", "old")
    assert (other["sender_name"], other["events"][0]["metadata"]["text"]) == ("A", "old")
