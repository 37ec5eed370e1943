"""Requests that wait for a sync to end: hundreds, with no thread and no connection of their own.

All follow the same feed, which listens on one connection and reads what changed in one query.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

from starlette.requests import Request

from messenger_pipeline.db.progress import SessionProgress
from messenger_pipeline.errors import PipelineError, reason_of
from messenger_pipeline.web.preferences import Preferences
from messenger_pipeline.web.session_feed import SessionFeed
from messenger_pipeline.web.snapshots import EventId, Snapshot

_log = logging.getLogger(__name__)
_PAUSE = 1.0  # seconds before a session is followed again, after the feed ended or failed


class ClientGone(Exception):
    """The client disconnected while it waited."""


class SessionGone(Exception):
    """The session was deleted while somebody waited for it."""


class Waits:
    """The places of requests that wait, `limit` of them, and what they wait for.

    `waiting`: how many places are taken.
    """

    def __init__(self, feed: SessionFeed, limit: int, default_seconds: int) -> None:
        self._feed = feed
        self._default_seconds = default_seconds
        self._limit = limit
        self.waiting = 0
        self._ending = asyncio.Event()

    def seconds(self, preferences: Preferences) -> int:
        """How long a request with these preferences waits; 0: not at all."""
        if preferences.wait is not None:
            return preferences.wait
        return 0 if preferences.respond_async else self._default_seconds

    def take_place(self) -> bool:
        """Take a place, to be given back; False if all are taken, or the server is ending."""
        if self.waiting >= self._limit or self._ending.is_set():
            return False
        self.waiting += 1
        return True

    def give_back_place(self) -> None:
        self.waiting -= 1

    def end(self) -> None:
        """End all waits at once, as if their time were over: the server is ending."""
        self._ending.set()

    async def wait(
        self,
        row: SessionProgress,
        seconds: float,
        is_over: Callable[[SessionProgress], bool],
        request: Request,
    ) -> SessionProgress:
        """Wait until `is_over` holds of a session, at most `seconds`. Returns its newest state.

        `request` is the waiting one, its body read. Raises ClientGone and SessionGone.
        """
        newest = row

        async def follow() -> None:
            nonlocal newest
            async with aclosing(self.follow(row, seconds)) as snapshots:
                async for snapshot in snapshots:
                    newest = snapshot.row
                    if is_over(newest):
                        return

        following = asyncio.create_task(follow())
        leaving = asyncio.create_task(_leave(request))
        try:
            done, _ = await asyncio.wait({following, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if following not in done:
                raise ClientGone
            following.result()
            return newest
        finally:
            following.cancel()
            leaving.cancel()
            await asyncio.gather(following, leaving, return_exceptions=True)

    async def follow(
        self, row: SessionProgress, seconds: float | None, seen: EventId | None = None
    ) -> AsyncGenerator[Snapshot, None]:
        """A session's snapshots: see SessionFeed.watch. They end after `seconds`, too, and when the
        server ends, and outlast failures of the feed. Raises SessionGone."""
        until = None if seconds is None else time.monotonic() + seconds
        ending = asyncio.create_task(self._ending.wait())
        try:
            while True:
                async with aclosing(self._feed.watch(row, seen)) as snapshots:
                    while True:
                        coming = asyncio.create_task(_next(snapshots))
                        if not await _first(coming, ending, until):
                            return
                        snapshot = coming.result()
                        if snapshot is None:
                            break
                        row, seen = snapshot.row, snapshot.event_id
                        yield snapshot
                if row.outcome is not None:
                    return
                checking = asyncio.create_task(self._check(row))
                if not await _first(checking, ending, until):
                    return
                checking.result()
        finally:
            ending.cancel()
            await asyncio.gather(ending, return_exceptions=True)

    async def _check(self, row: SessionProgress) -> None:
        """Raise SessionGone if the session does not exist any more."""
        await asyncio.sleep(_PAUSE)
        try:
            found = await self._feed.find(row.sync_session_id)
        except PipelineError as error:
            _log.warning("cannot read the progress of a sync, retrying: %s", reason_of(error))
            return
        if found is None:
            raise SessionGone


async def _first(
    task: "asyncio.Task[Any]", ending: "asyncio.Task[Any]", until: float | None
) -> bool:
    """Whether a task ends before the server does, and before `until`. If not, it is cancelled."""
    try:
        left = None if until is None else max(0.0, until - time.monotonic())
        await asyncio.wait({task, ending}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        return task.done()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _leave(request: Request) -> None:
    """Wait until the client disconnects: after the body nothing else comes."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _next(snapshots: AsyncGenerator[Snapshot, None]) -> Snapshot | None:
    return await anext(snapshots, None)
