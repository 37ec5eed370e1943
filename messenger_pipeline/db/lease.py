"""The lease on walking a page, kept alive while it is held."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from messenger_pipeline.db.pool import Database
from messenger_pipeline.errors import DatabaseUnavailable, SyncInProgress

SECONDS = 60
"""Short, so that a dead run's page is soon free; renewed three times in that time."""


def require_free(database: Database, page_id: str) -> None:
    """Raise SyncInProgress if somebody walks the page."""
    for locked_by, locked_at, _ in database.call("get_lease", page_id=page_id):
        raise SyncInProgress(page_id, locked_by, locked_at)


@contextmanager
def held_lease(
    database: Database, page_id: str, locked_by: str, seconds: int = SECONDS
) -> Iterator[int]:
    """Hold the page's lease; yields its fencing token. Raises SyncInProgress.

    A lease that is lost is noticed where it matters: the load checks the token itself.
    """
    fence = database.value("take_lease", page_id=page_id, locked_by=locked_by, seconds=seconds)
    if fence is None:
        holder = database.call("get_lease", page_id=page_id)
        if not holder:  # released between the two looks
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
        # If the database is away now, the lease runs out by itself.
        with suppress(DatabaseUnavailable):
            database.call("release_sync_lock", page_id=page_id, locked_by=locked_by)


def _beat(
    database: Database, page_id: str, locked_by: str, seconds: int, ended: threading.Event
) -> None:
    while not ended.wait(seconds / 3):
        with suppress(DatabaseUnavailable):  # tried again at the next beat
            database.call(
                "extend_sync_lock", page_id=page_id, locked_by=locked_by, duration=seconds
            )
