"""Records that could not be used."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from messenger_pipeline.db.load import encode
from messenger_pipeline.db.pool import Database


@dataclass(frozen=True)
class Quarantined:
    """A row of quarantined_records. `sender_id` is the contact of its thread, if known."""

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


def list_quarantined(
    database: Database, page_id: str | None = None, ids: list[int] | None = None
) -> Iterator[Quarantined]:
    """Yield the unresolved records, oldest first, reading them page by page."""
    after = 0
    while found := database.call(
        "list_quarantined", Quarantined, page_id=page_id, ids=ids, after=after
    ):
        yield from found
        after = found[-1].id


def resolve_quarantined(database: Database, record: Quarantined, rows: list[Any]) -> bool:
    """Load the rows of a record and resolve it. Returns False if it is resolved already.

    Raises DatabaseError if PostgreSQL rejects the rows.
    """
    resolved: bool = database.value("resolve_quarantined", id=record.id, conversations=encode(rows))
    return resolved
