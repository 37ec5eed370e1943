"""The progress of sync sessions: what runs record, and what watchers read."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from messenger_pipeline.db.pool import Database

ANNOUNCEMENTS = "messenger_progress"
"""The channel that announces each changed session: {"page_id", "sync_session_id"}."""


@dataclass(frozen=True)
class SessionProgress:
    """A session as watchers see it. Counters are sums over its runs.

    `changes` grows with each change. `waiting_until`: the end of the run's wait for `waiting_for`;
    for an open session without a run, the time from which a run may resume it. `run_id`: the run
    that is walking it.
    """

    sync_session_id: UUID
    page_id: str
    page_name: str | None
    mode: str
    state: str
    changes: int
    total_synced: int
    inserted: int
    updated: int
    unchanged: int
    events_created: int
    quarantined: int
    failed_batches: int
    deleted: int
    api_calls: int
    open_gaps: int
    expected: int | None
    listed_at: datetime | None
    cutoff: datetime | None
    next_watermark: datetime | None
    last_updated_time: datetime | None
    worked_seconds: float
    waited_seconds: float
    waiting_until: datetime | None
    waiting_for: str | None
    run_id: str | None
    outcome: str | None
    last_error: str | None
    warning: str | None
    started_at: datetime
    updated_at: datetime
    ended_at: datetime | None


def list_progress(
    database: Database, sessions: list[UUID] | None = None
) -> dict[UUID, SessionProgress]:
    """Return the sessions with these ids, as far as they exist, or all open ones."""
    rows: list[SessionProgress] = database.call(
        "get_sync_progress", SessionProgress, sessions=sessions
    )
    return {row.sync_session_id: row for row in rows}


def find_open_full_sync(database: Database, page_id: str) -> str | None:
    """Return how a page's open full sync goes on: `parked` or `continued`. None: none is open."""
    found: str | None = database.value("find_open_full_sync", page_id=page_id)
    return found


def record_wait(database: Database, session: UUID, seconds: float, waiting_for: str) -> None:
    """Record that the session's run waits for `seconds` from now."""
    database.call("record_sync_wait", session=session, seconds=seconds, waiting_for=waiting_for)


def add_effort(
    database: Database, session: UUID, effort: dict[str, Any], run_outcome: str | None
) -> None:
    """Add the effort of a run since its last load, and how the run ended (None: it continues)."""
    database.call("add_sync_effort", session=session, effort=Jsonb(effort), run_outcome=run_outcome)
