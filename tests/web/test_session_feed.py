"""Live progress survives any single error, and comes back."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from typing import Any
from uuid import UUID

import psycopg
import pytest

from messenger_pipeline import progress
from messenger_pipeline.db import notifications
from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.progress import SessionProgress, list_progress
from messenger_pipeline.db.sync_requests import request_sync
from messenger_pipeline.web import session_feed, snapshots
from messenger_pipeline.web.session_feed import SessionFeed
from tests.db.test_load import query
from tests.webhook.test_drain import register


@pytest.fixture
def sessions(database: Database, monkeypatch: pytest.MonkeyPatch) -> list[UUID]:
    """Two requested syncs of two pages."""
    monkeypatch.setattr(session_feed, "_FULL_INTERVAL", 0.2)
    found = []
    for page_id in ("10", "11"):
        register(database, page_id)
        outcome = request_sync(
            database, page_id, mode="auto", session=None, max_conversations=None,
            requested_by="test",
        )  # fmt: skip
        assert outcome.sync_session_id
        found.append(outcome.sync_session_id)
    return found


def follow(database: Database, url: str, wanted: Callable[[bytes], bool]) -> None:
    """Follow all sessions until an event is the wanted one."""

    async def run() -> None:
        async with SessionFeed(database, url) as feed, aclosing(feed.follow(None)) as events:
            async with asyncio.timeout(15):
                async for event in events:
                    if wanted(event):
                        return

    asyncio.run(run())


@pytest.mark.parametrize("error", [AssertionError, KeyError, RecursionError])
def test_a_session_that_cannot_be_shown_hides_no_other(
    database: Database, url: str, sessions: list[UUID], monkeypatch: pytest.MonkeyPatch,
    error: type[Exception],
) -> None:  # fmt: skip
    first, second = sessions
    answer = progress.status_answer

    def failing(row: SessionProgress, now: Any) -> Any:
        if row.sync_session_id == first:
            raise error
        return answer(row, now)

    monkeypatch.setattr(snapshots, "status_answer", failing)
    follow(database, url, lambda event: str(second).encode() in event)


def test_a_read_that_fails_once_is_repeated(
    database: Database, url: str, sessions: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = iter([AssertionError, ValueError, MemoryError])

    def failing(database: Database, wanted: Any = None) -> Any:
        if (error := next(failures, None)) is not None:
            raise error
        return list_progress(database, wanted)

    monkeypatch.setattr(session_feed, "list_progress", failing)
    follow(database, url, lambda event: str(sessions[1]).encode() in event)
    assert next(failures, None) is None


def test_a_session_that_cannot_be_read_hides_no_other(
    database: Database, url: str, sessions: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = sessions

    def failing(database: Database, wanted: list[UUID] | None = None) -> Any:
        if wanted is None or first in wanted:
            raise ValueError("a time that the driver cannot read")
        return list_progress(database, wanted)

    async def run() -> list[bytes]:
        async with SessionFeed(database, url) as feed:
            row = list_progress(database, [second])[second]
            monkeypatch.setattr(session_feed, "list_progress", failing)
            async with (
                aclosing(feed.follow(list_progress(database, [first])[first])) as broken,
                aclosing(feed.follow(row)) as events,
                asyncio.timeout(15),
            ):
                await anext(broken)
                await anext(events)
                query(database, "update sync_state set changes = changes + 1 returning 1")
                return [await anext(events)]

    [event] = asyncio.run(run())
    assert str(second).encode() in event


def test_a_listener_that_fails_listens_again(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here one notification cannot be parsed; one that is not UTF-8 fails alike."""
    monkeypatch.setattr(notifications, "_BACKOFF", (0.05, 0.1))
    parse = notifications._parse

    def failing(payload: str) -> Any:
        if payload == "bad":
            raise UnicodeError
        return parse(payload)

    monkeypatch.setattr(notifications, "_parse", failing)

    def notify(payload: str) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("select pg_notify('a_channel', %s)", [payload])

    async def run() -> Iterable[Any]:
        received = []
        notified: AsyncGenerator[Any, None] = notifications.listen(url, "a_channel")
        async with aclosing(notified) as found, asyncio.timeout(15):
            async for payload in found:
                received.append(payload)
                if payload is None:  # it listens
                    notify("bad" if len(received) == 1 else '{"a": 1}')
                else:
                    return received
        return received

    assert asyncio.run(run()) == [None, None, {"a": 1}]
