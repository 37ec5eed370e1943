"""Sync sessions as they change, for any number of watchers: one connection that listens, and one
query for what changed.

Of each session the newest state is kept while somebody watches, and nothing else: a watcher that
is slow finds the newest, and holds no memory of what it missed.
"""

import asyncio
import itertools
import logging
import time
from collections import Counter
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from pydantic import TypeAdapter
from sse_starlette import ServerSentEvent

from messenger_pipeline.db.notifications import announcements
from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.progress import ANNOUNCEMENTS, SessionProgress, list_progress
from messenger_pipeline.errors import PipelineError
from messenger_pipeline.progress import StatusAnswer, status_answer

_log = logging.getLogger(__name__)

_APART = 0.25  # seconds between two reads: what changes meanwhile is told once
_LOOK = 3.0  # seconds until everything watched is read again: a wait that ends is not announced
_LINGER = 30.0  # seconds after the last watcher for which one goes on listening
_KEPT = 60.0  # seconds that the end of a session is kept for who watches all

_answers = TypeAdapter(StatusAnswer)

Seen = tuple[UUID, int]
"""A session, and the number of the change that a watcher has seen last."""


@dataclass(frozen=True)
class Told:
    """The newest state of a session; `serial` orders all of them by when they were read."""

    row: SessionProgress
    serial: int
    event: bytes
    at: float

    @property
    def seen(self) -> Seen:
        return self.row.sync_session_id, self.row.changes


class Watching:
    """Use as an asynchronous context manager, which ends the watching."""

    def __init__(self, database: Database, listen_url: str) -> None:
        self._database = database
        self._listen_url = listen_url
        self._watched: Counter[UUID | None] = Counter()
        self._told: dict[UUID, Told] = {}
        self._serials = itertools.count(1)
        self._announced: set[UUID] = set()
        self._look_at_all = True
        self._news = asyncio.Event()
        self._changed = asyncio.Event()
        self._finding: dict[UUID, asyncio.Task[dict[UUID, SessionProgress]]] = {}
        self._keeper: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Watching":
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)

    async def find(self, session: UUID) -> SessionProgress | None:
        """A session as it is, None if there is none; those who ask at once share a query."""
        if self._watched[session] and session in self._told:
            return self._told[session].row
        finding = self._finding.get(session)
        if finding is None:
            finding = asyncio.create_task(self._read([session]))
            self._finding[session] = finding
            finding.add_done_callback(lambda _: self._finding.pop(session, None))
        return (await asyncio.shield(finding)).get(session)

    async def follow(
        self, session: SessionProgress | None, seen: Seen | None = None
    ) -> AsyncGenerator[bytes, None]:
        """The events of a session until it ended, or those of all open ones, without end. First
        what is, unless it was `seen`."""
        name = session.sync_session_id if session else None
        self._enter(name, session)
        try:
            position = 0
            while True:
                changed = self._changed
                for told in self._newer(name, position):
                    position = told.serial
                    if told.seen != seen:
                        yield told.event
                    if name is not None and told.row.outcome is not None:
                        return
                await changed.wait()
                if self._keeper is None:
                    return  # nobody reads any more; a watcher that comes again begins anew
        finally:
            self._watched[name] -= 1
            if not self._watched[name]:
                del self._watched[name]

    def _enter(self, name: UUID | None, session: SessionProgress | None) -> None:
        self._watched[name] += 1
        if name is None:
            self._look_at_all = True
        else:
            self._announced.add(name)  # it may have changed since it was found
            if session and name not in self._told:
                self._publish([session])
        self._news.set()
        if self._keeper is None or self._keeper.done():
            self._keeper = asyncio.create_task(self._keep())
            self._keeper.add_done_callback(_say_end)

    def _newer(self, name: UUID | None, position: int) -> list[Told]:
        """What was told after a position, in that order."""
        told = [*self._told.values()] if name is None else [self._told.get(name)]
        newer = [one for one in told if one and one.serial > position]
        return sorted(newer, key=lambda one: one.serial)

    async def _keep(self) -> None:
        """Reads what is announced, and now and then everything, as long as somebody watches."""
        listener = asyncio.create_task(self._listen())
        try:
            looked, watched = 0.0, time.monotonic()
            while time.monotonic() - watched < _LINGER:
                if self._watched.total():
                    watched = time.monotonic()
                await _wait(self._news, _LOOK)
                self._news.clear()
                look = self._look_at_all or time.monotonic() - looked >= _LOOK
                if await self._refresh(look) and look:
                    looked = time.monotonic()
                await asyncio.sleep(_APART)
        finally:
            # At once: who comes while the listener ends begins anew.
            self._keeper = None
            self._told.clear()
            self._wake()
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)

    async def _listen(self) -> None:
        async with aclosing(announcements(self._listen_url, ANNOUNCEMENTS)) as heard:
            async for told in heard:
                if told is None:
                    self._look_at_all = True
                else:
                    self._note(told.get("sync_session_id"))
                self._news.set()

    def _note(self, name: object) -> None:
        try:
            session = UUID(str(name))
        except ValueError:
            return
        if self._watched[None] > 0 or self._watched[session] > 0:
            self._announced.add(session)

    async def _refresh(self, look: bool) -> bool:
        """Read what changed, or everything that is watched; False if that was not possible."""
        names, self._announced = self._announced, set()
        self._look_at_all = False
        if look:
            names |= {name for name, count in self._watched.items() if name and count > 0}
        try:
            rows: dict[UUID, SessionProgress] = {}
            if look and self._watched[None] > 0:
                rows = await self._read(None)
                # What was open, and is not among them, has ended.
                names |= {name for name, one in self._told.items() if one.row.outcome is None}
            if missing := names - {*rows}:
                rows |= await self._read([*missing])
        except PipelineError as error:
            _log.warning("watchers wait for the database: %s", error)
            self._announced |= names
            self._look_at_all = True
            self._news.set()
            await asyncio.sleep(_LOOK)
            return False
        self._publish(rows.values())
        self._forget()
        return True

    async def _read(self, names: list[UUID] | None) -> dict[UUID, SessionProgress]:
        return await asyncio.to_thread(list_progress, self._database, names)

    def _publish(self, rows: Iterable[SessionProgress]) -> None:
        changed = False
        for row in rows:
            known = self._told.get(row.sync_session_id)
            if known is None or known.row != row:
                self._told[row.sync_session_id] = self._tell(row)
                changed = True
        if changed:
            self._wake()

    def _wake(self) -> None:
        waiting, self._changed = self._changed, asyncio.Event()
        waiting.set()

    def _tell(self, row: SessionProgress) -> Told:
        answer = status_answer(row, datetime.now(UTC))
        name = f"{row.sync_session_id}:{row.changes}"
        data = _answers.dump_json(answer).decode()
        event = ServerSentEvent(data, id=name, sep="\n").encode()
        return Told(row, next(self._serials), event, time.monotonic())

    def _forget(self) -> None:
        """Keep what somebody watches, and no end for long."""
        now = time.monotonic()
        for name, one in list(self._told.items()):
            of_all = self._watched[None] > 0
            if one.row.outcome is not None:
                of_all = of_all and now - one.at < _KEPT
            if self._watched[name] <= 0 and not of_all:
                del self._told[name]


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


def _say_end(keeper: "asyncio.Task[None]") -> None:
    """The next watcher begins anew; why it ended is for us to mend."""
    if not keeper.cancelled() and keeper.exception() is not None:
        _log.error("the watching of syncs ended", exc_info=keeper.exception())
