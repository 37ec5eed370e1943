"""What a delivery's body says, item by item: an event, nothing of ours, or nothing usable. Pure.

Meta's shapes vary more than its documents tell: ids are numbers or texts, times milliseconds,
seconds, texts or 0, lists lone objects, and whole levels of the envelope are missing.
Source: Messenger Platform, Webhooks reference; Instagram Platform, Webhooks.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from pydantic_core import from_json

from messenger_pipeline.graph.reading import parse_json
from messenger_pipeline.rows import EventRow
from messenger_pipeline.webhook.payloads import Told, events_in, joined
from messenger_pipeline.webhook.times import parse_time

MAX_DEPTH = 64
"""Levels of nesting: real deliveries have a dozen."""
MAX_ITEMS = 5_000
"""Items of a delivery: Meta's have up to a thousand."""
# One that is cut off reaches to the end: else it would be looked for again at each quote in it.
_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"{}[]")


@dataclass(frozen=True)
class Item:
    """One thing that a delivery holds, named by its place in it, such as entry.0.messaging.1.

    `events` if it can be applied; else `ignored` or `unusable` tells why not. `raw` is the item
    with what of its entry is needed to look at it again.
    """

    path: str
    page_id: str | None
    contact_id: str | None
    events: list[EventRow]
    raw: Any
    ignored: str | None = None
    unusable: str | None = None


def parse_delivery(body: bytes, received_at: datetime) -> list[Item]:
    """Every item of a delivery's body, in its order; a body that is none is one unusable item."""
    told = _decoded(body)
    if isinstance(told, str):
        return [Item("body", None, None, [], body.decode(errors="replace"), unusable=told)]
    items = list(islice(_items(told, received_at), MAX_ITEMS + 1))
    if len(items) > MAX_ITEMS:
        why = f"more than {MAX_ITEMS} items"
        return [Item("body", None, None, [], body.decode(errors="replace"), unusable=why)]
    return _joined_messages(items)


def parse_item(raw: Any, received_at: datetime) -> Item:
    """An item that was not usable, looked at again, from its `raw`."""
    if not isinstance(raw, dict) or not {"entry", "channel", "item"} <= raw.keys():
        return Item("item", None, None, [], raw, unusable="the record is no part of a delivery")
    entry = raw["entry"] if isinstance(raw["entry"], dict) else {}
    return _item("item", entry, str(raw["channel"]), raw["item"], received_at)


def _decoded(body: bytes) -> Any | str:
    """The body's JSON, or why it is none that can be used."""
    if b"\0" in body:  # it is in another encoding than UTF-8, which JSON between systems is not
        return "no JSON"
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH and _depth(body) > MAX_DEPTH:
        return f"nested deeper than {MAX_DEPTH} levels"
    try:
        told = from_json(body)
    except ValueError:
        told = parse_json(body)  # slower, and bears half of a surrogate pair
    if isinstance(told, dict | list):
        return told
    return "no JSON" if told is None else "neither an object nor a list"


def _depth(body: bytes) -> int:
    """How deep brackets nest, those in texts left out."""
    deepest = depth = 0
    for byte in _TEXT.sub(b"", body).translate(None, _NO_BRACKETS):
        depth += 1 if byte in b"{[" else -1
        deepest = max(deepest, depth)
    return deepest


def _items(told: Any, received_at: datetime) -> Iterator[Item]:
    envelopes = told if isinstance(told, list) else [told]
    for number, envelope in enumerate(envelopes):
        path = f"{number}." if isinstance(told, list) else ""
        if isinstance(envelope, dict):
            yield from _items_of(path, envelope, received_at)
        else:
            yield Item(f"{path}body", None, None, [], envelope, unusable="no delivery")
    if not envelopes:
        yield Item("body", None, None, [], told, ignored="empty")


def _items_of(path: str, envelope: dict[str, Any], received_at: datetime) -> Iterator[Item]:
    what = envelope.get("object")
    if what not in (None, "page", "instagram"):
        yield Item(f"{path}object", None, None, [], envelope, ignored=f"object {str(what)[:100]}")
        return
    entries = _listed(envelope.get("entry"))
    if "entry" not in envelope:
        if not {"messaging", "standby", "changes", "change"} & envelope.keys():
            yield Item(f"{path}body", None, None, [], envelope, unusable="no entry in it")
            return
        entries = [envelope]
    if not entries:
        yield Item(f"{path}entry", None, None, [], envelope, ignored="no entries")
    for number, entry in enumerate(entries):
        place = f"{path}entry.{number}"
        if isinstance(entry, dict):
            yield from _items_of_entry(place, entry, received_at)
        else:
            yield Item(place, None, None, [], entry, unusable="the entry is no object")


def _items_of_entry(place: str, entry: dict[str, Any], received_at: datetime) -> Iterator[Item]:
    some = False
    for channel in ("messaging", "standby"):
        for number, item in enumerate(_listed(entry.get(channel))):
            some = True
            yield _item(f"{place}.{channel}.{number}", entry, channel, item, received_at)
    for name in ("changes", "change"):
        for number, change in enumerate(_listed(entry.get(name))):
            some = True
            field = change.get("field") if isinstance(change, dict) else None
            why = f"a change of {str(field)[:100]}, not messaging"
            yield Item(f"{place}.{name}.{number}", _id(entry.get("id")), None, [], None, why)
    if not some:
        page_id = _id(entry.get("id"))
        yield Item(place, page_id, None, [], None, ignored="no messaging in it")


def _item(path: str, entry: dict[str, Any], channel: str, item: Any, received_at: datetime) -> Item:
    about = {name: entry[name] for name in ("id", "time") if name in entry}
    raw = {"entry": about, "channel": channel, "item": item}
    if not isinstance(item, dict):
        return Item(path, _id(entry.get("id")), None, [], raw, unusable="the item is no object")
    page_id, contact_id, sent = _parties(entry, item)
    told = Told(
        item,
        sender_id=_party(item, "sender"),
        sent=sent,
        standby=channel == "standby",
        item_time=parse_time(item.get("timestamp")),
        entry_time=parse_time(entry.get("time")),
        received_at=received_at,
    )
    found = events_in(told)
    if isinstance(found, str):
        return Item(path, page_id, contact_id, [], raw, unusable=found)
    if not found:
        return Item(path, page_id, contact_id, [], raw, ignored="no event in it")
    if page_id and contact_id:
        return Item(path, page_id, contact_id, found, raw)
    if contact_id is None and _has_user_ref(item):
        return Item(path, page_id, None, [], raw, ignored="a user_ref, and no sender")
    why = "it names no page" if page_id is None else "it names nobody but the page"
    if all(event["event_type"] in ("handover", "policy_enforcement") for event in found):
        return Item(path, page_id, None, [], raw, ignored=why)
    return Item(path, page_id, None, [], raw, unusable=why)


def _parties(entry: dict[str, Any], item: dict[str, Any]) -> tuple[str | None, str | None, bool]:
    """The page, the contact, and whether the page sent it.

    The contact is the party that is not the page. An echo is the page's, even where the parties
    are not exchanged.
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
    # Where neither is the page, it is told by another id of its own.
    contact = others[-1] if echo and len(others) > 1 else others[0]
    return page, contact, echo or (sender is not None and sender == page)


def _joined_messages(items: list[Item]) -> list[Item]:
    """Messages of one id in one delivery are parts of one message: each says what all say."""
    groups: dict[tuple[Any, ...], list[EventRow]] = {}
    for item in items:
        for event in item.events:
            if event["message_id"] is not None and event["event_type"].startswith("message_"):
                key = item.page_id, event["message_id"], event["as_of"]
                groups.setdefault(key, []).append(event)
    for group in groups.values():
        if len(group) > 1:
            whole = joined([event["metadata"] for event in group])
            for event in group:
                event["metadata"] = dict(whole)
    return items


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
    return None if "\0" in value else value  # which PostgreSQL takes in no text


def _listed(value: Any) -> list[Any]:
    """A list; a lone object stands for a list of it."""
    if isinstance(value, list):
        return value
    return [] if value is None else [value]
