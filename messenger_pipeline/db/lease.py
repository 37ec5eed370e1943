"""The lease on walking a page, kept alive while it is held."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from messenger_pipeline.db.pool import Database
from messenger_pipeline.errors import DatabaseUnavailable, SyncInProgress

SECONDS = 60
"""Short, so that a dead run soon frees its page. A lease is renewed three times within it."""


def require_free(database: Database, page_id: str) -> None:
    """Raise SyncInProgress if a run is walking the page."""
    for locked_by, locked_at, _ in database.call("get_lease", page_id=page_id):
        raise SyncInProgress(page_id, locked_by, locked_at)


@contextmanager
def held_lease(
    database: Database, page_id: str, locked_by: str, seconds: int = SECONDS
) -> Iterator[int]:
    """Hold the page's lease. Yields its fencing token. Raises SyncInProgress.

    The holder is not notified of a lost lease. Each write checks the token itself.
    """
    fence = database.value("take_lease", page_id=page_id, locked_by=locked_by, seconds=seconds)
    if fence is None:
        holder = database.call("get_lease", page_id=page_id)
        if not holder:  # released between the two calls
            holder = [("another run", datetime.now(UTC), None)]
        raise SyncInProgress(page_id, holder[0][0], holder[0][1])
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
