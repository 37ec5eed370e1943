"""The drain: applies the deliveries of the inbox as events.

A batch is one transaction: it loads the events of its deliveries and settles them, or does neither.
Any number of drains can run at once, in the receiver, in Dagster and on the command line. They need
no order, because merges commute.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from messenger_pipeline.db import inbox
from messenger_pipeline.db.pool import Connection, Database
from messenger_pipeline.errors import (
    DatabaseConflict,
    DatabaseError,
    DatabaseUnavailable,
    SchemaError,
)
from messenger_pipeline.webhook.deliveries import Item, parse_delivery
from messenger_pipeline.webhook.outcome import Outcome, key_of, pause_after
from messenger_pipeline.webhook.rows import conversation_row

BATCH = 200  # deliveries
_MAX_CONFLICTS = 4  # retries of a batch that lost a lock to another transaction
_POLL_SECONDS = 0.05
_MAX_PAUSE_SECONDS = 600.0

ParsedDelivery = tuple[inbox.Delivery, list[Item]]


@dataclass
class DrainResult:
    """The figures of one batch, or of several."""

    deliveries: int = 0
    states: Counter[str] = field(default_factory=Counter)
    """done, ignored, failed; retry and waiting are still pending."""
    events: Counter[str] = field(default_factory=Counter)
    """Applied events by type, including those that were stored already."""
    ignored: Counter[str] = field(default_factory=Counter)
    """Ignored items by reason."""
    events_created: int = 0
    inserted: int = 0
    updated: int = 0
    quarantined: int = 0
    oldest: datetime | None = None
    """When the oldest of the deliveries was received."""
    new_contacts: list[tuple[str, str]] = field(default_factory=list)
    """Page and contact id of the new conversations, whose names are unknown."""

    def add(self, other: "DrainResult") -> None:
        self.deliveries += other.deliveries
        self.states.update(other.states)
        self.events.update(other.events)
        self.ignored.update(other.ignored)
        self.events_created += other.events_created
        self.inserted += other.inserted
        self.updated += other.updated
        self.quarantined += other.quarantined
        self.new_contacts += other.new_contacts
        if other.oldest and (self.oldest is None or other.oldest < self.oldest):
            self.oldest = other.oldest


def drain_batch(
    database: Database, limit: int = BATCH, ids: list[int] | None = None
) -> DrainResult:
    """Apply up to `limit` due deliveries, only those in `ids` if it is given. `deliveries` is 0 if
    none is due. Raises DatabaseUnavailable; then nothing is applied and all of it stays pending."""
    conflicts = 0
    while True:
        claimed: list[inbox.Delivery] = []
        try:
            with database.transaction() as connection:
                claimed += inbox.claim(connection, limit, ids)
                return _apply(connection, claimed)
        except DatabaseConflict:
            conflicts += 1
            if conflicts > _MAX_CONFLICTS:
                raise
        except (DatabaseUnavailable, SchemaError):
            raise
        except DatabaseError as error:
            if len(claimed) == 1:
                return _postpone(database, claimed[0], str(error))
            if not claimed:
                raise
            # One delivery fails the whole batch: apply each on its own.
            return _drain_singly(database, [one.id for one in claimed])


def drain_deliveries(database: Database, ids: list[int]) -> list[inbox.DeliveryOutcome]:
    """Apply these deliveries, together with any other drain, and return their state. Those that
    wait for a page or for their next attempt are still pending."""
    while True:
        while drain_batch(database, ids=ids).deliveries:
            pass
        deliveries = inbox.get_deliveries(database, ids)
        now = datetime.now(UTC)
        if not any(
            one.state == "pending" and one.not_before and one.not_before <= now
            for one in deliveries
        ):
            return deliveries
        time.sleep(_POLL_SECONDS)  # another drain has claimed them


def _drain_singly(database: Database, ids: list[int]) -> DrainResult:
    total = DrainResult()
    for one in ids:
        total.add(drain_batch(database, 1, [one]))
    return total


def _postpone(database: Database, delivery: inbox.Delivery, error: str) -> DrainResult:
    """Put off a delivery that failed for a reason outside of it, such as a revoked privilege. It
    is retried forever, with growing pauses."""
    with database.transaction() as connection:
        if not inbox.claim(connection, 1, [delivery.id]):
            return DrainResult()  # another drain has claimed it
        seconds = min(pause_after(delivery.attempts), _MAX_PAUSE_SECONDS)
        settled = {"id": delivery.id, "state": "pending", "error": error, "retry_seconds": seconds}
        inbox.settle(connection, [settled])
    return DrainResult(deliveries=1, states=Counter(retry=1))


def _apply(connection: Connection, claimed: list[inbox.Delivery]) -> DrainResult:
    if not claimed:
        return DrainResult()
    parsed = [(one, parse_delivery(one.body, one.received_at)) for one in claimed]
    named = {item.page_id for _, items in parsed for item in items if item.events and item.page_id}
    registered = inbox.find_registered(connection, sorted(named)) if named else set()
    pages, received = _pages(parsed, registered), _received(parsed, registered)
    loaded = inbox.load_events(connection, pages, received)
    total = _settle(connection, parsed, registered, _refused_by_item(loaded))
    total.events_created = loaded.events_created
    total.inserted, total.updated = loaded.inserted, loaded.updated
    total.oldest = min(one.received_at for one in claimed)
    total.new_contacts = [(one["page_id"], one["sender_id"]) for one in loaded.new_contacts]
    return total


def _settle(
    connection: Connection,
    parsed: list[ParsedDelivery],
    registered: set[str],
    refused: dict[str, list[dict[str, Any]]],
) -> DrainResult:
    """Quarantine what is unusable, and settle each delivery."""
    total = DrainResult(deliveries=len(parsed))
    settled = []
    for delivery, items in parsed:
        outcome = Outcome(delivery, items, registered, refused)
        for page_id, records in outcome.quarantined().items():
            inbox.quarantine(connection, page_id, records)
            total.quarantined += len(records)
        settled.append(outcome.settled())
        total.states[outcome.state] += 1
        total.events.update(outcome.applied)
        total.ignored.update(outcome.ignored)
    inbox.settle(connection, settled)
    return total


def _refused_by_item(loaded: inbox.LoadedEvents) -> dict[str, list[dict[str, Any]]]:
    """The events that PostgreSQL refused, by the key of each item that holds them."""
    refused: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in loaded.refused:
        for key in one["record"]["events"][0]["items"]:
            refused[key].append(one)
    return refused


def _pages(parsed: Iterable[ParsedDelivery], registered: set[str]) -> list[dict[str, Any]]:
    """The load's argument: one conversation per contact, each event with the keys of its items."""
    events: dict[tuple[str, str], dict[str, Any]] = defaultdict(dict)
    times: dict[tuple[str, str], set[datetime]] = defaultdict(set)
    for delivery, items in parsed:
        for item in items:
            if item.page_id in registered and item.contact_id:
                contact = item.page_id, item.contact_id
                for event in item.events:
                    # An event that was delivered twice is loaded once.
                    marked = events[contact].setdefault(repr(event), {**event, "items": []})
                    marked["items"].append(key_of(delivery, item))
                    times[contact].add(item.time)
    pages: dict[str, dict[str, Any]] = {}
    for (page_id, contact_id), rows in events.items():
        page = pages.setdefault(page_id, {"page_id": page_id, "conversations": []})
        row = conversation_row(contact_id, times[page_id, contact_id], list(rows.values()))
        page["conversations"].append(row)
    return list(pages.values())


def _received(parsed: Iterable[ParsedDelivery], registered: set[str]) -> list[dict[str, Any]]:
    """How many items each page received in each hour. A delivery counts at its first attempt."""
    times: dict[tuple[str, datetime], list[datetime]] = defaultdict(list)
    for delivery, items in parsed:
        hour = delivery.received_at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        for item in items if delivery.attempts == 0 else []:
            if item.page_id in registered:
                times[item.page_id, hour].append(delivery.received_at)
    return [
        {"page_id": page_id, "items": len(at), "first_at": min(at), "last_at": max(at)}
        for (page_id, _), at in times.items()
    ]
