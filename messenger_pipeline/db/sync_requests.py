"""Requested syncs: each is a pending row until a run starts it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from messenger_pipeline.db.pool import Database


@dataclass(frozen=True)
class RequestOutcome:
    """The outcome of a request: `accepted`, `in_progress`, `unknown_session`, `session_ended`.

    If in progress: `sync_session_id` is the session in progress, if known, and `locked_by` the run
    that is walking the page, None while the session waits for a run.
    """

    outcome: str
    sync_session_id: UUID | None
    locked_by: str | None
    locked_at: datetime | None


@dataclass(frozen=True)
class ClaimedRequest:
    """A request for which a run should be launched now."""

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
    """Request a sync of a page, by Facebook's id."""
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


def claim_requests(database: Database, busy: list[str]) -> list[ClaimedRequest]:
    """Claim the requests for which a run should be launched now.

    `busy` holds the pages whose runs are not finished. A claimed request is not returned again
    until its backoff is over.
    """
    return database.call("claim_sync_requests", ClaimedRequest, busy=busy)
