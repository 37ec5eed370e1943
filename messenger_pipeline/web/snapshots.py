"""The newest snapshot of each sync session that has a subscriber.

A subscriber that is slow gets the newest snapshot next, and none of those that it missed: nothing
is queued for anybody.
"""

import asyncio
import itertools
import logging
import time
from collections import Counter
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from pydantic import TypeAdapter
from sse_starlette import ServerSentEvent

from messenger_pipeline.db.progress import SessionProgress
from messenger_pipeline.progress import StatusAnswer, status_answer

_log = logging.getLogger(__name__)
_KEEP_ENDED = 60.0  # seconds that an ended session is kept for subscribers to all sessions

_answers = TypeAdapter(StatusAnswer)

EventId = tuple[UUID, int]
"""A session, and the number of the change after which the snapshot was taken."""


@dataclass(frozen=True)
class Snapshot:
    """A session's state, and the event that reports it. `serial` orders snapshots by time."""

    row: SessionProgress
    serial: int
    event: bytes
    taken_at: float

    @property
    def event_id(self) -> EventId:
        return self.row.sync_session_id, self.row.changes

    @property
    def has_ended(self) -> bool:
        return self.row.outcome is not None


class Snapshots:
    """The newest snapshot of each session, and how many subscribers each session has.

    Subscribers to all sessions are counted under None.
    """

    def __init__(self) -> None:
        self.subscribers: Counter[UUID | None] = Counter()
        self._newest: dict[UUID, Snapshot] = {}
        self._serials = itertools.count(1)
        self._changed = asyncio.Event()
        self._closed = True

    def open(self) -> None:
        self._closed = False

    def close(self) -> None:
        """Forget everything, and end what the subscribers follow."""
        self._closed = True
        self._newest.clear()
        self._wake()

    def get(self, session: UUID) -> Snapshot | None:
        return self._newest.get(session)

    def open_sessions(self) -> set[UUID]:
        """The sessions that had not ended when their snapshot was taken."""
        return {session for session, one in self._newest.items() if not one.has_ended}

    def publish(self, rows: Iterable[SessionProgress]) -> None:
        """Take a snapshot of each session that has changed, and wake the subscribers."""
        changed = False
        for row in rows:
            known = self._newest.get(row.sync_session_id)
            if known is not None and (known.row == row or known.row.changes > row.changes):
                continue  # a read that began earlier may end later
            try:
                self._newest[row.sync_session_id] = self._take(row)
            except Exception:  # noqa: BLE001 - the other sessions can be shown
                _log.exception("the state of sync %s cannot be shown", row.sync_session_id)
                continue
            changed = True
        if changed:
            self._wake()

    def remove(self, sessions: Iterable[UUID]) -> None:
        """Forget sessions that do not exist any more, and end what their subscribers follow."""
        removed = [self._newest.pop(session, None) for session in sessions]
        if any(removed):
            self._wake()

    def discard_unwatched(self) -> None:
        """Forget sessions without a subscriber, and those that ended a while ago."""
        now = time.monotonic()
        for session, one in list(self._newest.items()):
            watched = self.subscribers[None] > 0
            if one.has_ended:
                watched = watched and now - one.taken_at < _KEEP_ENDED
            if self.subscribers[session] <= 0 and not watched:
                del self._newest[session]

    async def follow(
        self, session: UUID | None, seen: EventId | None
    ) -> AsyncGenerator[Snapshot, None]:
        """A session's snapshots until it has ended, or, for None, all sessions' without end.

        The first is the current state, unless that is the event that was `seen` last. They end
        early if the session does not exist any more.
        """
        position = 0
        while True:
            changed = self._changed
            for snapshot in self._newer(session, position):
                position = snapshot.serial
                if snapshot.event_id != seen:
                    yield snapshot
                if session is not None and snapshot.has_ended:
                    return
            if session is not None and position and session not in self._newest:
                return
            await changed.wait()
            if self._closed:
                return  # the client reconnects

    def _newer(self, session: UUID | None, position: int) -> list[Snapshot]:
        """Snapshots with a greater serial, in order."""
        found = [*self._newest.values()] if session is None else [self._newest.get(session)]
        newer = [one for one in found if one and one.serial > position]
        return sorted(newer, key=lambda one: one.serial)

    def _take(self, row: SessionProgress) -> Snapshot:
        answer = status_answer(row, datetime.now(UTC))
        event_id = f"{row.sync_session_id}:{row.changes}"
        data = _answers.dump_json(answer).decode()
        event = ServerSentEvent(data, id=event_id, sep="\n").encode()
        return Snapshot(row, next(self._serials), event, time.monotonic())

    def _wake(self) -> None:
        waiting, self._changed = self._changed, asyncio.Event()
        waiting.set()
