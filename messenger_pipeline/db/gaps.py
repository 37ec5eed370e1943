"""What is set aside of a page: stretches of its threads' history, and of its list of threads."""

from dataclasses import dataclass
from datetime import datetime

from messenger_pipeline.db.pool import Database


@dataclass(frozen=True)
class SetAsideGap:
    """A gap as people see it. `kind`: thread or list. `state`: open (not tried yet), put_off (tried
    again from `not_before`) or unreadable."""

    id: str
    page_id: str
    kind: str
    thread_id: str | None
    newest_time: datetime | None
    until_time: datetime | None
    state: str
    attempts: int
    not_before: datetime | None
    last_error: str | None
    opened_at: datetime


def list_set_aside_gaps(
    database: Database, page_id: str | None = None, *, everything: bool = False
) -> list[SetAsideGap]:
    """Return the gaps that could not be read; with `everything`, those not tried yet as well."""
    return database.call("list_set_aside_gaps", SetAsideGap, page_id=page_id, all=everything)


def retry_gaps(database: Database, ids: list[str] | None, page_id: str | None) -> int:
    """Make gaps and their pages due now. Returns the number of gaps."""
    count: int = database.value("retry_gaps", ids=ids, page_id=page_id)
    return count
