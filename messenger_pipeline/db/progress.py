"""How sync sessions get on: what a run notes of it, and what a watcher is told."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from messenger_pipeline.db.pool import Database

ANNOUNCEMENTS = "messenger_progress"
"""The channel on which each session that changed is named: {"page_id", "sync_session_id"}."""


@dataclass(frozen=True)
class SessionProgress:
    """A session as a watcher is told; counters are those of all its runs.

    `changes` grows with each change. `waiting_until`: of a run that waits for `waiting_for`, or
    until when an open session without one is left alone. `run_id`: the run that is at it.
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
    """The sessions named, as far as they exist, or all that are open."""
    rows: list[SessionProgress] = database.call(
        "get_sync_progress", SessionProgress, sessions=sessions
    )
    return {row.sync_session_id: row for row in rows}


def note_wait(database: Database, session: UUID, seconds: float, waiting_for: str) -> None:
    """Note that the session's run waits so long from now."""
    database.call("note_sync_wait", session=session, seconds=seconds, waiting_for=waiting_for)


def count_effort(
    database: Database, session: UUID, effort: dict[str, Any], run_outcome: str | None
) -> None:
    """Count what a run did since its last load, and how it ended."""
    database.call(
        "count_sync_effort", session=session, effort=Jsonb(effort), run_outcome=run_outcome
    )
