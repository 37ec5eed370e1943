"""Minimal overlapping calls that must give the same rows as sequential ones."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.sessions import mark_threads_gone
from tests.convergence.sql_calls import (
    at,
    conversation,
    failed_checks,
    load_response,
    message,
    open_session,
    query,
    thread_row,
    upsert,
    upsert_within,
    wait_until_blocked,
)


@contextmanager
def during(
    database: Database, first: Callable[[Any], object], other: Callable[[], object]
) -> Iterator[None]:
    """Run `other` while the transaction of `first` is open, so that it waits for the commit."""
    worker = threading.Thread(target=other)
    with database.transaction() as connection:
        first(connection)
        worker.start()
        wait_until_blocked(database, connection)
    worker.join()
    yield


def test_a_message_reported_for_another_contact_during_a_load_keeps_the_owners_count_right(
    database: Database,
) -> None:
    upsert(database, conversation("20", 1, message("mid.1", text="a")))
    with during(
        database,
        lambda c: upsert_within(c, conversation("20", 2, message("mid.2", 2, text="b"))),
        lambda: upsert(database, conversation("30", 3, message("mid.1", text="edited"))),
    ):
        assert failed_checks(database) == {}


def test_of_two_concurrent_edits_for_two_contacts_the_later_wins(
    database: Database,
) -> None:
    """The upsert for the other contact has looked up its events and waits for one of them when the
    owner's upsert starts."""
    upsert(database, conversation("20", 1, message("mid.1", text="first")))
    events = [message("mid.1", text="second"), message("mid.9", text="new")]
    worker = threading.Thread(target=upsert, args=(database, conversation("30", 2, *events)))
    with database.transaction() as owner:
        with database.transaction() as third:
            upsert_within(third, conversation("40", 1, message("mid.9", text="new")))
            worker.start()
            wait_until_blocked(database, third)
            upsert_within(owner, conversation("20", 3, message("mid.1", text="third")))
        wait_until_blocked(database, owner)
    worker.join()
    assert query(database, "select content from event_facts where message_id = 'mid.1'") == [
        ('{}"third"',)
    ]


def test_a_newer_message_during_a_gone_mark_keeps_the_conversation_active(
    database: Database,
) -> None:
    session = open_session(database)
    row = conversation("20", 1, message("mid.1", text="a"))
    load_response(database, session, 0, "one", [row], [thread_row("t", "20", at(1))])
    with during(
        database,
        lambda c: upsert_within(c, conversation("20", 6, message("mid.2", 6, text="b"))),
        lambda: mark_threads_gone(database, *session, {"t": at(5)}),
    ):
        assert query(database, "select conversation_status from conversation_facts") == [
            ("active",)
        ]
