"""Calls that begin while another is not ended, and end in the rows of one after the other."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.sessions import mark_threads_gone
from tests.convergence.asking import (
    asked,
    at,
    conversation,
    findings,
    message,
    open_session,
    respond,
    thread_row,
    upsert,
    upsert_within,
    wait_until_blocked,
)


@contextmanager
def during(
    database: Database, first: Callable[[Any], object], other: Callable[[], object]
) -> Iterator[None]:
    """`other` begins while `first`'s transaction is open, and waits for it."""
    worker = threading.Thread(target=other)
    with database.transaction() as connection:
        first(connection)
        worker.start()
        wait_until_blocked(database, connection)
    worker.join()
    yield


def test_a_message_told_of_another_contact_leaves_the_owners_count_true_during_a_load(
    database: Database,
) -> None:
    upsert(database, conversation("20", 1, message("mid.1", text="a")))
    with during(
        database,
        lambda c: upsert_within(c, conversation("20", 2, message("mid.2", 2, text="b"))),
        lambda: upsert(database, conversation("30", 3, message("mid.1", text="edited"))),
    ):
        assert findings(database) == {}


def test_two_edits_told_of_two_contacts_at_once_end_in_the_later(
    database: Database,
) -> None:
    """The one that tells of another contact has looked for new events, and waits for one of
    them, when the other begins."""
    upsert(database, conversation("20", 1, message("mid.1", text="first")))
    told = [message("mid.1", text="second"), message("mid.9", text="new")]
    worker = threading.Thread(target=upsert, args=(database, conversation("30", 2, *told)))
    with database.transaction() as owner:
        with database.transaction() as third:
            upsert_within(third, conversation("40", 1, message("mid.9", text="new")))
            worker.start()
            wait_until_blocked(database, third)
            upsert_within(owner, conversation("20", 3, message("mid.1", text="third")))
        wait_until_blocked(database, owner)
    worker.join()
    assert asked(database, "select content from event_facts where message_id = 'mid.1'") == [
        ('{}"third"',)
    ]


def test_a_message_that_comes_while_its_thread_is_marked_gone_keeps_it(database: Database) -> None:
    session = open_session(database)
    row = conversation("20", 1, message("mid.1", text="a"))
    respond(database, session, 0, "one", [row], [thread_row("t", "20", at(1))])
    with during(
        database,
        lambda c: upsert_within(c, conversation("20", 6, message("mid.2", 6, text="b"))),
        lambda: mark_threads_gone(database, *session, {"t": at(5)}),
    ):
        assert asked(database, "select conversation_status from conversation_facts") == [
            ("active",)
        ]
