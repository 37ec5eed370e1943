"""Threads whose contact has no id at first, in every order of arrival, on PostgreSQL."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations
from typing import Any

import pytest

from messenger_pipeline.db.pool import Database
from messenger_pipeline.rows import ConversationRow, EventRow
from tests.convergence.sql_calls import (
    conversation,
    conversation_facts,
    event_facts,
    failed_checks,
    message,
    query,
    upsert,
    upsert_within,
    wait_until_blocked,
)
from tests.convergence.test_corners import changed, without_id


def of_thread(as_of: float, *events: EventRow, name: str = "Facebook User") -> ConversationRow:
    """An answer with a thread whose contact has no id."""
    return {**conversation("t_1", as_of, *events, name=name), "thread_id": "t_1"}


def outcome_in_every_order(database: Database, writes: Sequence[ConversationRow]) -> Any:
    found = []
    for order in permutations(writes):
        query(database, "delete from messenger_conversations returning 1")
        query(database, "delete from contactless_threads returning 1")
        for one in order:
            upsert(database, one)
        assert failed_checks(database) == {}
        found.append((conversation_facts(database), event_facts(database)))
    assert all(one == found[0] for one in found)
    return found[0]


def test_a_text_that_was_stated_again_before_its_contact_was_known_is_the_latest(
    database: Database,
) -> None:
    writes = [
        *(of_thread(second, message("mid.1", text=text)) for second, text in enumerate("ABA")),
        conversation("20", 0, message("mid.1", text="A")),
    ]
    [(sender, _, text, *_)], _ = outcome_in_every_order(database, writes)
    assert (sender, text) == ("20", "A")


def test_a_name_that_was_stated_again_before_its_contact_was_known_is_the_latest(
    database: Database,
) -> None:
    event = message("mid.1", text="x")
    writes = [
        *(of_thread(second, event, name=name) for second, name in enumerate("ABA")),
        conversation("20", 0, event),
    ]
    [(sender, name, *_)], _ = outcome_in_every_order(database, writes)
    assert (sender, name) == ("20", "A")


def test_a_message_without_an_id_is_claimed_though_its_message_is_in_a_thread_without_a_contact(
    database: Database,
) -> None:
    writes = [
        of_thread(1, message("mid.1", text="A"), message("mid.2", 3, text="B")),
        conversation("20", 1, message("mid.1", text="A")),
        conversation("20", 3, without_id(3.5, text="B")),
    ]
    [(sender, *_, count, _)], _ = outcome_in_every_order(database, writes)
    assert (sender, count) == ("20", 2)


def test_an_edit_and_an_unsend_count_whenever_the_contact_becomes_known(
    database: Database,
) -> None:
    writes = [
        of_thread(1, message("mid.1", text="secret")),
        conversation("20", 1, message("mid.1", text="secret")),
        conversation("20", 3, changed("edit", 3, num_edit=1, text="secret")),
        conversation("20", 4, changed("unsend", 4)),
    ]
    [(sender, _, text, *_)], _ = outcome_in_every_order(database, writes)
    assert (sender, text) == ("20", None)


THREAD = of_thread(1, message("mid.1", text="A"), message("mid.2", 1, text="B"))
CONTACT = conversation("20", 1, message("mid.1", text="A"))
LATER = of_thread(2, message("mid.3", 2, text="C"))


@pytest.mark.parametrize(
    ("stored", "first", "second", "count"),
    [
        ([], THREAD, CONTACT, 2),
        ([], CONTACT, THREAD, 2),
        ([THREAD], CONTACT, LATER, 3),
        ([THREAD], LATER, CONTACT, 3),
    ],
)
def test_two_writers_of_a_thread_without_a_contact_find_its_contact(
    database: Database,
    stored: list[ConversationRow],
    first: ConversationRow,
    second: ConversationRow,
    count: int,
) -> None:
    for one in stored:
        upsert(database, one)
    with ThreadPoolExecutor() as pool:
        with database.transaction() as connection:
            upsert_within(connection, first)
            other = pool.submit(upsert, database, second)
            wait_until_blocked(database, connection)
        other.result()
    assert [(row[0], row[4]) for row in conversation_facts(database)] == [("20", count)]
    assert failed_checks(database) == {}


def test_an_event_for_a_thread_whose_contact_is_known_by_now_is_the_contacts(
    database: Database,
) -> None:
    """Its delivery was parsed while the contact was not known yet."""
    upsert(database, of_thread(1, message("mid.1", text="A")))
    upsert(database, conversation("20", 1, message("mid.1", text="A")))
    upsert(database, conversation("t_1", 2, message("mid.2", 1, text="B")))
    assert [(row[0], row[4]) for row in conversation_facts(database)] == [("20", 2)]


@pytest.mark.parametrize(
    "first",
    [
        of_thread(1, message("mid.1", text="x")),
        conversation("99", 3, changed("edit", 3, num_edit=1, text="y")),  # under an unknown id
    ],
)
def test_what_the_owner_wrote_about_a_conversation_follows_it(
    database: Database, first: ConversationRow
) -> None:
    with database.transaction() as connection:
        connection.execute(
            "create table public.notes (text text,"
            " about uuid references messenger_conversations (id) on delete cascade)"
        )
    upsert(database, first)
    query(database, "insert into notes select 'call back', id from messenger_conversations"
                    " returning 1")  # fmt: skip
    upsert(database, conversation("20", 1, message("mid.1", text="x")))
    found = "select sender_id, text from notes join messenger_conversations on id = about"
    assert query(database, found) == [("20", "call back")]
    assert query(database, "select count(*) from messenger_conversations") == [(1,)]
