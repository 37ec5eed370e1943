"""Records that could not be used."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from messenger_pipeline.db.load import encode
from messenger_pipeline.db.pool import Database


@dataclass(frozen=True)
class Quarantined:
    """A row of quarantined_records. `sender_id` is the contact of its thread, if known.

    `discarded_by` and `discard_reason` are set if it was discarded, at `resolved_at`.
    """

    id: int
    page_id: str
    source: str
    kind: str
    identity: str
    thread_id: str | None
    sender_id: str | None
    reason: str
    record: Any
    first_seen_at: datetime
    last_seen_at: datetime
    seen_count: int
    discarded_by: str | None = None
    discard_reason: str | None = None
    resolved_at: datetime | None = None


def list_quarantined(
    database: Database,
    page_id: str | None = None,
    ids: list[int] | None = None,
    *,
    discarded: bool = False,
) -> Iterator[Quarantined]:
    """Yield the unresolved records, or the discarded ones, oldest first, reading them page by
    page."""
    after = 0
    while found := database.call(
        "list_quarantined",
        Quarantined,
        page_id=page_id,
        ids=ids,
        after=after,
        discarded=discarded,
    ):
        yield from found
        after = found[-1].id


def resolve_quarantined(database: Database, record: Quarantined, rows: list[Any]) -> bool:
    """Load the rows of a record and resolve it, also if it was discarded. Returns False if it is
    resolved already.

    Raises DatabaseError if PostgreSQL rejects the rows.
    """
    resolved: bool = database.value("resolve_quarantined", id=record.id, conversations=encode(rows))
    return resolved


def claim_due_records(database: Database, limit: int) -> list[int]:
    """Return the ids of records that are due to be tried again, and put off their next attempt."""
    return [row[0] for row in database.call("claim_due_records", limit=limit)]


def discard_quarantined(database: Database, ids: list[int], by: str, reason: str) -> int:
    """Resolve records without loading them, and keep who did it and why. Returns how many were
    unresolved."""
    return int(database.value("discard_quarantined", ids=ids, discarded_by=by, reason=reason))
