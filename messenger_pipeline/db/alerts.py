"""Alerts: what is wrong, and the messages that tell of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from messenger_pipeline.db.pool import Database

Phase = Literal["opened", "closed", "passed"]
"""What a message tells: `passed` is of an alert that closed before its opening could be sent."""


@dataclass(frozen=True)
class Alert:
    """An alert, open while `closed_at` is None. `page_id` is None where it concerns no one page."""

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
    """Why it could not be sent, without the address."""


@dataclass(frozen=True)
class Looked:
    """What a look at everything found."""

    opened: int
    closed: int
    still_open: int


@dataclass(frozen=True)
class ToSend:
    """An alert that a message is to tell of."""

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
    """The open alerts, errors first, newest first; else those that are closed after them."""
    return database.call("list_alerts", Alert, open_only=open_only, limit=limit)


def update_alerts(database: Database) -> Looked | None:
    """Look at everything: open, refresh and close. None while another looks."""
    [(opened, closed, still_open)] = database.call("update_alerts")
    return None if opened is None else Looked(opened, closed, still_open)


def record_heartbeat(database: Database, name: str) -> None:
    """Note that somebody is alive."""
    database.call("record_heartbeat", name=name)


def claim_message(database: Database) -> list[ToSend]:
    """The alerts of which one message is to be sent now; nobody else gets them for minutes."""
    return database.call("claim_alert_message", ToSend)


def settle_message(database: Database, told: list[ToSend]) -> None:
    """Note that a message was sent."""
    ids = [one.id for one in told]
    database.call("settle_alert_message", ids=ids, phase=told[0].phase)


def postpone_message(
    database: Database, told: list[ToSend], error: str, *, seconds: float, sink: bool
) -> None:
    """Note why a message could not be sent, and that it is not to be before so many seconds.
    `sink`: it is nothing about the message, so others wait too."""
    ids = [one.id for one in told]
    database.call("postpone_alert_message", ids=ids, error=error, seconds=seconds, sink=sink)


def delete_old(database: Database) -> tuple[int, int]:
    """Delete old habits of webhooks and alerts that closed long ago; how many of each."""
    [(habits, alerts)] = database.call("delete_old_alerts")
    return habits, alerts
