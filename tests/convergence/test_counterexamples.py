"""Orders of the same facts that could end in different rows, each as small as it gets."""

from functools import reduce
from itertools import permutations
from typing import Any

from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.sessions import mark_threads_gone
from messenger_pipeline.merge import dedupe_conversations, merge_events, stable_content
from messenger_pipeline.rows import ConversationRow, EventRow
from tests.convergence.asking import (
    at,
    conversation,
    conversation_facts,
    event_facts,
    message,
    open_session,
    respond,
    thread_row,
    upsert,
)

A_TEXT = "https://scontent.xx.fbcdn.net/a.jpg"
ANOTHER = "https://scontent.xx.fbcdn.net/b.jpg"


def test_an_edit_from_one_content_address_to_another_is_kept(
    database: Database, second: Database
) -> None:
    told = [
        conversation("20", 1, message("mid.1", text=A_TEXT)),
        conversation("20", 2, message("mid.1", text=ANOTHER)),
    ]
    for one in told:
        upsert(database, one)
    for one in reversed(told):
        upsert(second, one)
    assert conversation_facts(database) == conversation_facts(second)


def test_an_answer_that_only_repeats_keeps_a_thread_from_an_older_deletion(
    database: Database, second: Database
) -> None:
    def answer(where: Database, session: Any, step: int, seconds: int) -> None:
        row = conversation("20", seconds, message("mid.1", text="a"))
        respond(where, session, step, str(step), [row], [thread_row("t", "20", at(seconds))])

    session = open_session(database)
    answer(database, session, 0, 1)
    mark_threads_gone(database, *session, {"t": at(5)})
    answer(database, session, 1, 9)

    session = open_session(second)
    answer(second, session, 0, 1)
    answer(second, session, 1, 9)
    mark_threads_gone(second, *session, {"t": at(5)})
    assert conversation_facts(database) == conversation_facts(second)


def test_an_edit_told_of_another_contact_revives_the_owners_conversation(
    database: Database, second: Database
) -> None:
    edit = conversation("30", 9, message("mid.1", text="edited"))
    for where, edited_first in ((database, True), (second, False)):
        session = open_session(where)
        row = conversation("20", 1, message("mid.1", text="a"))
        respond(where, session, 0, "one", [row], [thread_row("t", "20", at(1))])
        if edited_first:
            upsert(where, edit)
        mark_threads_gone(where, *session, {"t": at(5)})
        if not edited_first:
            upsert(where, edit)
    assert conversation_facts(database) == conversation_facts(second)


def test_a_second_deletion_moves_the_time_of_the_first(
    database: Database, second: Database
) -> None:
    between = conversation("20", 7, message("mid.2", 7, text="b"))
    for where, early in ((database, True), (second, False)):
        session = open_session(where)
        row = conversation("20", 1, message("mid.1", text="a"))
        respond(where, session, 0, "one", [row], [thread_row("t", "20", at(1))])
        mark_threads_gone(where, *session, {"t": at(5)})
        if early:
            upsert(where, between)
        mark_threads_gone(where, *session, {"t": at(9)})
        if not early:
            upsert(where, between)
    assert conversation_facts(database) == conversation_facts(second)


def test_an_unsent_message_that_is_first_told_with_its_text_keeps_none(database: Database) -> None:
    upsert(database, conversation("20", 1, message("mid.1", text="secret", unsent_at="1")))
    assert [row[-1] for row in event_facts(database)] == ['{"unsent_at": "1"}']


def test_of_two_times_of_unsending_one_is_kept_whatever_the_order(
    database: Database, second: Database
) -> None:
    told = [conversation("20", n, message("mid.1", unsent_at=str(n))) for n in (1, 2)]
    for one in told:
        upsert(database, one)
    for one in reversed(told):
        upsert(second, one)
    assert event_facts(database) == event_facts(second)


# -- The pure rules -----------------------------------------------------------------------------


def folded(group: list[EventRow]) -> set[str]:
    return {stable_content(reduce(merge_events, one)["metadata"]) for one in permutations(group)}


def test_what_is_left_of_an_unsent_message_does_not_depend_on_its_lost_text() -> None:
    unsent = message("mid.1", as_of=0, unsent_at="0")
    one = message("mid.1", text="a", sticker="1")
    other = message("mid.1", text="b", sticker="2")
    group: list[EventRow] = [
        {**unsent, "as_of": at(0)},
        {**one, "as_of": at(1)},
        {**other, "as_of": at(1)},
    ]
    assert len(folded(group)) == 1


def test_a_lost_text_that_came_later_still_dates_what_is_left_of_an_unsent_message() -> None:
    group: list[EventRow] = [
        {**message("mid.1", unsent_at="2"), "as_of": at(2)},
        {**message("mid.1", sticker="1"), "as_of": at(3)},
        {**message("mid.1", text="late"), "as_of": at(4)},
    ]
    assert len(folded(group)) == 1


def test_two_threads_of_one_contact_may_be_of_different_times() -> None:
    def told() -> list[ConversationRow]:
        return [
            conversation("20", 1, message("mid.1", text="new"), name="B"),
            conversation("20", 2, message("mid.1", text="old"), name="A"),
        ]

    [row] = dedupe_conversations(told())
    [other] = dedupe_conversations(reversed(told()))
    assert (row["sender_name"], row["events"][0]["metadata"]["text"]) == ("A", "old")
    assert (other["sender_name"], other["events"][0]["metadata"]["text"]) == ("A", "old")
