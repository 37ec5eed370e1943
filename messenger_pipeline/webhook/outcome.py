"""What becomes of one delivery, given what its items say and what PostgreSQL refused. Pure."""

import hashlib
from collections import Counter, defaultdict
from typing import Any

from messenger_pipeline.db import inbox
from messenger_pipeline.webhook.deliveries import Item

ATTEMPTS = 5
"""Times that an item is tried before it is quarantined."""
_FIRST_PAUSE = 2.0  # seconds, doubled with each attempt


def key_of(delivery: inbox.Delivery, item: Item) -> str:
    """What names an item of a delivery in a load."""
    return f"{delivery.id}:{item.path}"


def pause_after(attempts: int) -> float:
    """Seconds until the next try."""
    return _FIRST_PAUSE * 2.0 ** min(attempts, 20)


class Verdict:
    """What becomes of one delivery, given what the load refused of it."""

    def __init__(
        self,
        delivery: inbox.Delivery,
        items: list[Item],
        registered: set[str],
        refused: dict[str, list[dict[str, Any]]],
    ) -> None:
        self._delivery = delivery
        self._items = items
        self.applied: Counter[str] = Counter()
        self.ignored: Counter[str] = Counter()
        self._waiting = sorted(
            {one.page_id for one in items if one.events and one.page_id} - registered
        )
        self._refused = {
            item.path: refused[key] for item in items if (key := key_of(delivery, item)) in refused
        }
        self._again = bool(self._refused) and delivery.attempts + 1 < ATTEMPTS
        self._outcomes = [self._outcome(item) for item in items]
        self.name = self._name()

    def settled(self) -> dict[str, Any]:
        """The delivery as settle_webhook_deliveries takes it."""
        pending = self.name in ("retry", "waiting")
        plain = {outcome["outcome"] for outcome in self._outcomes} == {"applied"}
        reasons = [one["reason"] for refused in self._refused.values() for one in refused]
        return {
            "id": self._delivery.id,
            "state": "pending" if pending else self.name,
            "retry_seconds": pause_after(self._delivery.attempts) if self._again else None,
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
                found[item.page_id or ""] += map(self._event_record, self._refused[item.path])
            elif item.unusable:
                found[item.page_id or ""].append(self._item_record(item))
        return found

    def _outcome(self, item: Item) -> dict[str, Any]:
        outcome: dict[str, Any] = {"item": item.path}
        if item.path in self._refused:
            how = "to be tried again" if self._again else "quarantined"
            return outcome | {"outcome": how, "reason": self._refused[item.path][0]["reason"]}
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

    def _event_record(self, refused: dict[str, Any]) -> dict[str, Any]:
        record = refused["record"]
        [event] = record["events"]
        clean = {name: value for name, value in event.items() if name != "items"}
        # All that tells it from others: who replays one must not lose another.
        names = ("event_type", "message_id", "event_timestamp", "discriminator")
        parts = (record["sender_id"], *(event.get(name) for name in names))
        identity = " ".join(str(part) for part in parts if part)
        return {
            "source": "webhook",
            "kind": "event",
            "identity": identity if len(identity) <= 200 else _hash(identity.encode()),
            "reason": refused["reason"][:500],
            "record": {**record, "delivery": self._delivery.id, "events": [clean]},
        }

    def _item_record(self, item: Item) -> dict[str, Any]:
        if item.path == "body":
            return _delivery_record(self._delivery, item.unusable or "")
        return {
            "source": "webhook",
            "kind": "item",
            # The same item delivered again is the same record.
            "identity": _hash(repr(item.raw).encode(errors="replace")),
            "reason": item.unusable,
            "record": {"delivery": self._delivery.id, **_object(item.raw)},
        }


def _delivery_record(delivery: inbox.Delivery, reason: str) -> dict[str, Any]:
    return {
        "source": "webhook",
        "kind": "delivery",
        "identity": _hash(delivery.body),
        "reason": reason[:500],
        "record": {"delivery": delivery.id, "body": delivery.body.decode(errors="replace")},
    }


def _object(raw: Any) -> dict[str, Any]:
    return raw if isinstance(raw, dict) else {"item": raw}


def _hash(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()
