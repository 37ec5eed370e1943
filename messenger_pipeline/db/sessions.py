"""Sync sessions: opening, resuming and ending them, their list, threads, gaps and leases."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from messenger_pipeline.db.pool import Database
from messenger_pipeline.rows import ThreadState


@dataclass(frozen=True)
class SyncSession:
    """The columns of sync_state that a run needs. Counters are sums over the session's runs."""

    sync_session_id: UUID
    page_id: str
    mode: str
    restores: bool
    run_id: str | None
    step: int
    last_cursor: str | None
    cursor_fingerprint: str | None
    last_updated_time: datetime | None
    cutoff: datetime | None
    next_watermark: datetime | None
    listed_at: datetime | None
    list_restarts: int
    list_refused: bool
    truncated: str | None
    warning: str | None
    unknown_fields: dict[str, int]
    total_synced: int
    inserted: int
    updated: int
    unchanged: int
    deleted: int
    events_created: int
    quarantined: int
    api_calls: int
    outcome: str | None
    is_complete: bool
    last_error: str | None
    started_at: datetime
    updated_at: datetime
    ended_at: datetime | None
    follows_adoption: bool


@dataclass(frozen=True)
class Continuation:
    """An open session for a run to resume. `attempt` is unique among those of the session."""

    sync_session_id: UUID
    page_id: str
    attempt: str


@dataclass(frozen=True)
class MissingThread:
    """A thread that a full walk did not see. `probe_thread_id` is one that it did see."""

    thread_id: str
    probe_thread_id: str | None


@dataclass(frozen=True)
class Lease:
    """A lease that was not released. It may have expired.

    `idle_since` is the last sign that its holder works; it is in the future while the holder waits
    for Meta.
    """

    page_id: str
    locked_by: str
    expires_at: datetime
    idle_since: datetime


def open_session(
    database: Database, page_id: str, fence: int, mode: str, run_id: str, session: UUID | None
) -> SyncSession | None:
    """Open the session for this run to walk: resume an open one or start a new one.

    `session` selects the one to resume; returns None if it is not open. Raises LeaseLost.
    """
    opened = database.value(
        "open_sync_session",
        page_id=page_id,
        fence=fence,
        mode=mode,
        run_id=run_id,
        session=session,
    )
    return get_session(database, opened) if opened else None


def get_session(database: Database, session: UUID) -> SyncSession:
    """Return the current state of a session."""
    rows: list[SyncSession] = database.call("get_sync_session", SyncSession, session=session)
    return rows[0]


def list_sessions(
    database: Database, since: datetime, page_id: str | None = None
) -> list[SyncSession]:
    """Return the sessions that changed since a time, oldest first."""
    found = database.call("list_sync_sessions", since=since, page_id=page_id)
    return [get_session(database, row[0]) for row in found]


def suspend_session(
    database: Database,
    session: UUID,
    fence: int,
    seconds: float,
    error: str | None = None,
    waiting_for: str | None = None,
    parked: bool = False,
) -> None:
    """Leave a session open for a later run, which resumes it after `seconds` at the earliest.

    Records the error, or what the session waits for. `parked`: no continuation resumes it, because
    a person cancelled its run. Raises LeaseLost.
    """
    database.call(
        "suspend_sync_session",
        session=session,
        fence=fence,
        seconds=seconds,
        error=error,
        waiting_for=waiting_for,
        parked=parked,
    )


def park_cancelled_sync(
    database: Database, page_id: str, run_id: str, session: UUID | None, cancelled_at: datetime
) -> bool:
    """Park the sync of a run that a person cancelled and that could not do it itself.

    `session` is the one that the run was to resume. Returns whether a session was parked.
    """
    return bool(
        database.value(
            "park_cancelled_sync",
            page_id=page_id,
            run_id=run_id,
            session=session,
            cancelled_at=cancelled_at,
        )
    )


def complete_session(database: Database, session: UUID, fence: int) -> bool:
    """Complete a session. Returns False if its list is not read to the end or gaps are open.

    Raises LeaseLost.
    """
    return bool(database.value("complete_sync_session", session=session, fence=fence))


def accept_deletions(database: Database, page_id: str) -> None:
    """Let the page's open full walk, or its next one, mark any number of conversations deleted."""
    database.call("accept_deletions", page_id=page_id)


def warn_session(database: Database, session: UUID, fence: int, warning: str) -> None:
    """Record a warning about a session. Raises LeaseLost."""
    database.call("warn_sync_session", session=session, fence=fence, warning=warning)


def restart_list(
    database: Database, session: SyncSession, fence: int, step: int, reason: str
) -> None:
    """Restart the list from the top, or end it as truncated if a restart reached no deeper.

    Raises LeaseLost, SessionMoved.
    """
    database.call(
        "restart_session_list",
        session=session.sync_session_id,
        fence=fence,
        step=step,
        reason=reason,
    )


def give_up_list(
    database: Database, session: SyncSession, fence: int, step: int, reason: str
) -> None:
    """Continue without the list, which Meta refuses. Raises LeaseLost, SessionMoved."""
    database.call(
        "give_up_session_list",
        session=session.sync_session_id,
        fence=fence,
        step=step,
        reason=reason,
    )


def request_continuations(database: Database, busy: list[str]) -> list[Continuation]:
    """Claim the open sessions that a run should resume now.

    `busy` holds the sessions and pages whose runs are not finished. A claimed session is not
    returned again until its backoff is over.
    """
    return database.call("request_continuations", Continuation, busy=busy)


def list_leases(database: Database) -> list[Lease]:
    """Return the leases that were not released, expired ones included."""
    return database.call("list_leases", Lease)


def free_lease(
    database: Database, lease: Lease, run_status: str, run_ended_at: datetime | None
) -> bool:
    """Take a lease from a run that has ended, and leave a trace for the alert.

    Returns whether the run still held it.
    """
    return bool(
        database.value(
            "free_lease",
            page_id=lease.page_id,
            locked_by=lease.locked_by,
            run_status=run_status,
            run_ended_at=run_ended_at,
        )
    )


def list_thread_states(
    database: Database, page_id: str, thread_ids: list[str], session: UUID
) -> dict[str, ThreadState]:
    """Return what is stored about these threads, by thread id, as it counts for the session that
    walks them. An unknown thread has no entry."""
    # PostgreSQL's text cannot hold NUL: such a thread is never found.
    valid = [one for one in thread_ids if "\0" not in one]
    rows: list[ThreadState] = database.call(
        "list_thread_states", ThreadState, page_id=page_id, thread_ids=valid, session=session
    )
    return {row.thread_id: row for row in rows}


def was_list_refused(database: Database, page_id: str) -> bool:
    """Return whether Meta refused the page's list in the session that ended last."""
    return bool(database.value("was_list_refused", page_id=page_id))


def list_unseen_threads(database: Database, session: UUID, limit: int) -> list[str]:
    """Return the known threads that a session without a list has still to request, newest first."""
    rows = database.call("list_unseen_threads", session=session, limit=limit)
    return [thread_id for (thread_id,) in rows]


def list_missing_threads(
    database: Database, session: UUID, fence: int, *, final: bool, after: str = ""
) -> list[MissingThread]:
    """Return some threads that a full walk should have seen but did not, in order of their ids,
    those after `after`.

    Returns none, and records a warning, if the walk proves nothing, or if at the end of the walk
    (`final`) suspiciously many are missing. Raises LeaseLost.
    """
    return database.call(
        "list_missing_threads",
        MissingThread,
        session=session,
        fence=fence,
        final=final,
        after=after,
    )


def mark_threads_gone(
    database: Database, session: UUID, fence: int, gone: dict[str, datetime]
) -> None:
    """Record when Meta reported each thread gone, and mark conversations deleted whose threads are
    all gone. Raises LeaseLost."""
    database.call(
        "mark_threads_gone",
        session=session,
        fence=fence,
        thread_ids=list(gone),
        gone_at=list(gone.values()),
    )
