"""The lease on walking a page, kept alive while it is held."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from messenger_pipeline.db.pool import Database
from messenger_pipeline.errors import DatabaseError, SyncInProgress

_log = logging.getLogger(__name__)

SECONDS = 60
"""Short, so that a dead run soon frees its page. A lease is renewed three times within it."""
_GRACE_SECONDS = 120.0
"""How long a run that was asked to stop still renews its lease. It ends after the response at hand,
which takes seconds; one that has not ended by then hangs, and must not hold its page for ever."""


@dataclass(frozen=True)
class _Holder:
    locked_by: str
    locked_at: datetime


def require_free(database: Database, page_id: str) -> None:
    """Raise SyncInProgress if a run is walking the page."""
    for holder in database.call("get_lease", _Holder, page_id=page_id):
        raise SyncInProgress(page_id, holder.locked_by, holder.locked_at)


@contextmanager
def held_lease(
    database: Database,
    page_id: str,
    locked_by: str,
    seconds: int = SECONDS,
    stop: threading.Event | None = None,
) -> Iterator[int]:
    """Hold the page's lease. Yields its fencing token. Raises SyncInProgress.

    The holder is not notified of a lost lease. Each write checks the token itself. Two minutes
    after `stop` was set the lease is renewed no more.
    """
    fence = database.value("take_lease", page_id=page_id, locked_by=locked_by, seconds=seconds)
    if fence is None:
        require_free(database, page_id)
        # Released between the two calls.
        raise SyncInProgress(page_id, "another run", datetime.now(UTC))
    heart = _Heart(database, page_id, locked_by, seconds, stop or threading.Event())
    try:
        heart.start()
        yield fence
    finally:
        heart.close()
        try:
            database.call("release_sync_lock", page_id=page_id, locked_by=locked_by)
        except DatabaseError as error:
            # The lease expires by itself, and the outcome of the run counts.
            _log.warning("the lease on page %s could not be released: %s", page_id, error)


class _Heart(threading.Thread):
    """Renews a lease until it is closed, or some time after `stop` was set. An error does not end
    it: whatever one renewal meets, the next one may succeed before the lease expires."""

    def __init__(
        self, database: Database, page_id: str, locked_by: str, seconds: int, stop: threading.Event
    ) -> None:
        super().__init__(name="lease", daemon=True)
        self._database = database
        self._page_id = page_id
        self._locked_by = locked_by
        self._seconds = seconds
        self._stop_requested = stop
        self._closed = threading.Event()

    def run(self) -> None:
        stopped_at: float | None = None
        pause = self._seconds / 3
        while not self._closed.wait(pause):
            if stopped_at is None and self._stop_requested.is_set():
                stopped_at = time.monotonic()
            if stopped_at is not None and time.monotonic() - stopped_at >= _GRACE_SECONDS:
                _log.warning(
                    "run %s was asked to stop and has not ended: its lease on page %s is renewed"
                    " no more",
                    self._locked_by,
                    self._page_id,
                )
                return
            # After a failure sooner, so that several attempts fit into the lease.
            pause = self._seconds / (3 if self._renew() else 12)

    def close(self) -> None:
        self._closed.set()
        if self.ident is not None:  # it could be started
            self.join()

    def _renew(self) -> bool:
        try:
            self._database.call(
                "extend_sync_lock",
                page_id=self._page_id,
                locked_by=self._locked_by,
                duration=self._seconds,
            )
        except Exception as error:  # noqa: BLE001 - the next renewal may succeed
            _log.warning("the lease on page %s could not be renewed: %s", self._page_id, error)
            return False
        return True
