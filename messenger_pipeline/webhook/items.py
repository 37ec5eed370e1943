"""Parses one item of a delivery: its page, its contact, and its events. Pure.

Source: Messenger Platform, Webhooks reference; Instagram Platform, Webhooks.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from messenger_pipeline.errors import reason_of
from messenger_pipeline.identifiers import usable_id
from messenger_pipeline.merge import join_parts
from messenger_pipeline.rows import EventRow
from messenger_pipeline.webhook.payloads import parse_events
from messenger_pipeline.webhook.rows import (
    EPOCH,
    InboundItem,
    first_message_id,
    parse_message_id,
)
from messenger_pipeline.webhook.times import parse_time


@dataclass(frozen=True)
class Account:
    """The registered account that items are of, with all its ids.

    `contact_id` is the contact where it is known from the message that an item names.
    """

    page_id: str
    ids: frozenset[str | None]
    contact_id: str | None = None


@dataclass(frozen=True)
class Item:
    """One item of a delivery; `path` is its place, such as entry.0.messaging.1.

    It has `events`, or a reason in `ignored` or `unusable`. `page_id` is the id by which the
    delivery names the account: see accounts.py. `raw` is the item with the parts of its delivery
    that `parse_item` needs.
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
    account: Account | None = None
    """The account, if it is registered: see accounts.py."""


@dataclass(frozen=True)
class Context:
    """What the items of a delivery share. `app_id` is our own app's."""

    received_at: datetime
    app_id: str | None = None


@dataclass(frozen=True)
class Place:
    """Where an item stands: its path, entry and channel, and its delivery's `object`."""

    path: str
    entry: dict[str, Any]
    channel: str
    kind: str | None

    def raw(self, item: Any) -> dict[str, Any]:
        kept = {name: self.entry[name] for name in ("id", "time") if name in self.entry}
        # Where one page has two inboxes, `object` distinguishes them.
        kind = {"object": self.kind} if self.kind == "instagram" else {}
        return {"entry": kept, "channel": self.channel, "item": item, **kind}


def parse_item(
    raw: Any,
    received_at: datetime,
    account: Account | None = None,
    path: str = "item",
    *,
    app_id: str | None = None,
) -> Item:
    """Parse an item again from its `raw`, as one of `account`, if it is given. `app_id` is our own
    app's."""
    if not is_item(raw):
        return Item(path, None, None, [], raw, unusable="the record is not an item of a delivery")
    entry = raw["entry"] if isinstance(raw["entry"], dict) else {}
    place = Place(path, entry, str(raw["channel"]), raw.get("object"))
    return parse_at(place, raw["item"], Context(received_at, app_id), account)


def is_item(raw: Any) -> bool:
    """Whether `raw` is an item with the parts of its delivery."""
    return isinstance(raw, dict) and {"entry", "channel", "item"} <= raw.keys()


def parties_of(raw: Any) -> tuple[str | None, str | None]:
    """The sender and the recipient that an item's `raw` names."""
    item = raw["item"] if is_item(raw) else None
    if not isinstance(item, dict):
        return None, None
    return _party(item, "sender"), _party(item, "recipient")


def named_messages(raw: Any) -> list[str]:
    """The ids of the messages that an item's `raw` names: the one that it is, changes or reports,
    and the one that it replies to. Of several that it reports only the first, as in the event's
    row: which conversation it belongs to must not depend on which of them are stored."""
    item = raw["item"] if is_item(raw) else None
    found: list[Any] = []
    for payload in item.values() if isinstance(item, dict) else ():
        if isinstance(payload, dict):
            reply, mids = payload.get("reply_to"), payload.get("mids")
            found.append(payload.get("mid"))
            found.append(reply.get("mid") if isinstance(reply, dict) else None)
            found.append(first_message_id(mids) if isinstance(mids, list) else None)
    named = (parse_message_id(one) for one in found)
    # PostgreSQL's text cannot hold NUL. The load stores it like this, too.
    return [one.replace("\0", "\ufffd") for one in named if one is not None]


def parse_at(place: Place, item: Any, context: Context, account: Account | None = None) -> Item:
    """One item. Nothing in it, foreseen or not, fails the others."""
    try:
        return _parse(place, item, context, account)
    except MemoryError:  # it passes
        raise
    except Exception as error:  # noqa: BLE001 - the item is unusable
        page_id = account.page_id if account else id_of(place.entry.get("id"))
        return Item(place.path, page_id, None, [], place.raw(item), unusable=reason_of(error))


def _parse(place: Place, item: Any, context: Context, account: Account | None) -> Item:
    path, raw = place.path, place.raw(item)
    if not isinstance(item, dict):
        page_id = account.page_id if account else id_of(place.entry.get("id"))
        return Item(path, page_id, None, [], raw, unusable="the item is not an object")
    page_id, contact_id, from_page = _parties(place.entry, item, account)
    inbound = InboundItem(
        item,
        sender_id=_party(item, "sender"),
        from_page=from_page,
        standby=place.channel == "standby",
        item_time=parse_time(item.get("timestamp")),
        entry_time=parse_time(place.entry.get("time")),
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


def _parties(
    entry: dict[str, Any], item: dict[str, Any], account: Account | None
) -> tuple[str | None, str | None, bool]:
    """The page, the contact, and whether the page is the sender.

    The contact is the party that is not the page. The page is the sender of an echo, even if Meta
    did not swap the parties.
    """
    message = item.get("message")
    echo = isinstance(message, dict) and message.get("is_echo") is True
    sender, recipient = _party(item, "sender"), _party(item, "recipient")
    page = account.page_id if account else id_of(entry.get("id"))
    if page is None:
        page = sender if echo else recipient
    own = account.ids if account else frozenset((page,))
    if account and account.contact_id:
        return page, account.contact_id, echo or sender not in (account.contact_id, None)
    others = [party for party in (sender, recipient) if party is not None and party not in own]
    if not others:
        return page, None, echo
    # If neither is the page, one of them is another id of the page.
    contact = others[-1] if echo and len(others) > 1 else others[0]
    return page, contact, echo or (sender is not None and sender in own)


def join_messages(items: list[Item]) -> list[Item]:
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
        # Parts that were joined before share their metadata.
        parts = {id(event["metadata"]): event["metadata"] for _, event in group}
        whole = join_parts([*parts.values()])
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - the item is unusable
        for number, _ in group:
            items[number] = replace(items[number], events=[], unusable=reason_of(error))
        return
    for _, event in group:
        event["metadata"] = whole


def _party(item: dict[str, Any], name: str) -> str | None:
    party = item.get(name)
    return id_of(party.get("id")) if isinstance(party, dict) else None


def _has_user_ref(item: dict[str, Any]) -> bool:
    places = (item.get("sender"), item.get("optin"), item.get("recipient"))
    return any(isinstance(place, dict) and place.get("user_ref") for place in places)


def id_of(value: Any) -> str | None:
    found = usable_id(value)
    # PostgreSQL's text cannot hold NUL.
    return found if found and len(found) <= 500 and "\0" not in found else None
