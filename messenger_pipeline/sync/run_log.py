"""What a run logs, and the waits that it records for the status page."""

import logging
import time
from collections.abc import Callable

from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.progress import list_progress, record_wait
from messenger_pipeline.db.sessions import SyncSession
from messenger_pipeline.sync.sync_run import SyncRun

_log = logging.getLogger(__name__)
_PROGRESS_SECONDS = 10.0  # between two lines of progress


def log_start(run: SyncRun) -> None:
    """Log which page is walked, and from where to where."""
    page, session = run.page, run.session
    name = f"{page.name} ({page.facebook_page_id})" if page.name else page.facebook_page_id
    if session.step:
        _log.info(
            "resuming the %s sync of page %s, started at %s: %s so far",
            session.mode, name, f"{session.started_at:%Y-%m-%d %H:%M:%S %Z}",
            _count(session.total_synced, "conversation", "read"),
        )  # fmt: skip
        return
    down_to = "to the end of its list"
    if session.cutoff:
        down_to = f"down to {session.cutoff:%Y-%m-%d %H:%M:%S %Z}"
    article = "an" if session.mode == "incremental" else "a"
    _log.info("starting %s %s sync of page %s, %s", article, session.mode, name, down_to)
    if session.follows_adoption and session.mode == "full":
        _log.info(
            "it is the first sync since the database was adopted: a full one, since nothing says"
            " what the replaced application had read"
        )


def log_list_read(run: SyncRun) -> None:
    """Log how far the list was read, and how many gaps are open."""
    session = run.session
    [progress] = list_progress(run.database, [session.sync_session_id]).values()
    reached = "its cutoff" if session.cutoff else "its end"
    if session.truncated:
        reached = "where Meta stops giving it"
    _log.info(
        "read the list of conversations to %s; %s of history to read", reached,
        _count(progress.open_gaps, "gap"), extra={"open_gaps": progress.open_gaps},
    )  # fmt: skip


def log_progress(run: SyncRun) -> None:
    """Log how far the run is, at most every 10 seconds."""
    now = time.monotonic()
    if now - run.progress_logged_at < _PROGRESS_SECONDS:
        return
    run.progress_logged_at = now
    loaded = run.loaded
    facts = {
        "conversations": run.fetched, "inserted": loaded.inserted, "updated": loaded.updated,
        "events": loaded.events_created, "api_calls": run.client.calls,
        "waited_seconds": round(run.pacer.waited, 1),
    }  # fmt: skip
    _log.info(
        "%s: %s new, %s changed, %s; %.1f conversations per second",
        _count(run.fetched, "conversation", "read"), f"{loaded.inserted:,}",
        f"{loaded.updated:,}", _count(loaded.events_created, "new event"),
        run.fetched / (now - run.started_at), extra=facts,
    )  # fmt: skip


def log_quarantined(count: int) -> None:
    """Log that records of a response could not be used."""
    _log.warning("quarantined %s that cannot be used", _count(count, "record"))


def wait_reporter(database: Database, session: SyncSession) -> Callable[[float, str], None]:
    """A function that logs and records that the session's run waits: seconds, and for what."""

    def report_wait(seconds: float, what: str) -> None:
        _log.info("waiting %.0f s for %s", seconds, what, extra={"seconds": round(seconds, 1)})
        record_wait(database, session.sync_session_id, seconds, what)

    return report_wait


def _count(number: int, noun: str, participle: str = "") -> str:
    """`1 conversation read`, `2,000 conversations read`."""
    words = [f"{number:,}", noun if number == 1 else f"{noun}s", participle]
    return " ".join(word for word in words if word)
