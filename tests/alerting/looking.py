"""Looks at what is wrong, and times that pass without waiting."""

from typing import Any

from messenger_pipeline.db.alerts import Alert, list_alerts, update_alerts
from messenger_pipeline.db.pool import Database
from tests.db.test_load import query


def kinds(database: Database) -> list[tuple[str, str | None]]:
    """Kind and page of the alerts that are open, after a look."""
    assert update_alerts(database) is not None
    return sorted((one.kind, one.page_id) for one in list_alerts(database))


def alert(database: Database, kind: str) -> Alert:
    """The open alert of a kind, after a look."""
    assert update_alerts(database) is not None
    [found] = [one for one in list_alerts(database) if one.kind == kind]
    return found


def kinds_in_the_end(database: Database) -> list[tuple[str, str | None]]:
    """The same, once what is gone has been gone for a while."""
    kinds(database)
    query(database, "update alerts set gone_at = gone_at - interval '2 minutes' returning 1")
    return kinds(database)


def change(database: Database, statement: str, *arguments: Any) -> None:
    query(database, f"{statement} returning 1", *arguments)


def let_pages_go(database: Database) -> None:
    """Let Meta have refused the tokens of all pages."""
    change(
        database,
        "update facebook_pages set status = 'needs_reauthorization', status_reason = 'it expired'",
    )


def let_pages_come_back(database: Database) -> None:
    change(database, "update facebook_pages set status = 'active', updated_at = now()")
    kinds(database)
    change(database, "update alerts set gone_at = gone_at - interval '2 minutes'")
    kinds(database)


def make_due(database: Database) -> None:
    """Let the time pass after which what failed is sent again."""
    change(
        database,
        "update alerts set not_before = now() - interval '1 s', notifier_paused_until = null"
        " where closing_sent_at is null",
    )
