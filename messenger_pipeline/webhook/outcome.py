"""The outcome of one delivery, from its parsed items and what PostgreSQL refused. Pure."""

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any

from messenger_pipeline.db import inbox
from messenger_pipeline.errors import DatabaseError, reason_of
from messenger_pipeline.webhook.items import Item

ATTEMPTS = 5
"""Attempts to load an item before it is quarantined."""
MAX_PAUSE_SECONDS = 600.0
_FIRST_PAUSE_SECONDS = 2.0  # doubled with each attempt
_MAX_REASON = 500  # characters


@dataclass(frozen=True)
class Failure:
    """Why an item could not be loaded. `lasting`: the cause may be the database, such as a revoked
    privilege, so the item is retried until it is loaded."""

    reason: str
    lasting: bool

    @classmethod
    def of(cls, error: Exception) -> "Failure":
        return cls(reason_of(error)[:_MAX_REASON], isinstance(error, DatabaseError))


def key_of(delivery: inbox.Delivery, item: Item) -> str:
    """Identifies an item of a delivery within a load."""
    return f"{delivery.id}:{item.path}"


def pause_after(attempts: int) -> float:
    """Seconds until the next attempt, without an upper limit."""
    return _FIRST_PAUSE_SECONDS * 2.0 ** min(attempts, 20)


class Outcome:
    """The outcome of one delivery; `refused` are events that PostgreSQL refused, by item key, and
    `failures` its items that could not be loaded for any other reason, by path.

    `state` is done, ignored, failed, or, for a delivery that stays pending, retry or waiting.
    """

    def __init__(
        self,
        delivery: inbox.Delivery,
        items: list[Item],
        refused: dict[str, list[dict[str, Any]]],
        failures: dict[str, Failure] | None = None,
    ) -> None:
        self._delivery = delivery
        self._items = items
        self.applied: Counter[str] = Counter()
        self.ignored: Counter[str] = Counter()
        self._unregistered = sorted(
            {one.page_id for one in items if one.events and one.page_id and not one.account}
        )
        self._refused = {
            item.path: refused[key] for item in items if (key := key_of(delivery, item)) in refused
        }
        self._failures = failures or {}
        lasting = any(one.lasting for one in self._failures.values())
        has_failed = bool(self._refused or self._failures)
        self._retry = has_failed and (lasting or delivery.attempts + 1 < ATTEMPTS)
        self._outcomes = [self._outcome(item) for item in items]
        self.state = self._state()

    def settled(self) -> dict[str, Any]:
        """The delivery as settle_webhook_deliveries takes it."""
        pending = self.state in ("retry", "waiting")
        all_applied = {outcome["outcome"] for outcome in self._outcomes} == {"applied"}
        reasons = [one.reason for one in self._failures.values()]
        reasons += [one["reason"] for refused in self._refused.values() for one in refused]
        pause = min(pause_after(self._delivery.attempts), MAX_PAUSE_SECONDS)
        return {
            "id": self._delivery.id,
            "state": "pending" if pending else self.state,
            "retry_seconds": pause if self._retry else None,
            "waiting_for": self._unregistered or None,
            "outcomes": None if all_applied else self._outcomes,
            "error": reasons[0] if reasons else None,
        }

    def quarantined(self) -> dict[str, list[dict[str, Any]]]:
        """The records to quarantine, by page id; none while the delivery will be retried."""
        records: dict[str, list[dict[str, Any]]] = defaultdict(list)
        if self._retry:
            return records
        for item in self._items:
            if item.path in self._refused:
                records[item.page_id or ""] += map(self._event_record, self._refused[item.path])
            elif reason := item.unusable or self._reason_of_failure(item):
                records[item.page_id or ""].append(self._item_record(item, reason))
        return records

    def _outcome(self, item: Item) -> dict[str, Any]:
        outcome: dict[str, Any] = {"item": item.path}
        if item.path in self._refused:
            name = "retry" if self._retry else "quarantined"
            return outcome | {"outcome": name, "reason": self._refused[item.path][0]["reason"]}
        if failure := self._reason_of_failure(item):
            return outcome | {
                "outcome": "retry" if self._retry else "quarantined",
                "reason": failure,
            }
        if item.unusable:
            return outcome | {"outcome": "quarantined", "reason": item.unusable}
        if item.ignored:
            self.ignored[item.ignored] += 1
            return outcome | {"outcome": "ignored", "reason": item.ignored}
        if item.account is None:
            reason = f"page {item.page_id} is not registered"
            return outcome | {"outcome": "waiting", "reason": reason}
        types = [event["event_type"] for event in item.events]
        self.applied.update(types)
        return outcome | {"outcome": "applied", "events": types}

    def _state(self) -> str:
        if self._retry:
            return "retry"
        if self._unregistered:
            return "waiting"
        outcomes = {outcome["outcome"] for outcome in self._outcomes}
        if "quarantined" in outcomes:
            return "failed"
        return "done" if "applied" in outcomes else "ignored"

    def _reason_of_failure(self, item: Item) -> str | None:
        failure = self._failures.get(item.path)
        return failure.reason if failure else None

    def _event_record(self, refused: dict[str, Any]) -> dict[str, Any]:
        record = refused["record"]
        [event] = record["events"]
        clean = {name: value for name, value in event.items() if name != "items"}
        # Different events need different identities, or one record would overwrite the other.
        names = ("event_type", "message_id", "event_timestamp", "discriminator")
        parts = (record["sender_id"], *(event.get(name) for name in names))
        identity = " ".join(str(part) for part in parts if part)
        return {
            "source": "webhook",
            "kind": "event",
            "identity": _short(identity),
            "reason": refused["reason"][:_MAX_REASON],
            "record": {**record, "delivery": self._delivery.id, "events": [clean]},
        }

    def _item_record(self, item: Item, reason: str) -> dict[str, Any]:
        if item.path == "body":
            return delivery_record(self._delivery, reason, with_body=True)
        raw = item.raw if isinstance(item.raw, dict) else {"item": item.raw}
        ours = {
            "delivery": self._delivery.id,
            "received_at": self._delivery.received_at.isoformat(),
        }
        if ours.keys() & raw.keys():  # an envelope may hold anything
            raw = {"item": raw}
        return {
            "source": "webhook",
            "kind": "item",
            # An item that is delivered again is the same record.
            "identity": _hash(repr(item.raw).encode(errors="replace")),
            "reason": reason,
            "record": {**ours, **raw},
        }


def delivery_record(
    delivery: inbox.Delivery, reason: str, *, with_body: bool = False
) -> dict[str, Any]:
    """The record of a whole delivery. Its body is in the inbox, too, as long as it is failed."""
    body = {"body": delivery.body.decode(errors="replace")} if with_body else {}
    return {
        "source": "webhook",
        "kind": "delivery",
        "identity": _hash(delivery.body),
        "reason": reason[:_MAX_REASON],
        "record": {"delivery": delivery.id, **body},
    }


def _short(identity: str) -> str:
    """At most 200 bytes: an index holds it, with a page's id and a reason."""
    raw = identity.encode(errors="replace")
    return identity if len(raw) <= 200 else _hash(raw)


def _hash(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()
