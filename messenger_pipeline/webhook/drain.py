"""The drain: deliveries in the inbox become events.

A batch is one transaction: what its deliveries brought is loaded, and they are settled, or neither.
Any number of drains work side by side, in the receiver, in Dagster and on the command line. No
order is needed: merges commute.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from messenger_pipeline.db import inbox
from messenger_pipeline.db.pool import Connection, Database
from messenger_pipeline.errors import (
    DatabaseConflict,
    DatabaseError,
    DatabaseUnavailable,
    SchemaError,
)
from messenger_pipeline.rows import ConversationRow, EventRow
from messenger_pipeline.webhook.deliveries import Item, parse_delivery
from messenger_pipeline.webhook.outcome import Verdict, key_of, pause_after

BATCH = 200
_CONFLICTS = 4  # times that a batch gives way to others before it fails
_LOOK = 0.05  # seconds between two looks whether another drain is done
_LONGEST_PAUSE = 600.0  # seconds


@dataclass
class Drained:
    """What draining did."""

    deliveries: int = 0
    states: Counter[str] = field(default_factory=Counter)
    """done, ignored, failed; retry and waiting are still pending."""
    events: Counter[str] = field(default_factory=Counter)
    """Of each event type how many were applied, those that were there already too."""
    ignored: Counter[str] = field(default_factory=Counter)
    events_created: int = 0
    inserted: int = 0
    updated: int = 0
    quarantined: int = 0
    oldest: datetime | None = None
    """When the delivery that waited longest was received."""
    new_contacts: list[tuple[str, str]] = field(default_factory=list)
    """Page and id of those whose conversation is new, and whose name is not known."""

    def add(self, other: "Drained") -> None:
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


def drain_batch(database: Database, limit: int = BATCH, ids: list[int] | None = None) -> Drained:
    """Apply up to `limit` deliveries that are due, of `ids` only if given; no `deliveries` where
    none is. Raises DatabaseUnavailable; then nothing of the batch is applied, and all of it is
    still to be."""
    conflicts = 0
    while True:
        claimed: list[inbox.Delivery] = []
        try:
            with database.transaction() as connection:
                claimed += inbox.claim(connection, limit, ids)
                return _apply(connection, claimed)
        except DatabaseConflict:
            conflicts += 1
            if conflicts > _CONFLICTS:
                raise
        except (DatabaseUnavailable, SchemaError):
            raise
        except DatabaseError as error:
            if len(claimed) == 1:
                return _put_off(database, claimed[0], str(error))
            if not claimed:
                raise
            # One of them fails the others: each by itself.
            return _drain_singly(database, [one.id for one in claimed])


def _drain_singly(database: Database, ids: list[int]) -> Drained:
    total = Drained()
    for one in ids:
        total.add(drain_batch(database, 1, [one]))
    return total


def _put_off(database: Database, delivery: inbox.Delivery, error: str) -> Drained:
    """A delivery that cannot be applied for a reason that is not its own, such as a right that was
    taken away: it is never given up, but tried more and more rarely."""
    with database.transaction() as connection:
        if not inbox.claim(connection, 1, [delivery.id]):
            return Drained()  # another drain has it
        seconds = min(pause_after(delivery.attempts), _LONGEST_PAUSE)
        settled = {"id": delivery.id, "state": "pending", "error": error, "retry_seconds": seconds}
        inbox.settle(connection, [settled])
    return Drained(deliveries=1, states=Counter(retry=1))


def _apply(connection: Connection, claimed: list[inbox.Delivery]) -> Drained:
    total = Drained(deliveries=len(claimed))
    if not claimed:
        return total
    parsed = [(one, parse_delivery(one.body, one.received_at)) for one in claimed]
    named = {item.page_id for _, items in parsed for item in items if item.events and item.page_id}
    registered = inbox.find_registered(connection, sorted(named)) if named else set()
    pages, received = _pages(parsed, registered), _received(parsed, registered)
    loaded = inbox.load_events(connection, pages, received)
    refused: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in loaded.refused:
        for key in one["record"]["events"][0]["items"]:
            refused[key].append(one)
    settled = []
    for delivery, items in parsed:
        verdict = Verdict(delivery, items, registered, refused)
        for page_id, records in verdict.quarantined().items():
            inbox.quarantine(connection, page_id, records)
            total.quarantined += len(records)
        settled.append(verdict.settled())
        total.states[verdict.name] += 1
        total.events.update(verdict.applied)
        total.ignored.update(verdict.ignored)
    inbox.settle(connection, settled)
    total.events_created = loaded.events_created
    total.inserted, total.updated = loaded.inserted, loaded.updated
    total.oldest = min(one.received_at for one in claimed)
    total.new_contacts = [(one["page_id"], one["sender_id"]) for one in loaded.new_contacts]
    return total


def _pages(
    parsed: Iterable[tuple[inbox.Delivery, list[Item]]], registered: set[str]
) -> list[dict[str, Any]]:
    """What the load takes: one conversation a contact, each event marked with where it stood."""
    found: dict[str, dict[str, dict[str, Any]]] = defaultdict(lambda: defaultdict(dict))
    for delivery, items in parsed:
        for item in items:
            if item.page_id in registered and item.contact_id:
                events = found[item.page_id][item.contact_id]
                for event in item.events:
                    # What was delivered twice is loaded once.
                    marked = events.setdefault(repr(event), {**event, "items": []})
                    marked["items"].append(key_of(delivery, item))
    return [
        {
            "page_id": page_id,
            "conversations": [
                _conversation(contact_id, list(events.values()))
                for contact_id, events in contacts.items()
            ],
        }
        for page_id, contacts in found.items()
    ]


def _received(
    parsed: Iterable[tuple[inbox.Delivery, list[Item]]], registered: set[str]
) -> list[dict[str, Any]]:
    """How many items came of each page in each hour; what is tried again was counted before."""
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


def _conversation(contact_id: str, events: list[EventRow]) -> ConversationRow:
    return {
        "sender_id": contact_id,
        "sender_name": None,
        "as_of": max(event["as_of"] for event in events),
        "events": [{**event, "as_of": _stated(event)} for event in events],
    }


def _stated(event: EventRow) -> datetime:
    """When an event was stated, so that the load can compare it with answers of the API, whose
    times are cut to whole seconds. A message was, before any answer that has it: what became of it
    since is told by answers, and by events of their own. Would it ever count as later than an
    answer, it mattered whether another that says the same came before it: that is not noted."""
    if event["event_type"].startswith("message_"):
        return event["as_of"].replace(microsecond=0) - timedelta(seconds=1)
    return event["as_of"]


def drain_these(database: Database, ids: list[int]) -> list[inbox.Settled]:
    """Apply these deliveries, whoever else drains; what became of each. Those that wait for a page
    or another try are still pending."""
    while True:
        while drain_batch(database, ids=ids).deliveries:
            pass
        found = inbox.get_deliveries(database, ids)
        now = datetime.now(UTC)
        if not any(
            one.state == "pending" and one.not_before and one.not_before <= now for one in found
        ):
            return found
        time.sleep(_LOOK)  # another drain has them
