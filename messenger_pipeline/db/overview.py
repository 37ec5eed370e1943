"""The state of all pages, for operators."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from messenger_pipeline.db.pool import Database


@dataclass(frozen=True)
class PageState:
    """A page with counts of its stored rows.

    `lag_seconds`: since the start of its last completed sync. `conversations_more`: the count
    stopped at its limit. `found`: the number of all pages that match the search.
    """

    id: str
    page_id: str
    page_name: str | None
    platform: str
    status: str
    status_reason: str | None
    has_token: bool
    last_synced_at: datetime | None
    next_sync_at: datetime
    lag_seconds: float | None
    conversations: int
    messages: int
    conversations_more: bool
    quarantined: int
    open_sessions: list[UUID]
    found: int


@dataclass(frozen=True)
class Overview:
    """Figures over all pages; see the SQL function get_overview."""

    pages: dict[str, int]
    open_sessions: int
    running_sessions: int
    waiting_requests: int
    oldest_request: datetime | None
    open_alerts: int
    open_errors: int
    inbox_waiting: int
    inbox_oldest: datetime | None
    deliveries_a_minute: int
    quarantined: int
    dagster_seen_at: datetime | None


def list_page_states(
    database: Database, *, search: str, status: str | None, offset: int, limit: int
) -> list[PageState]:
    """Return the pages that match, those whose owner must act first, then by name."""
    return database.call(
        "list_page_states", PageState, search=search, status=status, offset=offset, limit=limit
    )


def get_overview(database: Database) -> Overview:
    rows: list[Overview] = database.call("get_overview", Overview)
    return rows[0]


def list_last_sessions(database: Database, page_id: str, limit: int) -> list[UUID]:
    """Return the sync sessions of a page (by Facebook's id) that started last, newest first."""
    return [row[0] for row in database.call("list_last_sessions", page_id=page_id, limit=limit)]
