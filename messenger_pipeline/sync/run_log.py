"""What a run tells of itself: lines for whoever reads its log, notes for whoever watches."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from messenger_pipeline.db import sessions
from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.progress import count_effort, list_progress, note_wait
from messenger_pipeline.errors import DatabaseError
from messenger_pipeline.sync.walk import Walk

_log = logging.getLogger(__name__)


def say_beginning(walk: Walk) -> None:
    """Say which page is walked, and from where to where."""
    page, session = walk.page, walk.session
    name = f"{page.name} ({page.facebook_page_id})" if page.name else page.facebook_page_id
    if session.step:
        _log.info(
            "goes on with the %s sync of page %s begun at %s: %s conversations read so far",
            session.mode, name, f"{session.started_at:%Y-%m-%d %H:%M:%S}",
            f"{session.total_synced:,}",
        )  # fmt: skip
        return
    down_to = f"down to {session.cutoff:%Y-%m-%d %H:%M:%S}" if session.cutoff else "to the last"
    _log.info(
        "begins %s %s sync of page %s: its threads %s",
        "an" if session.mode == "incremental" else "a", session.mode, name, down_to,
    )  # fmt: skip


def tell_waits(database: Database, session: sessions.SyncSession) -> Callable[[float, str], None]:
    """What says, and notes, that the session's run waits so many seconds, and for what."""

    def tell(seconds: float, what: str) -> None:
        _log.info("waits %.0f s for %s", seconds, what, extra={"seconds": round(seconds, 1)})
        note_wait(database, session.sync_session_id, seconds, what)

    return tell


@dataclass
class Run:
    """Why it ended with more to do, if it did."""

    stopped: str | None = None


@contextmanager
def counted(walk: Walk) -> Iterator[Run]:
    """Counts what the run did after its last load, however it ends."""
    run = Run()
    outcome = "failed"
    try:
        yield run
        outcome = "partial" if run.stopped else "completed"
    finally:
        # What the count misses while the database is away is no reason to fail.
        with suppress(DatabaseError):
            count_effort(walk.database, walk.session.sync_session_id, walk.effort_since(), outcome)


def say_list_read(walk: Walk) -> None:
    """Say how far the list was read, and what is left below it."""
    session = walk.session
    [told] = list_progress(walk.database, [session.sync_session_id]).values()
    _log.info(
        "the list is read %s; %s stretches of threads' history are left to read",
        "as far as Meta gives it" if session.truncated else "to its cutoff" if session.cutoff
        else "to its end", f"{told.open_gaps:,}", extra={"open_gaps": told.open_gaps},
    )  # fmt: skip
