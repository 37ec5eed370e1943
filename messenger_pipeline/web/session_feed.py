"""The progress of sync sessions, for any number of subscribers.

One connection listens for changes, and one query reads all sessions that changed.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from uuid import UUID

from messenger_pipeline.db.notifications import listen
from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.progress import ANNOUNCEMENTS, SessionProgress, list_progress
from messenger_pipeline.errors import DatabaseUnavailable, reason_of
from messenger_pipeline.web.snapshots import EventId, Snapshot, Snapshots

_log = logging.getLogger(__name__)

_MIN_INTERVAL = 0.25  # seconds between two reads: changes in between are one event
_FULL_INTERVAL = 3.0  # seconds between reads of everything: the end of a wait sends no notification
_LINGER = 30.0  # seconds until it stops listening after the last subscriber has left


class SessionFeed:
    """Reads sessions while they have subscribers. Use as an asynchronous context manager."""

    def __init__(self, database: Database, listen_url: str) -> None:
        self._database = database
        self._listen_url = listen_url
        self._snapshots = Snapshots()
        self._pending: set[UUID] = set()  # sessions to read next
        self._read_all = True
        self._wake = asyncio.Event()
        self._finding: dict[UUID, asyncio.Task[dict[UUID, SessionProgress]]] = {}
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "SessionFeed":
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def find(self, session: UUID) -> SessionProgress | None:
        """A session's current state, None if there is no such session.

        Concurrent callers share one query. Raises PipelineError.
        """
        snapshot = self._snapshots.get(session)
        if snapshot and self._snapshots.subscribers[session]:
            return snapshot.row
        finding = self._finding.get(session)
        if finding is None:
            finding = asyncio.create_task(self._read([session]))
            self._finding[session] = finding
            finding.add_done_callback(lambda _: self._finding.pop(session, None))
        return (await asyncio.shield(finding)).get(session)

    async def follow(
        self, session: SessionProgress | None, seen: EventId | None = None
    ) -> AsyncGenerator[bytes, None]:
        """The events of a session, or, for None, of all open ones: see Snapshots.follow."""
        async with aclosing(self.watch(session, seen)) as snapshots:
            async for snapshot in snapshots:
                yield snapshot.event

    async def watch(
        self, session: SessionProgress | None, seen: EventId | None = None
    ) -> AsyncGenerator[Snapshot, None]:
        """The snapshots of a session, or, for None, of all open ones: see Snapshots.follow."""
        session_id = session.sync_session_id if session else None
        subscribers = self._snapshots.subscribers
        subscribers[session_id] += 1
        try:
            self._start(session)
            async with aclosing(self._snapshots.follow(session_id, seen)) as snapshots:
                async for snapshot in snapshots:
                    yield snapshot
        finally:
            subscribers[session_id] -= 1
            if not subscribers[session_id]:
                del subscribers[session_id]

    def _start(self, session: SessionProgress | None) -> None:
        """Start to read, unless that is running, and read the session, or all of them, soon."""
        if session is None:
            self._read_all = True
        else:
            self._pending.add(session.sync_session_id)  # it may have changed since it was read
            known = self._snapshots.get(session.sync_session_id)
            if known is None or known.row.changes < session.changes:
                self._snapshots.publish([session])
        self._wake.set()
        if self._task is None or self._task.done():
            self._snapshots.open()
            self._task = asyncio.create_task(self._run())
            self._task.add_done_callback(_log_failure)

    async def _run(self) -> None:
        """Read what notifications name, and regularly everything, while there are subscribers."""
        listener = asyncio.create_task(self._listen())
        try:
            read_all_at, watched_at = 0.0, time.monotonic()
            while time.monotonic() - watched_at < _LINGER:
                if self._snapshots.subscribers.total():
                    watched_at = time.monotonic()
                await _wait(self._wake, _FULL_INTERVAL)
                self._wake.clear()
                if listener.done():  # it never ends by itself
                    _log_failure(listener)
                    listener = asyncio.create_task(self._listen())
                read_all = self._read_all or time.monotonic() - read_all_at >= _FULL_INTERVAL
                if await self._refresh(read_all) and read_all:
                    read_all_at = time.monotonic()
                await asyncio.sleep(_MIN_INTERVAL)
        finally:
            # First of all, so that a subscriber that arrives while the listener ends starts a task.
            self._task = None
            self._snapshots.close()
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)

    async def _listen(self) -> None:
        async with aclosing(listen(self._listen_url, ANNOUNCEMENTS)) as notifications:
            async for payload in notifications:
                if payload is None:
                    self._read_all = True
                else:
                    self._note(payload.get("sync_session_id"))
                self._wake.set()

    def _note(self, session_id: object) -> None:
        try:
            session = UUID(str(session_id))
        except ValueError:
            return
        subscribers = self._snapshots.subscribers
        if subscribers[None] > 0 or subscribers[session] > 0:
            self._pending.add(session)

    async def _refresh(self, read_all: bool) -> bool:
        """Publish what is pending, or everything that has subscribers. False if reading failed."""
        pending, self._pending = self._pending, set()
        self._read_all = False
        try:
            rows = await self._read_changed(pending, read_all)
            self._snapshots.publish(row for row in rows.values() if row is not None)
            self._snapshots.remove(session for session, row in rows.items() if row is None)
            self._snapshots.discard_unwatched()
        except Exception as error:  # noqa: BLE001 - it is read again
            _log.warning("cannot read the progress of syncs, retrying: %s", reason_of(error))
            self._pending |= pending
            self._read_all = True
            self._wake.set()
            await asyncio.sleep(_FULL_INTERVAL)
            return False
        return True

    async def _read_changed(
        self, pending: set[UUID], read_all: bool
    ) -> dict[UUID, SessionProgress | None]:
        rows: dict[UUID, SessionProgress | None] = {}
        wanted = set(pending)
        if read_all:
            subscribers = self._snapshots.subscribers
            wanted |= {session for session, count in subscribers.items() if session and count > 0}
            if subscribers[None] > 0:
                rows |= await self._read_open()
                # A session that was open and is not in the list any more has ended.
                wanted |= self._snapshots.open_sessions()
        if missing := wanted - rows.keys():
            rows |= await self._read_each([*missing])
        return rows

    async def _read_each(self, sessions: list[UUID]) -> dict[UUID, SessionProgress | None]:
        """The sessions that can be read; None for those that do not exist."""
        try:
            found = await self._read(sessions)
            return {session: found.get(session) for session in sessions}
        except DatabaseUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - it is read again
            if len(sessions) == 1:
                _log.warning("cannot read the sync %s: %s", sessions[0], reason_of(error))
                return {}
        rows: dict[UUID, SessionProgress | None] = {}
        for session in sessions:
            rows |= await self._read_each([session])
        return rows

    async def _read_open(self) -> dict[UUID, SessionProgress]:
        """All open sessions; if one of them cannot be read, those that are known already."""
        try:
            return await self._read(None)
        except DatabaseUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - it is read again
            _log.warning("cannot read all open syncs at once: %s", reason_of(error))
            return {}

    async def _read(self, sessions: list[UUID] | None) -> dict[UUID, SessionProgress]:
        """The sessions named, or all open ones."""
        return await asyncio.to_thread(list_progress, self._database, sessions)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


def _log_failure(task: "asyncio.Task[None]") -> None:
    """A bug ended the task; the next subscriber starts another."""
    if not task.cancelled() and task.exception() is not None:
        _log.error("reading the progress of syncs failed", exc_info=task.exception())
