"""Parses a delivery's body into items: each holds events, is ignored, or is unusable. Pure.

Meta's payloads vary more than its documentation admits: ids are numbers or strings, times are
milliseconds, seconds, strings or 0, a lone object replaces a list, and whole levels of the envelope
are missing.
Source: Messenger Platform, Webhooks reference; Instagram Platform, Webhooks.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Any

from pydantic_core import from_json

from messenger_pipeline.errors import reason_of
from messenger_pipeline.graph.reading import parse_json
from messenger_pipeline.webhook.items import Context, Item, Place, id_of, join_messages, parse_at

MAX_DEPTH = 64
"""Levels of nesting that are accepted; real deliveries have about a dozen."""
MAX_ITEMS = 5_000
"""Items of a delivery that are accepted; Meta sends up to a thousand."""
# An unterminated string matches up to the end of the body. Otherwise the search would restart at
# each quote inside it.
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
MESSAGING_FIELDS = frozenset({
    "messages", "message_echoes", "message_edits", "message_reactions", "message_reads",
    "message_deliveries", "message_context", "messaging_postbacks", "messaging_referrals",
    "messaging_optins", "messaging_seen", "messaging_handovers", "messaging_handover",
    "messaging_feedback", "messaging_account_linking", "messaging_policy_enforcement",
    "messaging_customer_information", "standby",
})  # fmt: skip
"""Fields of a change whose value is an item, as under `messaging`. The app dashboard's tests send
them, and so do some apps' deliveries."""
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"{}[]")


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
    context = Context(received_at, app_id)
    items = list(islice(_items(envelope, context), MAX_ITEMS + 1))
    if len(items) > MAX_ITEMS:
        return [_unusable_body(body, f"more than {MAX_ITEMS:,} items")]
    return join_messages(items)


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


def _items(decoded: Any, context: Context) -> Iterator[Item]:
    envelopes = decoded if isinstance(decoded, list) else [decoded]
    for number, envelope in enumerate(envelopes):
        path = f"{number}." if isinstance(decoded, list) else ""
        if isinstance(envelope, dict):
            yield from _items_of(path, envelope, context)
        else:
            yield Item(f"{path}body", None, None, [], envelope, unusable="not a delivery")
    if not envelopes:
        yield Item("body", None, None, [], decoded, ignored="the delivery is empty")


def _items_of(path: str, envelope: dict[str, Any], context: Context) -> Iterator[Item]:
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
            yield from _items_of_entry(place, entry, kind, context)
        else:
            yield Item(place, None, None, [], entry, unusable="the entry is not an object")


def _items_of_entry(
    place: str, entry: dict[str, Any], kind: str | None, context: Context
) -> Iterator[Item]:
    empty = True
    for channel in ("messaging", "standby"):
        for number, item in enumerate(_as_list(entry.get(channel))):
            empty = False
            at = Place(f"{place}.{channel}.{number}", entry, channel, kind)
            yield parse_at(at, item, context)
    for name in ("changes", "change"):
        for number, change in enumerate(_as_list(entry.get(name))):
            empty = False
            at = Place(f"{place}.{name}.{number}", entry, "messaging", kind)
            yield from _items_of_change(at, change, context)
    if empty:
        reason = "the entry has no messaging items"
        yield Item(place, id_of(entry.get("id")), None, [], None, ignored=reason)


def _items_of_change(place: "Place", change: Any, context: Context) -> Iterator[Item]:
    """The items of a change, usually one, if its field is one of messaging."""
    field = change.get("field") if isinstance(change, dict) else None
    if not isinstance(field, str) or field not in MESSAGING_FIELDS or "value" not in change:
        reason = f"the change is of {str(field)[:100]}, not of messaging"
        page_id = id_of(place.entry.get("id"))
        yield Item(place.path, page_id, None, [], None, ignored=reason)
        return
    place = replace(place, channel="standby" if field == "standby" else "messaging")
    values = _as_list(change["value"])
    for number, value in enumerate(values):
        path = place.path if len(values) == 1 else f"{place.path}.{number}"
        yield parse_at(replace(place, path=path), value, context)
    if not values:
        yield parse_at(place, change["value"], context)


def _as_list(value: Any) -> list[Any]:
    """A list; a lone object becomes a list of one."""
    if isinstance(value, list):
        return value
    return [] if value is None else [value]
