"""Alerts: open conditions, and the messages about them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from messenger_pipeline.db.pool import Database

Phase = Literal["opened", "closed", "passed"]
"""The phase that a message reports. `passed`: the alert closed before its opening was sent."""


@dataclass(frozen=True)
class Alert:
    """An alert, open while `closed_at` is None. `page_id` is None unless it is about one page."""

    id: int
    kind: str
    page_id: str | None
    page_name: str | None
    severity: str
    summary: str
    details: dict[str, Any]
    opened_at: datetime
    last_seen_at: datetime
    closed_at: datetime | None
    sent_at: datetime | None
    closing_sent_at: datetime | None
    attempts: int
    last_error: str | None
    """Why the message could not be sent, without the notifier's address."""


@dataclass(frozen=True)
class AlertCounts:
    """The numbers of alerts that a check opened, closed and left open."""

    opened: int
    closed: int
    still_open: int


@dataclass(frozen=True)
class ClaimedAlert:
    """An alert for the next message."""

    id: int
    phase: Phase
    kind: str
    page_id: str | None
    severity: str
    summary: str
    opened_at: datetime
    closed_at: datetime | None
    attempts: int


def list_alerts(database: Database, open_only: bool = True, limit: int = 1000) -> list[Alert]:
    """Return the open alerts, errors first, newest first. With `open_only` false the closed ones
    follow."""
    return database.call("list_alerts", Alert, open_only=open_only, limit=limit)


def update_alerts(database: Database) -> AlertCounts | None:
    """Check all conditions, and open, refresh and close alerts. Returns None if another process is
    checking already."""
    [counts] = database.call("update_alerts", AlertCounts)
    return None if counts.opened is None else counts


def record_heartbeat(database: Database, name: str) -> None:
    """Record that the process `name` is alive."""
    database.call("record_heartbeat", name=name)


def claim_message(database: Database) -> list[ClaimedAlert]:
    """Claim the alerts for the next message. No other caller gets them for five minutes."""
    return database.call("claim_alert_message", ClaimedAlert)


def settle_message(database: Database, claimed: list[ClaimedAlert]) -> None:
    """Record that a message was sent."""
    ids = [one.id for one in claimed]
    database.call("settle_alert_message", ids=ids, phase=claimed[0].phase)


def postpone_message(
    database: Database,
    claimed: list[ClaimedAlert],
    error: str,
    *,
    seconds: float,
    notifier_down: bool,
) -> None:
    """Record why a message could not be sent. It is retried after `seconds` at the earliest.

    `notifier_down`: the message was not the cause, so other messages wait too.
    """
    ids = [one.id for one in claimed]
    database.call(
        "postpone_alert_message", ids=ids, error=error, seconds=seconds, notifier_down=notifier_down
    )


def delete_old(database: Database) -> tuple[int, int]:
    """Delete old hourly webhook counts and old closed alerts. Returns how many of each."""
    [(hourly_counts, alerts)] = database.call("delete_old_alerts")
    return hourly_counts, alerts
