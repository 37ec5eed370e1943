"""Evaluates alerts in tests, and moves times into the past instead of waiting."""

from typing import Any

from messenger_pipeline.db.alerts import Alert, list_alerts, update_alerts
from messenger_pipeline.db.pool import Database
from tests.db.test_load import query


def kinds(database: Database) -> list[tuple[str, str | None]]:
    """Kind and page of the open alerts, after an evaluation."""
    assert update_alerts(database) is not None
    found = [(one.kind, one.page_id) for one in list_alerts(database)]
    return sorted(found, key=lambda one: (one[0], one[1] or ""))


def alert(database: Database, kind: str) -> Alert:
    """The open alert of a kind, after an evaluation."""
    assert update_alerts(database) is not None
    [found] = [one for one in list_alerts(database) if one.kind == kind]
    return found


def kinds_once_closed(database: Database) -> list[tuple[str, str | None]]:
    """Kind and page of the open alerts, once conditions that ended have ended for long enough."""
    kinds(database)
    query(database, "update alerts set gone_at = gone_at - interval '2 minutes' returning 1")
    return kinds(database)


def change(database: Database, statement: str, *arguments: Any) -> None:
    query(database, f"{statement} returning 1", *arguments)


def expire_tokens(database: Database) -> None:
    """Mark all pages as if Meta had refused their tokens."""
    change(
        database,
        "update facebook_pages set status = 'needs_reauthorization', status_reason = 'it expired'",
    )


def renew_tokens(database: Database) -> None:
    change(database, "update facebook_pages set status = 'active', updated_at = now()")
    kinds(database)
    change(database, "update alerts set gone_at = gone_at - interval '2 minutes'")
    kinds(database)


def make_messages_due(database: Database) -> None:
    """Make failed messages due now."""
    change(
        database,
        "update alerts set not_before = now() - interval '1 s', notifier_paused_until = null"
        " where closing_sent_at is null",
    )
