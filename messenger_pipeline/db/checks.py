"""What the checks ask of all pages. Each row's all_… are of all pages, the rows of the worst."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from messenger_pipeline.db.pool import Database


@dataclass(frozen=True)
class PageRows:
    """What is stored of one page."""

    conversations: int
    events: int


@dataclass(frozen=True)
class PageLag:
    """How long ago a page was synced last, against its own interval."""

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
    """A lease that keeps a page from being synced for nothing."""

    page_id: str
    locked_by: str
    locked_at: datetime
    expires_at: datetime
    reason: str
    all_stuck: int


@dataclass(frozen=True)
class SessionWarning:
    """What the last session of a page has to say."""

    page_id: str
    truncated: bool
    warning: str | None
    mode: str
    ended_at: datetime
    all_truncated: int
    all_warned: int


@dataclass(frozen=True)
class QuarantineRate:
    """Of the records that a page's recent sessions read, how many could not be used."""

    page_id: str
    read: int
    quarantined: int
    all_read: int
    all_quarantined: int


@dataclass(frozen=True)
class ShortConversations:
    """Conversations of a page of which fewer messages are stored than Meta counts."""

    page_id: str
    conversations: int
    stored: int
    of_meta: int
    example: str | None
    all_short: int
    all_compared: int


@dataclass(frozen=True)
class PageGaps:
    """A page's stretches of history that are still to be read, or refused by Meta."""

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
    """A field that Meta sends and nobody asked for."""

    field: str
    seen: int
    pages: int
    example: str
    all_fields: int


def count_page_rows(database: Database, page_id: str) -> PageRows:
    rows: list[PageRows] = database.call("count_page_rows", PageRows, page_id=page_id)
    return rows[0]


def list_page_lags(database: Database, intervals: float, least: timedelta) -> list[PageLag]:
    """Active pages, furthest behind first."""
    return database.call("list_page_lags", PageLag, intervals=intervals, least=least)


def list_stuck_leases(database: Database, expired: timedelta, idle: timedelta) -> list[StuckLease]:
    return database.call("list_stuck_leases", StuckLease, expired=expired, idle=idle)


def list_session_warnings(database: Database) -> list[SessionWarning]:
    """Pages whose list was cut first."""
    return database.call("list_session_warnings", SessionWarning)


def list_quarantine_rates(database: Database, span: timedelta) -> list[QuarantineRate]:
    """Pages with most quarantined records first; those without any, too."""
    return database.call("list_quarantine_rates", QuarantineRate, span=span)


def list_short_conversations(
    database: Database, share: float, fewer: int
) -> list[ShortConversations]:
    """Pages with most of them first; those without any, too."""
    return database.call("list_short_conversations", ShortConversations, share=share, fewer=fewer)


def list_page_gaps(database: Database, old: timedelta) -> list[PageGaps]:
    return database.call("list_page_gaps", PageGaps, old=old)


def list_unknown_fields(database: Database, span: timedelta) -> list[UnknownField]:
    return database.call("list_unknown_fields", UnknownField, span=span)


def delete_ended_sessions(database: Database, keep: timedelta) -> int:
    """Delete sync sessions that ended longer ago, except what is still of use."""
    deleted = 0
    while found := database.value("delete_ended_sessions", keep=keep):
        deleted += int(found)
    return deleted
