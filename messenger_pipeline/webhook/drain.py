"""The drain: deliveries in the inbox become events.

A batch is one transaction: what its deliveries brought is loaded, and they are settled, or neither.
Any number of drains work side by side, in the receiver, in Dagster and on the command line. No
order is needed: merges commute.
"""

import hashlib
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

BATCH = 200
ATTEMPTS = 5
"""Times that an item is tried before it is quarantined."""
_CONFLICTS = 4  # times that a batch gives way to others before it fails
_LOOK = 0.05  # seconds between two looks whether another drain is done
_FIRST_PAUSE = 2.0  # seconds, doubled with each attempt


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
        try:
            with inbox.drain_transaction(database) as connection:
                return _apply(connection, inbox.claim(connection, limit, ids))
        except DatabaseConflict:
            conflicts += 1
            if conflicts > _CONFLICTS:
                raise
        except (DatabaseUnavailable, SchemaError):
            raise
        except DatabaseError as error:
            if limit > 1:
                # One of them fails the others: each by itself.
                return _drain_singly(database, limit, ids)
            return _note_failure(database, ids, str(error))


def _drain_singly(database: Database, limit: int, ids: list[int] | None) -> Drained:
    total = Drained()
    for _ in range(limit):
        one = drain_batch(database, 1, ids)
        if not one.deliveries:
            break
        total.add(one)
    return total


def _note_failure(database: Database, ids: list[int] | None, error: str) -> Drained:
    """A delivery that cannot even be settled: it is put off, and in the end given up."""
    with inbox.drain_transaction(database) as connection:
        claimed = inbox.claim(connection, 1, ids)
        total = Drained(deliveries=len(claimed))
        for delivery in claimed:
            final = delivery.attempts + 1 >= ATTEMPTS
            settled: dict[str, Any] = {"id": delivery.id, "error": error, "state": "failed"}
            if final:
                record = _delivery_record(delivery, error)
                inbox.quarantine(connection, "", [record])
                total.quarantined += 1
            else:
                settled |= {"state": "pending", "retry_seconds": _pause(delivery.attempts)}
            total.states["failed" if final else "retry"] += 1
            inbox.settle(connection, [settled])
        return total


def _apply(connection: Connection, claimed: list[inbox.Delivery]) -> Drained:
    total = Drained(deliveries=len(claimed))
    if not claimed:
        return total
    parsed = [(one, parse_delivery(one.body, one.received_at)) for one in claimed]
    named = {item.page_id for _, items in parsed for item in items if item.events and item.page_id}
    registered = inbox.find_registered(connection, sorted(named)) if named else set()
    loaded = inbox.load_events(connection, _pages(parsed, registered))
    refused = {key: one for one in loaded.refused for key in one["record"]["events"][0]["items"]}
    settled = []
    for delivery, items in parsed:
        verdict = _Verdict(delivery, items, registered, refused)
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
    found: dict[str, dict[str, list[EventRow]]] = defaultdict(lambda: defaultdict(list))
    for delivery, items in parsed:
        for item in items:
            if item.page_id in registered and item.contact_id:
                for event in item.events:
                    marked: Any = {**event, "items": [_key(delivery, item)]}
                    found[item.page_id][item.contact_id].append(marked)
    return [
        {
            "page_id": page_id,
            "conversations": [_conversation(*contact) for contact in contacts.items()],
        }
        for page_id, contacts in found.items()
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


def _key(delivery: inbox.Delivery, item: Item) -> str:
    return f"{delivery.id}:{item.path}"


def _pause(attempts: int) -> float:
    return _FIRST_PAUSE * 2.0**attempts


def _delivery_record(delivery: inbox.Delivery, reason: str) -> dict[str, Any]:
    return {
        "source": "webhook",
        "kind": "delivery",
        "identity": hashlib.sha256(delivery.body).hexdigest(),
        "reason": reason[:500],
        "record": {"delivery": delivery.id, "body": delivery.body.decode(errors="replace")},
    }


def _object(raw: Any) -> dict[str, Any]:
    return raw if isinstance(raw, dict) else {"item": raw}


class _Verdict:
    """What becomes of one delivery, given what the load refused of it."""

    def __init__(
        self,
        delivery: inbox.Delivery,
        items: list[Item],
        registered: set[str],
        refused: dict[str, dict[str, Any]],
    ) -> None:
        self._delivery = delivery
        self._items = items
        self.applied: Counter[str] = Counter()
        self.ignored: Counter[str] = Counter()
        self._waiting = sorted(
            {one.page_id for one in items if one.events and one.page_id} - registered
        )
        self._refused = {
            item.path: refused[key] for item in items if (key := _key(delivery, item)) in refused
        }
        self._again = bool(self._refused) and delivery.attempts + 1 < ATTEMPTS
        self._outcomes = [self._outcome(item) for item in items]
        self.name = self._name()

    def settled(self) -> dict[str, Any]:
        """The delivery as settle_webhook_deliveries takes it."""
        pending = self.name in ("retry", "waiting")
        plain = {outcome["outcome"] for outcome in self._outcomes} == {"applied"}
        reasons = [one["reason"] for one in self._refused.values()]
        return {
            "id": self._delivery.id,
            "state": "pending" if pending else self.name,
            "retry_seconds": _pause(self._delivery.attempts) if self._again else None,
            "waiting_for": self._waiting or None,
            "outcomes": None if plain else self._outcomes,
            "error": reasons[0] if reasons else None,
        }

    def quarantined(self) -> dict[str, list[dict[str, Any]]]:
        """The records to quarantine, by page: once the delivery is not tried again."""
        found: dict[str, list[dict[str, Any]]] = defaultdict(list)
        if self._again:
            return found
        for item in self._items:
            if item.path in self._refused:
                found[item.page_id or ""].append(self._event_record(item))
            elif item.unusable:
                found[item.page_id or ""].append(self._item_record(item))
        return found

    def _outcome(self, item: Item) -> dict[str, Any]:
        outcome: dict[str, Any] = {"item": item.path}
        if item.path in self._refused:
            how = "to be tried again" if self._again else "quarantined"
            return outcome | {"outcome": how, "reason": self._refused[item.path]["reason"]}
        if item.unusable:
            return outcome | {"outcome": "quarantined", "reason": item.unusable}
        if item.ignored:
            self.ignored[item.ignored] += 1
            return outcome | {"outcome": "ignored", "reason": item.ignored}
        if item.page_id in self._waiting:
            why = f"page {item.page_id} is not registered"
            return outcome | {"outcome": "waiting", "reason": why}
        self.applied.update(event["event_type"] for event in item.events)
        types = [event["event_type"] for event in item.events]
        return outcome | {"outcome": "applied", "events": types}

    def _name(self) -> str:
        if self._again:
            return "retry"
        if self._waiting:
            return "waiting"
        outcomes = {outcome["outcome"] for outcome in self._outcomes}
        if "quarantined" in outcomes:
            return "failed"
        return "done" if "applied" in outcomes else "ignored"

    def _event_record(self, item: Item) -> dict[str, Any]:
        one = self._refused[item.path]
        record = one["record"]
        [event] = record["events"]
        clean = {name: value for name, value in event.items() if name != "items"}
        return {
            "source": "webhook",
            "kind": "event",
            "identity": (event.get("message_id") or record["sender_id"])[:200],
            "reason": one["reason"][:500],
            "record": {**record, "delivery": self._delivery.id, "events": [clean]},
        }

    def _item_record(self, item: Item) -> dict[str, Any]:
        if item.path == "body":
            return _delivery_record(self._delivery, item.unusable or "")
        return {
            "source": "webhook",
            "kind": "item",
            # The same item delivered again is the same record.
            "identity": hashlib.sha256(repr(item.raw).encode(errors="replace")).hexdigest(),
            "reason": item.unusable,
            "record": {"delivery": self._delivery.id, **_object(item.raw)},
        }


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
