"""Queries of the checks over all pages.

A list holds the worst pages only. The fields all_… of each row are totals over all pages.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from messenger_pipeline.db.pool import Database
from messenger_pipeline.errors import DatabaseError, DatabaseUnavailable


@dataclass(frozen=True)
class PageRows:
    """The numbers of stored rows of one page."""

    conversations: int
    events: int


@dataclass(frozen=True)
class PageLag:
    """The time since a page's last sync, compared with its sync interval."""

    page_id: str
    name: str | None
    lag_seconds: float
    interval_seconds: float
    stale: bool
    last_error: str | None
    all_stale: int
    pages: int


@dataclass(frozen=True)
class StuckLease:
    """A lease that keeps a page from being synced although nothing happens."""

    page_id: str
    locked_by: str
    locked_at: datetime
    expires_at: datetime
    reason: str
    all_stuck: int


@dataclass(frozen=True)
class SessionWarning:
    """The warning of a page's last session, or why it was truncated."""

    page_id: str
    truncated: bool
    warning: str | None
    mode: str
    ended_at: datetime
    all_truncated: int
    all_warned: int


@dataclass(frozen=True)
class QuarantineRate:
    """The records that a page's recent sessions read, and those of them that were quarantined."""

    page_id: str
    read: int
    quarantined: int
    all_read: int
    all_quarantined: int


@dataclass(frozen=True)
class ShortConversations:
    """A page's conversations with fewer messages stored than Meta counts (`of_meta`)."""

    page_id: str
    conversations: int
    stored: int
    of_meta: int
    example: str | None
    all_short: int
    all_compared: int


@dataclass(frozen=True)
class PageGaps:
    """A page's gaps: open ones, old ones among them, and those that Meta refuses."""

    page_id: str
    old: int
    open: int
    unreadable: int
    oldest: datetime | None
    attempts: int | None
    all_old: int
    all_open: int
    all_unreadable: int


@dataclass(frozen=True)
class UnknownField:
    """A field that Meta sends and we do not request."""

    field: str
    seen: int
    pages: int
    example: str
    all_fields: int


def count_page_rows(database: Database, page_id: str) -> PageRows:
    rows: list[PageRows] = database.call("count_page_rows", PageRows, page_id=page_id)
    return rows[0]


def list_page_lags(database: Database, intervals: float, least: timedelta) -> list[PageLag]:
    """Return the active pages, furthest behind first."""
    return database.call("list_page_lags", PageLag, intervals=intervals, least=least)


def list_stuck_leases(database: Database, expired: timedelta, idle: timedelta) -> list[StuckLease]:
    return database.call("list_stuck_leases", StuckLease, expired=expired, idle=idle)


def list_session_warnings(database: Database) -> list[SessionWarning]:
    """Return the pages with warnings, truncated ones first."""
    return database.call("list_session_warnings", SessionWarning)


def list_quarantine_rates(database: Database, span: timedelta) -> list[QuarantineRate]:
    """Return all pages, those with the most quarantined records first."""
    return database.call("list_quarantine_rates", QuarantineRate, span=span)


def list_short_conversations(
    database: Database, share: float, fewer: int
) -> list[ShortConversations]:
    """Return all compared pages, those with the most short conversations first."""
    return database.call("list_short_conversations", ShortConversations, share=share, fewer=fewer)


def list_page_gaps(database: Database, old: timedelta) -> list[PageGaps]:
    return database.call("list_page_gaps", PageGaps, old=old)


def list_unknown_fields(database: Database, span: timedelta) -> list[UnknownField]:
    return database.call("list_unknown_fields", UnknownField, span=span)


def delete_ended_sessions(database: Database, keep: timedelta) -> int:
    """Delete sync sessions that ended more than `keep` ago, except those still in use. Returns how
    many."""
    deleted = 0
    while found := database.value("delete_ended_sessions", keep=keep):
        deleted += int(found)
    return deleted


@dataclass(frozen=True)
class GuideCheck:
    """A check of the replaced application's guides. `violations` is None where the role may not
    see the rows; `shown` is what was counted, such as `2 of 2`."""

    name: str
    violations: int | None
    shown: str
    says: str


def check_guides(database: Database) -> list[GuideCheck]:
    """Return the checks of objects, of rows, and of chats where there are any. A group that fails,
    as where a table is missing, is one check with the error."""
    found: list[GuideCheck] = []
    for function in ("check_guide_objects", "check_guide_rows", "check_chats"):
        try:
            found += database.call(function, GuideCheck)
        except DatabaseUnavailable:
            raise
        except DatabaseError as error:
            found.append(GuideCheck(function, 1, "failed", str(error)))
    return found
