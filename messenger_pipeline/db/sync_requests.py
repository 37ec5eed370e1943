"""Syncs that somebody asks for: each is a row until a run begins with it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from messenger_pipeline.db.pool import Database


@dataclass(frozen=True)
class RequestOutcome:
    """What became of a request: `accepted`, `in_progress`, `unknown_session`, `session_ended`.

    In progress: `sync_session_id` is what is under way, where that is known, and `locked_by` the
    run that walks the page, None while the session only waits for one.
    """

    outcome: str
    sync_session_id: UUID | None
    locked_by: str | None
    locked_at: datetime | None


@dataclass(frozen=True)
class SyncRequested:
    """A request that is to become a run now."""

    id: int
    page_id: str
    sync_session_id: UUID
    max_conversations: int | None
    attempt: int


def request_sync(
    database: Database,
    page_id: str,
    *,
    mode: str,
    session: UUID | None,
    max_conversations: int | None,
    requested_by: str,
) -> RequestOutcome:
    """Ask for a sync of a page, by Facebook's id."""
    rows: list[RequestOutcome] = database.call(
        "request_sync",
        RequestOutcome,
        request_id=uuid4(),
        page_id=page_id,
        mode=mode,
        session=session,
        max_conversations=max_conversations,
        requested_by=requested_by,
    )
    return rows[0]


def take_requests(database: Database, busy: list[str]) -> list[SyncRequested]:
    """The requests that a run should be made for now; `busy` are pages whose runs are not
    finished. Each is given out once per turn."""
    return database.call("take_sync_requests", SyncRequested, busy=busy)
