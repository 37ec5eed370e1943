"""Running syncs in tests, and comparing what they stored with the simulated truth."""

import threading
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from messenger_pipeline.db.pool import Database
from messenger_pipeline.engine import Engine
from messenger_pipeline.errors import PageOwnerMustAct
from messenger_pipeline.sync.run import SyncRequest, SyncResult, sync_page
from tests.conftest import Simulated

Simulate = Callable[..., Simulated]
Connect = Callable[[Simulated], Engine]


def walk(engine: Engine, page_id: str, **options: Any) -> SyncResult:
    """Run one sync of a page; `options` are those of SyncRequest."""
    request = SyncRequest(page_id, options.pop("run_id", "run"), **options)
    return sync_page(engine, request, threading.Event())


def let_a_minute_pass(database: Database) -> None:
    """Move the first refusal of each page into the past, so that the next one confirms it."""
    with database.transaction() as connection:
        connection.execute("update page_tokens set refused_at = refused_at - interval '1 minute'")


def walk_until_switched_off(engine: Engine, page_id: str) -> None:
    """Walk a page that Meta refuses until that is confirmed: twice."""
    for _ in range(2):
        with pytest.raises(PageOwnerMustAct):
            walk(engine, page_id)
        let_a_minute_pass(engine.database)


def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    with database.transaction() as connection:
        return connection.execute(query).fetchall()


def stored(database: Database) -> Counter[tuple[Any, ...]]:
    """The events in the database, as rows to compare with `truth`."""
    return Counter(
        rows(
            database,
            "select e.page_id, c.sender_id, e.message_id, e.event_timestamp, e.event_type,"
            " e.metadata ->> 'text' from contact_interaction_events e"
            " join messenger_conversations c on c.id = e.conversation_id",
        )
    )


def truth(simulated: Simulated) -> Counter[tuple[Any, ...]]:
    """The events of the simulated pages, as rows to compare with `stored`."""
    return Counter(
        (
            row["page_id"],
            row["sender_id"],
            row["message_id"],
            datetime.strptime(row["created_time"], "%Y-%m-%dT%H:%M:%S%z"),
            row["event_type"],
            row["text"],
        )
        for page in simulated.pages
        for row in simulated.world.truth(page)
    )
