"""What is still to be read of a page: stretches of its threads' history, and of its list."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from messenger_pipeline.db.pool import Database


@dataclass(frozen=True)
class Gap:
    """A stretch of a thread's history still to fetch.

    It reaches from `newest_time` back to `until_time`, or to the start of the thread if that is
    None. `attempts` began since it last moved; `last_error` is of the last one, if it failed.
    """

    id: int
    thread_id: str
    sender_id: str
    resume_cursor: str | None
    newest_time: datetime
    until_time: datetime | None
    dead_cursor_time: datetime | None
    attempts: int = 0
    last_error: str | None = None


@dataclass(frozen=True)
class ListGap:
    """A part of a page's list of threads still to read: see the table list_gaps."""

    id: int
    newest_time: datetime | None
    until_time: datetime | None
    resume_cursor: str | None
    cursor_fingerprint: str | None
    attempts: int


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


def list_due_gaps(
    database: Database, page_id: str, session: UUID, *, own: bool, limit: int
) -> list[Gap]:
    """Return the gaps to read now, newest first: those that the session opened, or the others."""
    return database.call(
        "list_due_gaps", Gap, page_id=page_id, session=session, own=own, limit=limit
    )


def begin_gap(database: Database, gap_id: int) -> None:
    """Count an attempt to read a gap, before the work."""
    database.call("begin_gap", id=gap_id)


def release_gaps(database: Database, gap_ids: list[int]) -> None:
    """Take back the attempts of gaps that a run leaves in good order."""
    database.call("release_gaps", ids=gap_ids)


def begin_thread(database: Database, page_id: str, thread_id: str) -> int:
    """Count a request for one thread, before the work. Returns how many were begun before, since
    the thread was last loaded or set aside."""
    return int(database.value("begin_thread", page_id=page_id, thread_id=thread_id))


def release_threads(database: Database, page_id: str, thread_ids: list[str]) -> None:
    """Take back the requests of threads that a run leaves in good order."""
    database.call("release_threads", page_id=page_id, thread_ids=thread_ids)


def find_list_gap(database: Database, page_id: str, session: UUID) -> ListGap | None:
    """Return the part of the page's list to read now; None if there is none."""
    found: list[ListGap] = database.call(
        "list_due_list_gap", ListGap, page_id=page_id, session=session
    )
    return found[0] if found else None


def put_off_list_gap(database: Database, page_id: str, fence: int, error: str) -> None:
    """Put off the part of a page's list that could not be read. Raises LeaseLost."""
    database.call("put_off_list_gap", page_id=page_id, fence=fence, error=error)


def list_set_aside_gaps(
    database: Database, page_id: str | None = None, *, everything: bool = False
) -> list[SetAsideGap]:
    """Return the gaps that could not be read; with `everything`, those not tried yet as well."""
    return database.call("list_set_aside_gaps", SetAsideGap, page_id=page_id, all=everything)


def retry_gaps(database: Database, ids: list[str] | None, page_id: str | None) -> int:
    """Make gaps and their pages due now. Returns the number of gaps."""
    count: int = database.value("retry_gaps", ids=ids, page_id=page_id)
    return count
