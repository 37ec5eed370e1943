"""The lease on walking a page, kept alive while it is held."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from messenger_pipeline.db.pool import Database
from messenger_pipeline.errors import DatabaseUnavailable, SyncInProgress

SECONDS = 60
"""Short, so that a dead run soon frees its page. A lease is renewed three times within it."""


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
    database: Database, page_id: str, locked_by: str, seconds: int = SECONDS
) -> Iterator[int]:
    """Hold the page's lease. Yields its fencing token. Raises SyncInProgress.

    The holder is not notified of a lost lease. Each write checks the token itself.
    """
    fence = database.value("take_lease", page_id=page_id, locked_by=locked_by, seconds=seconds)
    if fence is None:
        require_free(database, page_id)
        # Released between the two calls.
        raise SyncInProgress(page_id, "another run", datetime.now(UTC))
    ended = threading.Event()
    heart = threading.Thread(
        target=_beat, args=(database, page_id, locked_by, seconds, ended), name="lease", daemon=True
    )
    heart.start()
    try:
        yield fence
    finally:
        ended.set()
        heart.join()
        # If the database is unreachable, the lease expires by itself.
        with suppress(DatabaseUnavailable):
            database.call("release_sync_lock", page_id=page_id, locked_by=locked_by)


def _beat(
    database: Database, page_id: str, locked_by: str, seconds: int, ended: threading.Event
) -> None:
    while not ended.wait(seconds / 3):
        with suppress(DatabaseUnavailable):  # retried at the next beat
            database.call(
                "extend_sync_lock", page_id=page_id, locked_by=locked_by, duration=seconds
            )
