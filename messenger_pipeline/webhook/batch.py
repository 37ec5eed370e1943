"""Applies claimed deliveries in a transaction: parses them, loads their events, settles them."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from messenger_pipeline.db import inbox
from messenger_pipeline.db.inbox import Delivery, LoadedEvents
from messenger_pipeline.db.server import Connection
from messenger_pipeline.errors import DatabaseConflict, DatabaseUnavailable
from messenger_pipeline.webhook.accounts import ParsedDelivery, place_items
from messenger_pipeline.webhook.deliveries import parse_delivery
from messenger_pipeline.webhook.items import Item
from messenger_pipeline.webhook.outcome import Failure, Outcome, key_of
from messenger_pipeline.webhook.result import DrainResult
from messenger_pipeline.webhook.rows import conversation_row


def apply_deliveries(
    connection: Connection, claimed: list[Delivery], app_id: str | None = None
) -> DrainResult:
    """Apply deliveries together, which is fast. One error fails all of them."""
    parsed = [(one, parse_delivery(one.body, one.received_at, app_id)) for one in claimed]
    placed = place_items(connection, parsed, app_id)
    return _settle(connection, placed, [_load(connection, placed)], {})


def apply_items(
    connection: Connection, claimed: list[Delivery], app_id: str | None = None
) -> DrainResult:
    """Apply one delivery so that an error of one item fails no other. Items that fail are found by
    bisection."""
    [delivery] = claimed
    parsed = parse_delivery(delivery.body, delivery.received_at, app_id)
    [(_, items)] = place_items(connection, [(delivery, parsed)], app_id)
    failures: dict[str, Failure] = {}
    loaded = _load_parts(connection, delivery, items, failures)
    return _settle(connection, [(delivery, items)], loaded, failures)


def _load_parts(
    connection: Connection,
    delivery: Delivery,
    items: list[Item],
    failures: dict[str, Failure],
) -> list[LoadedEvents]:
    """Load the items that can be loaded; add the others to `failures`, by their path."""
    try:
        with inbox.savepoint(connection):
            return [_load(connection, [(delivery, items)])]
    except (DatabaseUnavailable, DatabaseConflict):
        raise
    except Exception as error:  # noqa: BLE001 - the other items are loaded
        if len(items) <= 1:
            failures |= {one.path: Failure.of(error) for one in items}
            return []
    middle = len(items) // 2
    return [
        *_load_parts(connection, delivery, items[:middle], failures),
        *_load_parts(connection, delivery, items[middle:], failures),
    ]


def _load(connection: Connection, parsed: list[ParsedDelivery]) -> LoadedEvents:
    return inbox.load_events(connection, _pages(parsed), _received(parsed))


def _settle(
    connection: Connection,
    parsed: list[ParsedDelivery],
    loaded: list[LoadedEvents],
    failures: dict[str, Failure],
) -> DrainResult:
    """Quarantine what is unusable, and settle each delivery."""
    total = DrainResult(deliveries=len(parsed))
    total.oldest = min(delivery.received_at for delivery, _ in parsed)
    for one in loaded:
        total.events_created += one.events_created
        total.inserted += one.inserted
        total.updated += one.updated
        total.new_contacts += [(new["page_id"], new["sender_id"]) for new in one.new_contacts]
    refused = _refused_by_item(loaded)
    settled = []
    for delivery, items in parsed:
        outcome = Outcome(delivery, items, refused, failures)
        for page_id, records in outcome.quarantined().items():
            inbox.quarantine(connection, page_id, records)
            total.quarantined += len(records)
        settled.append(outcome.settled())
        total.states[outcome.state] += 1
        total.events.update(outcome.applied)
        total.ignored.update(outcome.ignored)
    inbox.settle(connection, settled)
    return total


def _refused_by_item(loaded: list[LoadedEvents]) -> dict[str, list[dict[str, Any]]]:
    """The events that PostgreSQL refused, by the key of each item that holds them."""
    refused: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in (record for part in loaded for record in part.refused):
        for key in one["record"]["events"][0]["items"]:
            refused[key].append(one)
    return refused


def _pages(parsed: Iterable[ParsedDelivery]) -> list[dict[str, Any]]:
    """The load's argument: one conversation per contact, each event with the keys of its items."""
    events: dict[tuple[str, str], dict[str, Any]] = defaultdict(dict)
    times: dict[tuple[str, str], set[datetime]] = defaultdict(set)
    printed: dict[int, str] = {}  # parts of one message share its metadata
    for delivery, items in parsed:
        for item in items:
            if item.account and item.contact_id:
                contact = item.account.page_id, item.contact_id
                for event in item.events:
                    # An event that was delivered twice is loaded once.
                    metadata = event["metadata"]
                    if id(metadata) not in printed:
                        printed[id(metadata)] = repr(metadata)
                    same = printed[id(metadata)] + repr({**event, "metadata": None})
                    marked = events[contact].setdefault(same, {**event, "items": []})
                    marked["items"].append(key_of(delivery, item))
                    times[contact].add(item.time)
    pages: dict[str, dict[str, Any]] = {}
    for (page_id, contact_id), rows in events.items():
        page = pages.setdefault(page_id, {"page_id": page_id, "conversations": []})
        row = conversation_row(contact_id, times[page_id, contact_id], list(rows.values()))
        page["conversations"].append(row)
    return list(pages.values())


def _received(parsed: Iterable[ParsedDelivery]) -> list[dict[str, Any]]:
    """How many items, and messages and reactions among them, each page received in each hour.

    A delivery counts at its first attempt.
    """
    times: dict[tuple[str, datetime], list[datetime]] = defaultdict(list)
    types: dict[tuple[str, datetime], Counter[str]] = defaultdict(Counter)
    for delivery, items in parsed:
        hour = delivery.received_at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        for item in items if delivery.attempts == 0 else []:
            if item.account:
                times[item.account.page_id, hour].append(delivery.received_at)
                types[item.account.page_id, hour].update(
                    event["event_type"] for event in item.events
                )
    return [
        {
            "page_id": page_id,
            "items": len(at),
            "received": types[page_id, hour]["message_received"],
            "sent": types[page_id, hour]["message_sent"],
            "reactions": types[page_id, hour]["reaction"],
            "first_at": min(at),
            "last_at": max(at),
        }
        for (page_id, hour), at in times.items()
    ]
