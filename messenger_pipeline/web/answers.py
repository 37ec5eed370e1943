"""What a caller that waited for a sync is answered, in the replaced application's shapes. Pure."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

from messenger_pipeline.db.progress import SessionProgress
from messenger_pipeline.progress import (
    StatusAnswer,
    conversations_per_second,
    describe,
    status_answer,
    succeeded,
)

_statuses = TypeAdapter(StatusAnswer)

_SUSPENDED = {"parked": 200, "paused": 200, "needs_reauthorization": 422, "removed": 404}
"""States in which nothing continues a session by itself, and the status of the answer."""
_BETWEEN_RUNS = ("resumable", "backing_off")
_FAILED = 502  # Meta could not be read


@dataclass(frozen=True)
class Answer:
    """A response's status, JSON body and headers."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)


def is_over(session: SessionProgress) -> bool:
    """Whether there is nothing to wait for: the session has ended or its last run has failed, or it
    goes on only when somebody acts. A caller waits while another run continues it by itself."""
    return session.outcome is not None or session.state in _SUSPENDED or succeeded(session) is False


def is_over_after_run(session: SessionProgress) -> bool:
    """As is_over, for a caller that limited the first run: when that run has ended, too."""
    return is_over(session) or session.state in _BETWEEN_RUNS


def encode_status(session: SessionProgress, now: datetime) -> dict[str, Any]:
    """The session's status, of JSON's types."""
    encoded: dict[str, Any] = _statuses.dump_python(status_answer(session, now), mode="json")
    return encoded


def answer_plain(session: SessionProgress, now: datetime) -> Answer:
    """The answer of /sync, /sync-fixed and /sync-stream: the session's status.

    `success` is true if the session completed, or goes on: then `hasMore` is true, too.
    """
    status = _status(session)
    body = encode_status(session, now)
    body["success"] = status == 200
    if status == 200:
        body["error"] = None  # an earlier run's: clients would take it for a failure
        return Answer(status, body)
    body["error"] = _sentence(session, now)
    return Answer(status, body, _retry_after(session, now))


def answer_optimized(session: SessionProgress, now: datetime) -> Answer:
    """The answer of /sync-optimized: the session's figures as `stats`."""
    plain = answer_plain(session, now)
    duration, speed = plain.body["duration"], conversations_per_second(session)
    message = plain.body["message"]
    if session.outcome == "completed" and not session.warning:
        message = f"Successfully synced {session.total_synced} conversations in {duration}"
    body = {
        "success": plain.body["success"],
        "stats": {
            "fetched": session.total_synced,
            "inserted": session.inserted,
            "updated": session.updated,
            "events": session.events_created,
            "batches": session.api_calls,
            "duration": duration,
            "speed": f"{speed or 0.0:.1f} conversations/sec",
            "errors": [text for text in (session.last_error, session.warning) if text],
        },
        "message": message,
    }
    kept = ("error", "syncMode", "hasMore", "resumeSession", "sync_session_id")
    body |= {name: plain.body[name] for name in kept}
    return Answer(plain.status, body, plain.headers)


Answering = Callable[[SessionProgress, datetime], Answer]


def _status(session: SessionProgress) -> int:
    if session.outcome is not None:
        # A newer full sync of the page is in progress.
        return {"completed": 200, "superseded": 409}.get(session.outcome, _FAILED)
    if session.state in _SUSPENDED:
        return _SUSPENDED[session.state]
    return _FAILED if succeeded(session) is False else 200


def _sentence(session: SessionProgress, now: datetime) -> str:
    text = describe(session, now)
    if session.outcome == "superseded":
        # Clients of the replaced application compare the beginning of this text.
        text = f"Sync already in progress for this page. {text}"
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _retry_after(session: SessionProgress, now: datetime) -> dict[str, str]:
    if session.outcome is not None or session.waiting_until is None:
        return {}
    seconds = (session.waiting_until - now).total_seconds()
    return {"Retry-After": str(max(1, round(seconds)))}
