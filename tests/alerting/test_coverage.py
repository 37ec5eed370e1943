"""The alert about messages that syncs find and no webhook brings."""

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from messenger_pipeline.alerting.page_checks import check_pages
from messenger_pipeline.db import inbox
from messenger_pipeline.db.pool import Database
from messenger_pipeline.engine import Engine
from messenger_pipeline.webhook.drain import drain_batch
from tests.alerting.evaluation import alert, change, kinds, kinds_once_closed
from tests.conftest import Simulated
from tests.db.test_load import query
from tests.walking import Connect, Simulate, walk

KIND = "webhooks_incomplete"


@pytest.fixture
def small(simulate: Simulate) -> Simulated:
    return simulate(conversations=20)


@pytest.fixture
def engine(small: Simulated, connect: Connect) -> Engine:
    """A page that is synced, and subscribed since yesterday."""
    engine = connect(small)
    walk(engine, small.page.id)
    check_pages(engine, [small.page.id], threading.Event())
    change(engine.database, "update page_checks set subscribed_since = now() - interval '1 day'")
    return engine


Write = Callable[..., None]


@pytest.fixture
def write(small: Simulated, engine: Engine) -> Write:
    """Write messages in threads. Those that are `covered` are delivered as well, before or after
    the sync."""
    page, database = small.page, engine.database

    def deliver(messages: list[dict[str, Any]]) -> None:
        items = []
        for one in messages:
            own = one["from"]["id"] == page.id
            sender, recipient = one["from"]["id"], one["to"]["data"][0]["id"]
            message = {"mid": one["id"], "text": one["message"]} | (
                {"is_echo": True} if own else {}
            )
            at = datetime.strptime(one["created_time"], "%Y-%m-%dT%H:%M:%S%z")
            items.append({"sender": {"id": sender}, "recipient": {"id": recipient},
                          "timestamp": int(at.timestamp() * 1000), "message": message})  # fmt: skip
        entry = {"id": page.id, "time": 0, "messaging": items}
        inbox.receive(database, [json.dumps({"object": "page", "entry": [entry]}).encode()])
        drain_batch(database)

    def write(
        *numbers: int, by_page: bool = False, covered: str | None = None, hours: float = 2
    ) -> None:
        at = datetime.now(UTC) - timedelta(hours=hours)
        messages = [
            small.world.inject(page, n, f"m{i}", at + timedelta(seconds=i), by_page)
            for i, n in enumerate(numbers)
        ]
        # The walk reads down to the watermark.
        change(database, "update facebook_pages set watermark = now() - interval '12 hours'")
        if covered == "before":
            deliver(messages)
        walk(engine, page.id, mode="incremental")
        if covered == "after":
            deliver(messages)
        change(database, "update uncovered_messages set found_at = found_at - interval '2 hours'"
                         " where found_at > now() - interval '1 hour'")  # fmt: skip

    return write


def uncovered(database: Database) -> int:
    [(count,)] = query(database, "select count(*) from uncovered_messages where covered_at is null")
    return int(count)


@pytest.mark.parametrize("covered", ["before", "after"])
def test_messages_that_webhooks_bring_are_covered_whichever_comes_first(
    engine: Engine, write: Write, covered: str
) -> None:
    write(*range(10), covered=covered)
    write(*range(10), by_page=True, covered=covered)
    assert uncovered(engine.database) == 0
    assert kinds(engine.database) == []


def test_echoes_that_stop_open_an_alert_which_names_them(
    small: Simulated, engine: Engine, write: Write
) -> None:
    write(*range(10), covered="before")
    write(*range(4), by_page=True, covered="before", hours=3)
    assert kinds(engine.database) == []
    write(*range(6), by_page=True)
    found = alert(engine.database, KIND)
    assert found.page_id == small.page.id
    assert "6 of the 10 messages that the page sent within a day are missing" in found.summary
    assert "message_echoes" in found.summary
    assert "received" not in found.summary
    change(engine.database, "update uncovered_messages set covered_at = now()")
    assert kinds_once_closed(engine.database) == []


def test_the_first_line_of_each_conversation_is_not_missed(
    small: Simulated, engine: Engine, write: Write
) -> None:
    started = datetime.now(UTC) - timedelta(hours=3)
    for _ in range(8):
        small.world.inject(small.page, None, "Somebody started a conversation", started)
    walk(engine, small.page.id, mode="incremental")
    write(*range(20, 28), covered="before")
    change(engine.database, "update uncovered_messages set found_at = now() - interval '2 hours'")
    assert uncovered(engine.database) == 8
    assert kinds(engine.database) == []


def test_people_whom_no_webhook_covers_open_an_alert(
    small: Simulated, engine: Engine, write: Write
) -> None:
    write(*[0, 1] * 20, covered="before")
    write(5, 6)
    assert kinds(engine.database) == [], "two people prove nothing"
    write(7)
    found = alert(engine.database, KIND)
    assert "nothing comes from 3 people who wrote within a week" in found.summary
    assert "Advanced Access" in found.summary
    write(7, covered="after")
    assert kinds_once_closed(engine.database) == [], "of one of them a webhook came"


def test_a_page_without_a_subscription_or_before_it_has_no_uncovered_messages(
    engine: Engine, write: Write
) -> None:
    change(engine.database, "update page_checks set subscribed_since = now() - interval '1 hour'")
    write(*range(10), hours=2)
    assert uncovered(engine.database) == 0
    change(engine.database, "update page_checks set subscribed = false,"
                            " subscribed_since = now() - interval '1 day'")  # fmt: skip
    write(*range(10), hours=1.5)
    assert uncovered(engine.database) == 0


def test_fields_that_are_not_subscribed_are_not_missed(engine: Engine, write: Write) -> None:
    change(engine.database, "update page_checks set subscribed_fields = array['messages']")
    write(*range(10), by_page=True)
    assert uncovered(engine.database) == 0
    write(*range(10))
    assert uncovered(engine.database) == 10


def test_reactions_that_no_webhook_brings_open_an_alert_which_names_them(
    small: Simulated, engine: Engine, write: Write
) -> None:
    page, database = small.page, engine.database

    def react(number: int, by: str, *, covered: bool = False) -> None:
        message = page.injected[number][0]
        users = {"data": [{"id": by, "name": "Somebody"}]}
        message["reactions"] = {"data": [{"reaction": "love", "users": users}]}
        if covered:
            reaction = {"mid": message["id"], "action": "react", "reaction": "love"}
            item = {"sender": {"id": by}, "recipient": {"id": page.id}, "reaction": reaction,
                    "timestamp": int(datetime.now(UTC).timestamp() * 1000)}  # fmt: skip
            entry = {"id": page.id, "time": 0, "messaging": [item]}
            inbox.receive(database, [json.dumps({"object": "page", "entry": [entry]}).encode()])
            drain_batch(database)

    contacts = [small.world.contact(page, number)["id"] for number in range(8)]
    write(*range(8), by_page=True, covered="before", hours=3)
    react(6, page.id)
    react(7, contacts[7], covered=True)
    write(*range(8), by_page=True, covered="before")
    assert uncovered(database) == 0, "the page's own reaction, and one that a webhook brought"
    for number in range(5):
        react(number, contacts[number])
    write(*range(5), by_page=True, covered="before", hours=1.5)
    assert uncovered(database) == 5
    found = alert(database, KIND)
    assert "reactions to 5 messages within a day are missing, 1 arrived" in found.summary
    assert "`message_reactions`" in found.summary
    assert "message_echoes" not in found.summary
    react(0, contacts[0], covered=True)
    assert uncovered(database) == 4
    assert kinds_once_closed(database) == []


def test_a_full_walk_misses_nothing(small: Simulated, engine: Engine) -> None:
    for number in range(10):
        small.world.inject(small.page, number, "new", datetime.now(UTC))
    walk(engine, small.page.id, mode="full")
    assert uncovered(engine.database) == 0


def test_a_subscription_that_ends_and_begins_again_counts_from_then(
    small: Simulated, engine: Engine
) -> None:
    database = engine.database

    def since() -> Any:
        check_pages(engine, [small.page.id], threading.Event())
        return query(database, "select subscribed_since from page_checks")[0][0]

    first = since()
    assert first < datetime.now(UTC) - timedelta(hours=23)
    small.admin("POST", f"pages/{small.page.id}/subscription", {"subscribed": False})
    assert since() is None
    small.admin("POST", f"pages/{small.page.id}/subscription", {"subscribed": True})
    assert since() > datetime.now(UTC) - timedelta(minutes=5)
