"""How far a sync is, for people and for programs: pure, from what the database tells of it."""

from datetime import datetime
from uuid import UUID

from typing_extensions import TypedDict

from messenger_pipeline.db.progress import SessionProgress

_ENOUGH = 0.05  # of the time between watermark and cutoff; less says nothing of the rest
_MOMENT = 0.001  # seconds: the database keeps milliseconds

_BETWEEN_RUNS = {
    "requested": "asked for, a run is to begin within moments",
    "backing_off": "left alone for a while",
    "resumable": "goes on when Dagster has a run for it",
    "paused": "its page is paused",
    "needs_reauthorization": (
        "its page needs a new token: `messenger-pipeline pages add` with one of the page's owner"
    ),
    "removed": "its page is removed",
}


class StatusAnswer(TypedDict):
    """A sync session as it is told, by the names of the application that this replaces.

    `success` is null while the session is open and nothing went wrong; counts are those of all
    its runs; `change` grows with each change. What is not known is null.
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
    """What is told of a session."""
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
    """Whether the session came to its end; None while that is open, and nothing went wrong."""
    if session.outcome is not None:
        return session.outcome == "completed"
    # While a run is at it again, how the last one ended is past.
    failed = session.last_error is not None and session.run_id is None
    return False if failed and session.state != "requested" else None


def conversations_per_second(session: SessionProgress) -> float | None:
    """Over the time that runs worked, waits included."""
    if session.worked_seconds < _MOMENT:
        return None
    return session.total_synced / session.worked_seconds


def seconds_left(session: SessionProgress, now: datetime) -> float | None:
    """How long it will take from now, as far as what is done tells."""
    share = _share_left(session)
    if session.outcome is not None or share is None:
        return None
    wait = (session.waiting_until - now).total_seconds() if session.waiting_until else 0.0
    return share * session.worked_seconds + max(wait, 0.0)


def fraction_done(session: SessionProgress) -> float | None:
    """How much of all the work is done, from 0 to 1."""
    if session.outcome is not None:
        return 1.0 if session.outcome == "completed" else None
    share = _share_left(session)
    return None if share is None else 1 / (1 + share)


def _share_left(session: SessionProgress) -> float | None:
    """The work that is left, as a multiple of the work that is done."""
    if session.worked_seconds < _MOMENT:
        return None
    listing, gaps = _list_left(session), _gaps_left(session)
    return None if listing is None or gaps is None else listing + gaps


def _list_left(session: SessionProgress) -> float | None:
    if session.listed_at is not None:
        return 0.0
    if session.mode == "full":
        # More than expected: how many more, nobody knows.
        if not session.total_synced or (session.expected or 0) <= session.total_synced:
            return None
        assert session.expected is not None
        return (session.expected - session.total_synced) / session.total_synced
    covered = _time_covered(session)
    return None if covered is None or covered <= _ENOUGH else (1 - covered) / covered


def _time_covered(session: SessionProgress) -> float | None:
    """The part of the time from the newest thread down to the cutoff that is walked."""
    newest, cutoff, reached = session.next_watermark, session.cutoff, session.last_updated_time
    if newest is None or cutoff is None or reached is None or newest <= cutoff:
        return None
    return min(max((newest - reached) / (newest - cutoff), 0.0), 1.0)


def _gaps_left(session: SessionProgress) -> float | None:
    """A stretch of history takes about a call."""
    if not session.open_gaps:
        return 0.0
    return session.open_gaps / session.api_calls if session.api_calls > 0 else None


def describe(session: SessionProgress, now: datetime) -> str:
    """A sentence for people."""
    kind = "Full" if session.mode == "full" else "Incremental"
    if session.outcome is not None:
        return f"{kind} sync: {_ending(session)}"
    if session.state == "running":
        doing = "reads its list of threads"
        if session.listed_at is not None:
            doing = f"reads {session.open_gaps:,} more stretches of history"
            doing = doing if session.open_gaps else "finishes"
        return f"{kind} sync {doing}: {', '.join(_figures(session, now))}"
    if session.state == "rate_limited" and session.waiting_until:
        what = f" for {session.waiting_for}" if session.waiting_for else ""
        doing = f"waits{what} until {session.waiting_until:%H:%M:%S %Z}"
    else:
        doing = _BETWEEN_RUNS.get(session.state, session.state)
        if session.waiting_for:
            doing += f" ({session.waiting_for})"
        if session.waiting_until:
            doing += f", until {session.waiting_until:%H:%M:%S %Z}"
    why = f" after: {session.last_error}" if succeeded(session) is False else ""
    return f"{kind} sync {doing}; {_read(session)}{why}"


def _ending(session: SessionProgress) -> str:
    counted = f"{session.total_synced} conversation(s) with {session.events_created} events"
    if session.outcome == "completed":
        return f"{counted}; but {session.warning}" if session.warning else counted
    if session.outcome == "superseded":
        return f"{counted}, then a newer full sync took its place"
    why = session.warning or session.last_error
    return f"{session.outcome} after {counted}" + (f": {why}" if why else "")


def _figures(session: SessionProgress, now: datetime) -> list[str]:
    figures = [_read(session), f"{session.inserted:,} new", f"{session.updated:,} changed"]
    figures.append(f"{session.events_created:,} events")
    speed, left = conversations_per_second(session), seconds_left(session, now)
    if speed is not None:
        figures.append(f"{speed:.1f} a second")
    if left is not None:
        figures.append(f"about {in_words(left)} left")
    return figures


def _read(session: SessionProgress) -> str:
    of = f" of about {session.expected:,}" if (session.expected or 0) > session.total_synced else ""
    return f"{session.total_synced:,}{of} conversations read"


def in_words(seconds: float) -> str:
    """A duration as people say it."""
    whole = round(seconds)
    if whole < 90:
        return f"{whole} s"
    if whole < 90 * 60:
        return f"{round(whole / 60)} min"
    return f"{whole / 3600:.1f} h"
