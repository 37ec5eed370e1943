"""The progress of a sync, for people and for programs. Pure, computed from the stored session."""

from datetime import datetime
from uuid import UUID

from typing_extensions import TypedDict

from messenger_pipeline.db.progress import SessionProgress

_MIN_COVERED = 0.05  # of the time between watermark and cutoff; less allows no estimate
_MIN_SECONDS = 0.001  # the database stores milliseconds

_BETWEEN_RUNS = {
    "requested": "is requested and will start in a moment",
    "backing_off": "is waiting before its next attempt",
    "resumable": "is waiting for Dagster to start its next run",
    "parked": "was cancelled: start a sync of the page to go on with it",
    "paused": "is suspended because its page is paused",
    "needs_reauthorization": (
        "is suspended because its page needs a new token: run `messenger-pipeline pages add` with"
        " one from the page's owner"
    ),
    "removed": "is suspended because its page was removed",
}


class StatusAnswer(TypedDict):
    """The status of a sync session, with the names of the application that this replaces.

    `success` is null while the session is open and has not failed. Counts cover all its runs.
    `change` grows with each change. Unknown values are null.
    """

    success: bool | None
    sync_session_id: UUID
    pageId: str
    pageName: str | None
    syncMode: str
    state: str
    message: str
    synced: int
    total: int
    expected: int | None
    inserted: int
    updated: int
    unchanged: int
    eventsCreated: int
    quarantined: int
    failedBatches: int
    openGaps: int
    hasMore: bool
    resumeSession: UUID | None
    duration: str
    durationSeconds: float
    speed: str | None
    conversationsPerSecond: float | None
    fraction: float | None
    secondsLeft: float | None
    waitingUntil: datetime | None
    waitingFor: str | None
    error: str | None
    warning: str | None
    startedAt: datetime
    updatedAt: datetime
    endedAt: datetime | None
    runId: str | None
    change: int


def status_answer(session: SessionProgress, now: datetime) -> StatusAnswer:
    """The status of a session at the time `now`."""
    speed = conversations_per_second(session)
    left = seconds_left(session, now)
    part = fraction_done(session)
    is_open = session.outcome is None
    return {
        "success": succeeded(session),
        "sync_session_id": session.sync_session_id,
        "pageId": session.page_id,
        "pageName": session.page_name,
        "syncMode": session.mode,
        "state": session.state,
        "message": describe(session, now),
        "synced": session.total_synced,
        "total": session.total_synced,
        "expected": session.expected,
        "inserted": session.inserted,
        "updated": session.updated,
        "unchanged": session.unchanged,
        "eventsCreated": session.events_created,
        "quarantined": session.quarantined,
        "failedBatches": session.failed_batches,
        "openGaps": session.open_gaps,
        "hasMore": is_open,
        "resumeSession": session.sync_session_id if is_open else None,
        "duration": f"{session.worked_seconds:.1f}s",
        "durationSeconds": round(session.worked_seconds, 3),
        "speed": None if speed is None else f"{speed:.1f} conversations/sec",
        "conversationsPerSecond": None if speed is None else round(speed, 1),
        "fraction": None if part is None else round(part, 4),
        "secondsLeft": None if left is None else round(left, 1),
        "waitingUntil": session.waiting_until,
        "waitingFor": session.waiting_for,
        "error": session.last_error,
        "warning": session.warning,
        "startedAt": session.started_at,
        "updatedAt": session.updated_at,
        "endedAt": session.ended_at,
        "runId": session.run_id,
        "change": session.changes,
    }


def succeeded(session: SessionProgress) -> bool | None:
    """Whether the session completed; None while it is open and its last run did not fail."""
    if session.outcome is not None:
        return session.outcome == "completed"
    # The error of the last run no longer counts while another run is in progress.
    failed = session.last_error is not None and session.run_id is None
    return False if failed and session.state != "requested" else None


def conversations_per_second(session: SessionProgress) -> float | None:
    """The average over all runs, waits included; None if they took no measurable time."""
    if session.worked_seconds < _MIN_SECONDS:
        return None
    return session.total_synced / session.worked_seconds


def seconds_left(session: SessionProgress, now: datetime) -> float | None:
    """An estimate of the seconds left from `now`; None if there is too little to go by."""
    share = _share_left(session)
    if session.outcome is not None or share is None:
        return None
    wait = (session.waiting_until - now).total_seconds() if session.waiting_until else 0.0
    return share * session.worked_seconds + max(wait, 0.0)


def fraction_done(session: SessionProgress) -> float | None:
    """An estimate of how much of all the work is done, from 0 to 1; None if unknown."""
    if session.outcome is not None:
        return 1.0 if session.outcome == "completed" else None
    share = _share_left(session)
    return None if share is None else 1 / (1 + share)


def _share_left(session: SessionProgress) -> float | None:
    """The work left, as a multiple of the work done."""
    if session.worked_seconds < _MIN_SECONDS:
        return None
    listing, gaps = _list_left(session), _gaps_left(session)
    return None if listing is None or gaps is None else listing + gaps


def _list_left(session: SessionProgress) -> float | None:
    if session.listed_at is not None:
        return 0.0
    if session.mode == "full":
        # Past what was expected, how many more there are is unknown.
        if not session.total_synced or (session.expected or 0) <= session.total_synced:
            return None
        assert session.expected is not None
        return (session.expected - session.total_synced) / session.total_synced
    covered = _time_covered(session)
    return None if covered is None or covered <= _MIN_COVERED else (1 - covered) / covered


def _time_covered(session: SessionProgress) -> float | None:
    """How much of the time from the newest thread down to the cutoff is read, from 0 to 1."""
    newest, cutoff, reached = session.next_watermark, session.cutoff, session.last_updated_time
    if newest is None or cutoff is None or reached is None or newest <= cutoff:
        return None
    return min(max((newest - reached) / (newest - cutoff), 0.0), 1.0)


def _gaps_left(session: SessionProgress) -> float | None:
    """The work left for open gaps, of about one call each."""
    if not session.open_gaps:
        return 0.0
    return session.open_gaps / session.api_calls if session.api_calls > 0 else None


def describe(session: SessionProgress, now: datetime) -> str:
    """The progress of a session in a sentence."""
    kind = "Full" if session.mode == "full" else "Incremental"
    if session.outcome is not None:
        return f"{kind} sync: {_describe_ended(session)}"
    if session.state == "running":
        return f"{kind} sync {_activity(session)}: {', '.join(_figures(session, now))}"
    if session.state == "rate_limited" and session.waiting_until:
        what = f" for {session.waiting_for}" if session.waiting_for else ""
        doing = f"is waiting{what} until {session.waiting_until:%H:%M:%S %Z}"
    else:
        doing = _BETWEEN_RUNS.get(session.state, session.state)
        if session.waiting_for:
            doing += f" ({session.waiting_for})"
        if session.waiting_until:
            doing += f", until {session.waiting_until:%H:%M:%S %Z}"
    error = f". Last error: {session.last_error}" if succeeded(session) is False else ""
    return f"{kind} sync {doing}; {_conversations_read(session)}{error}"


def _activity(session: SessionProgress) -> str:
    """What a running session is doing."""
    if session.listed_at is None:
        return "is reading the list of conversations"
    if session.open_gaps:
        gaps = "gap" if session.open_gaps == 1 else "gaps"
        return f"is reading {session.open_gaps:,} more {gaps} of history"
    return "is finishing"


def _describe_ended(session: SessionProgress) -> str:
    counted = f"{session.total_synced} conversation(s) with {session.events_created} events"
    if session.outcome == "completed":
        return f"{counted}; but {session.warning}" if session.warning else counted
    if session.outcome == "superseded":
        return f"{counted}, then superseded by a newer full sync"
    why = session.warning or session.last_error
    return f"{session.outcome} after {counted}" + (f": {why}" if why else "")


def _figures(session: SessionProgress, now: datetime) -> list[str]:
    figures = [
        _conversations_read(session),
        f"{session.inserted:,} new",
        f"{session.updated:,} changed",
    ]
    figures.append(f"{session.events_created:,} events")
    speed, left = conversations_per_second(session), seconds_left(session, now)
    if speed is not None:
        figures.append(f"{speed:.1f} per second")
    if left is not None:
        figures.append(f"about {format_duration(left)} left")
    return figures


def _conversations_read(session: SessionProgress) -> str:
    of = f" of about {session.expected:,}" if (session.expected or 0) > session.total_synced else ""
    return f"{session.total_synced:,}{of} conversations read"


def format_duration(seconds: float) -> str:
    """A duration in a unit that suits its length: 89 s, 2 min, 1.5 h."""
    whole = round(seconds)
    if whole < 90:
        return f"{whole} s"
    if whole < 90 * 60:
        return f"{round(whole / 60)} min"
    return f"{whole / 3600:.1f} h"
