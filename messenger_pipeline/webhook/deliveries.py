"""Parses a delivery's body into items: each holds events, is ignored, or is unusable. Pure.

Meta's payloads vary more than its documentation admits: ids are numbers or strings, times are
milliseconds, seconds, strings or 0, a lone object replaces a list, and whole levels of the envelope
are missing.
Source: Messenger Platform, Webhooks reference; Instagram Platform, Webhooks.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any

from pydantic_core import from_json

from messenger_pipeline.errors import reason_of
from messenger_pipeline.graph.reading import parse_json
from messenger_pipeline.rows import EventRow
from messenger_pipeline.webhook.payloads import parse_events
from messenger_pipeline.webhook.rows import EPOCH, InboundItem, join_parts
from messenger_pipeline.webhook.times import parse_time

MAX_DEPTH = 64
"""Levels of nesting that are accepted; real deliveries have about a dozen."""
MAX_ITEMS = 5_000
"""Items of a delivery that are accepted; Meta sends up to a thousand."""
# An unterminated string matches up to the end of the body. Otherwise the search would restart at
# each quote inside it.
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"{}[]")


@dataclass(frozen=True)
class Item:
    """One item of a delivery; `path` is its place, such as entry.0.messaging.1.

    It has `events`, or a reason in `ignored` or `unusable`. `raw` is the item with the parts of its
    entry that `parse_item` needs.
    """

    path: str
    page_id: str | None
    contact_id: str | None
    events: list[EventRow]
    raw: Any
    ignored: str | None = None
    unusable: str | None = None
    time: datetime = EPOCH
    """When it happened, if anything in the delivery states it."""


@dataclass(frozen=True)
class _Context:
    """What the items of a delivery share."""

    received_at: datetime
    app_id: str | None


def parse_delivery(body: bytes, received_at: datetime, app_id: str | None = None) -> list[Item]:
    """Every item of a body, in order. A body that is not a delivery is one unusable item. `app_id`
    is our own app's."""
    try:
        envelope = _decode(body)
    except MemoryError:  # it passes
        raise
    except Exception as error:  # noqa: BLE001 - the item is unusable
        envelope = reason_of(error)
    if isinstance(envelope, str):
        return [_unusable_body(body, envelope)]
    context = _Context(received_at, app_id)
    items = list(islice(_items(envelope, context), MAX_ITEMS + 1))
    if len(items) > MAX_ITEMS:
        return [_unusable_body(body, f"more than {MAX_ITEMS:,} items")]
    return _join_messages(items)


def parse_item(raw: Any, received_at: datetime, app_id: str | None = None) -> Item:
    """Parse a quarantined item again, from its `raw`."""
    if not isinstance(raw, dict) or not {"entry", "channel", "item"} <= raw.keys():
        return Item("item", None, None, [], raw, unusable="the record is not an item of a delivery")
    entry = raw["entry"] if isinstance(raw["entry"], dict) else {}
    context = _Context(received_at, app_id)
    return _item("item", entry, str(raw["channel"]), raw["item"], context)


def _unusable_body(body: bytes, reason: str) -> Item:
    return Item("body", None, None, [], body.decode(errors="replace"), unusable=reason)


def _decode(body: bytes) -> Any | str:
    """The body's JSON, or the reason why it is unusable."""
    if b"\0" in body:  # not UTF-8, the only encoding of JSON between systems
        return "not JSON"
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH and _depth(body) > MAX_DEPTH:
        return f"nested deeper than {MAX_DEPTH} levels"
    try:
        decoded = from_json(body)
    except ValueError:
        decoded = parse_json(body)  # slower, but accepts half of a surrogate pair
    if isinstance(decoded, dict | list):
        return decoded
    return "not JSON" if decoded is None else "neither an object nor a list"


def _depth(body: bytes) -> int:
    """How deep brackets nest, outside of strings."""
    deepest = depth = 0
    for byte in _STRING.sub(b"", body).translate(None, _NO_BRACKETS):
        depth += 1 if byte in b"{[" else -1
        deepest = max(deepest, depth)
    return deepest


def _items(decoded: Any, context: _Context) -> Iterator[Item]:
    envelopes = decoded if isinstance(decoded, list) else [decoded]
    for number, envelope in enumerate(envelopes):
        path = f"{number}." if isinstance(decoded, list) else ""
        if isinstance(envelope, dict):
            yield from _items_of(path, envelope, context)
        else:
            yield Item(f"{path}body", None, None, [], envelope, unusable="not a delivery")
    if not envelopes:
        yield Item("body", None, None, [], decoded, ignored="the delivery is empty")


def _items_of(path: str, envelope: dict[str, Any], context: _Context) -> Iterator[Item]:
    kind = envelope.get("object")
    if kind not in (None, "page", "instagram"):
        yield Item(f"{path}object", None, None, [], envelope, ignored=f"object {str(kind)[:100]}")
        return
    entries = _as_list(envelope.get("entry"))
    if "entry" not in envelope:
        if not {"messaging", "standby", "changes", "change"} & envelope.keys():
            yield Item(f"{path}body", None, None, [], envelope, unusable="it has no entry")
            return
        entries = [envelope]
    if not entries:
        yield Item(f"{path}entry", None, None, [], envelope, ignored="its list of entries is empty")
    for number, entry in enumerate(entries):
        place = f"{path}entry.{number}"
        if isinstance(entry, dict):
            yield from _items_of_entry(place, entry, context)
        else:
            yield Item(place, None, None, [], entry, unusable="the entry is not an object")


def _items_of_entry(place: str, entry: dict[str, Any], context: _Context) -> Iterator[Item]:
    empty = True
    for channel in ("messaging", "standby"):
        for number, item in enumerate(_as_list(entry.get(channel))):
            empty = False
            yield _item(f"{place}.{channel}.{number}", entry, channel, item, context)
    page_id = _id(entry.get("id"))
    for name in ("changes", "change"):
        for number, change in enumerate(_as_list(entry.get(name))):
            empty = False
            field = change.get("field") if isinstance(change, dict) else None
            reason = f"the change is of {str(field)[:100]}, not of messaging"
            yield Item(f"{place}.{name}.{number}", page_id, None, [], None, ignored=reason)
    if empty:
        yield Item(place, page_id, None, [], None, ignored="the entry has no messaging items")


def _item(path: str, entry: dict[str, Any], channel: str, item: Any, context: _Context) -> Item:
    """One item. Nothing in it, foreseen or not, fails the others."""
    try:
        return _parse(path, entry, channel, item, context)
    except MemoryError:  # it passes
        raise
    except Exception as error:  # noqa: BLE001 - the item is unusable
        raw = _raw_of(entry, channel, item)
        return Item(path, _id(entry.get("id")), None, [], raw, unusable=reason_of(error))


def _raw_of(entry: dict[str, Any], channel: str, item: Any) -> dict[str, Any]:
    kept = {name: entry[name] for name in ("id", "time") if name in entry}
    return {"entry": kept, "channel": channel, "item": item}


def _parse(path: str, entry: dict[str, Any], channel: str, item: Any, context: _Context) -> Item:
    raw = _raw_of(entry, channel, item)
    if not isinstance(item, dict):
        page_id = _id(entry.get("id"))
        return Item(path, page_id, None, [], raw, unusable="the item is not an object")
    page_id, contact_id, from_page = _parties(entry, item)
    inbound = InboundItem(
        item,
        sender_id=_party(item, "sender"),
        from_page=from_page,
        standby=channel == "standby",
        item_time=parse_time(item.get("timestamp")),
        entry_time=parse_time(entry.get("time")),
        received_at=context.received_at,
        app_id=context.app_id,
    )
    events = parse_events(inbound)
    if isinstance(events, str):
        return Item(path, page_id, contact_id, [], raw, unusable=events)
    if not events:
        return Item(path, page_id, contact_id, [], raw, ignored="the item is empty")
    if page_id and contact_id:
        return Item(path, page_id, contact_id, events, raw, time=inbound.time)
    if contact_id is None and _has_user_ref(item):
        return Item(path, page_id, None, [], raw, ignored="it has a user_ref and no sender")
    reason = "it names no page" if page_id is None else "it names no contact"
    if all(event["event_type"] in ("handover", "policy_enforcement") for event in events):
        return Item(path, page_id, None, [], raw, ignored=reason)
    return Item(path, page_id, None, [], raw, unusable=reason)


def _parties(entry: dict[str, Any], item: dict[str, Any]) -> tuple[str | None, str | None, bool]:
    """The page, the contact, and whether the page is the sender.

    The contact is the party that is not the page. The page is the sender of an echo, even if Meta
    did not swap the parties.
    """
    message = item.get("message")
    echo = isinstance(message, dict) and message.get("is_echo") is True
    sender, recipient = _party(item, "sender"), _party(item, "recipient")
    page = _id(entry.get("id"))
    if page is None:
        page = sender if echo else recipient
    others = [party for party in (sender, recipient) if party is not None and party != page]
    if not others:
        return page, None, echo
    # If neither is the page, one of them is another id of the page.
    contact = others[-1] if echo and len(others) > 1 else others[0]
    return page, contact, echo or (sender is not None and sender == page)


def _join_messages(items: list[Item]) -> list[Item]:
    """Messages of one id and time in one delivery are parts of one message: each gets the metadata
    of all."""
    groups: dict[tuple[Any, ...], list[tuple[int, EventRow]]] = {}
    for number, item in enumerate(items):
        for event in item.events:
            if event["message_id"] is not None and event["event_type"].startswith("message_"):
                key = item.page_id, event["message_id"], item.time
                groups.setdefault(key, []).append((number, event))
    for group in groups.values():
        if len(group) > 1:
            _join(items, group)
    return items


def _join(items: list[Item], group: list[tuple[int, EventRow]]) -> None:
    try:
        whole = join_parts([event["metadata"] for _, event in group])
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - the item is unusable
        for number, _ in group:
            items[number] = replace(items[number], events=[], unusable=reason_of(error))
        return
    for _, event in group:
        event["metadata"] = dict(whole)


def _party(item: dict[str, Any], name: str) -> str | None:
    party = item.get(name)
    return _id(party.get("id")) if isinstance(party, dict) else None


def _has_user_ref(item: dict[str, Any]) -> bool:
    places = (item.get("sender"), item.get("optin"), item.get("recipient"))
    return any(isinstance(place, dict) and place.get("user_ref") for place in places)


def _id(value: Any) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not 0 < len(value) <= 500:
        return None
    return None if "\0" in value else value  # PostgreSQL's text cannot hold it


def _as_list(value: Any) -> list[Any]:
    """A list; a lone object becomes a list of one."""
    if isinstance(value, list):
        return value
    return [] if value is None else [value]
