"""Payloads to rows, the identity of an event, and the rules by which two statements of one event
become one. Pure: no clock, no database.

Rows are plain dictionaries, in the shape that the SQL functions take.
"""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import reduce
from typing import Any, Final

from messenger_pipeline.graph.models import Message, Party, Thread, without_paging
from messenger_pipeline.rows import ConversationRow, EventRow, Source

Identity = tuple[str, str, str]

CONTENT: Final = (
    "text",
    "attachments",
    "shares",
    "sticker",
    "reactions",
    "story",
    "is_unsupported",
)
"""What a message says, as keys of metadata: the latest statement of it replaces the others."""

_EDGES: Final = ("attachments", "shares", "reactions")
_PLAIN: Final = ("sticker", "reply_to", "story", "is_unsupported")
_CDN_URL = re.compile(r'"https?://[^"/]*\.(fbcdn\.net|fbsbx\.com|cdninstagram\.com)[^"]*"')


# -- Payload to rows ----------------------------------------------------------------------------


def parse_message(message: Message, page_id: str, source: Source) -> EventRow:
    """The event that a message is. Its direction is unknown where it does not tell who sent it."""
    sender = message.get("from")
    sender_id = sender.get("id") if sender else None
    if sender_id is None:
        event_type = "message"
    else:
        event_type = "message_sent" if sender_id == page_id else "message_received"
    metadata: dict[str, Any] = {"source": source, "message_id": message["id"]}
    text = message.get("message")
    if text is not None:
        metadata["text"] = text
    fields: Mapping[str, Any] = message
    for name in _EDGES:
        edge = fields.get(name)
        if edge and edge.get("data"):
            metadata[name] = without_paging(edge["data"])
    for name in _PLAIN:
        value = fields.get(name)
        if value is not None:
            metadata[name] = without_paging(value)
    return {
        "event_type": event_type,
        "event_timestamp": message["created_time"],
        "message_id": message["id"],
        "metadata": metadata,
    }


def contact_of(thread: Thread, page_id: str) -> Party | None:
    """The contact of a thread: the party that is not the page; of several the one who wrote last.

    None where nobody with an id takes part: the thread cannot be anybody's conversation.
    """
    others = {
        party["id"]: party
        for party in thread.get("participants") or []
        if party.get("id") and party["id"] != page_id
    }
    if len(others) == 1:
        return next(iter(others.values()))
    for message in messages_of(thread):  # newest first
        sender = message.get("from")
        if sender and sender.get("id") and sender["id"] != page_id:
            return others.get(sender["id"], sender)
    return next(iter(others.values()), None)


def messages_of(thread: Thread) -> list[Message]:
    """The messages nested in a thread, newest first."""
    nested = thread.get("messages")
    return (nested.get("data") or []) if nested else []


def name_of(party: Party) -> str | None:
    return party.get("name") or party.get("username")


# -- Identity -----------------------------------------------------------------------------------


def canonical_message_id(message_id: str) -> str:
    """`m_mid.x` and `mid.x` are one message."""
    return message_id[2:] if message_id.startswith("m_mid.") else message_id


def identity(event: EventRow) -> Identity:
    """What makes an event with a message id the one it is, within its page.

    The kind, not the type: a message is one event whichever direction a source gives it.
    """
    assert event["message_id"] is not None
    kind = event["event_type"].partition("_")[0]
    return kind, canonical_message_id(event["message_id"]), event.get("discriminator", "")


# -- Merge --------------------------------------------------------------------------------------


def dedupe_conversations(rows: Iterable[ConversationRow]) -> list[ConversationRow]:
    """One row per contact, one event per identity: what the load takes."""
    merged: dict[str, ConversationRow] = {}
    for row in rows:
        known = merged.get(row["sender_id"])
        merged[row["sender_id"]] = row if known is None else _joined(known, row)
    for row in merged.values():
        row["events"] = dedupe_events(row["events"], row["as_of"])
    return list(merged.values())


def dedupe_events(events: list[EventRow], as_of: datetime) -> list[EventRow]:
    """The events with repeated statements of one merged. Events without a message id pass."""
    groups: dict[Identity, list[EventRow]] = {}
    anonymous = []
    for event in events:
        if event["message_id"] is None:
            anonymous.append(event)
        else:
            groups.setdefault(identity(event), []).append(event)
    if len(groups) + len(anonymous) == len(events):
        return events
    return [_fold(group, as_of) for group in groups.values()] + anonymous


def merge_events(stored: EventRow, stated: EventRow) -> EventRow:
    """One event from two statements of it, both with as_of.

    The same rules as the SQL function merge_stored_events: which of the two came first decides
    only source, message_id as spelled, and what is no content but differs.
    """
    later = _content_rank(stated) > _content_rank(stored)
    newer, older = (stated, stored) if later else (stored, stated)
    rest = {k: v for k, v in stated["metadata"].items() if k not in CONTENT}
    rest |= {k: v for k, v in stored["metadata"].items() if k not in CONTENT}
    content = {k: v for k, v in newer["metadata"].items() if k in CONTENT}
    if "unsent_at" in rest:
        content.pop("text", None)
    event_type = stored["event_type"]
    return {
        "event_type": stated["event_type"] if event_type == "message" else event_type,
        "event_timestamp": finer_time(stored["event_timestamp"], stated["event_timestamp"]),
        "message_id": stored["message_id"],
        "discriminator": stored.get("discriminator", ""),
        "as_of": max(newer["as_of"], older["as_of"]),
        "metadata": rest | content,
    }


def finer_time(one: datetime, other: datetime) -> datetime:
    """Of two times for one event: webhooks have milliseconds, the API whole seconds."""
    if bool(one.microsecond) == bool(other.microsecond):
        return min(one, other)
    return one if one.microsecond else other


def lasting_content(value: Any) -> str:
    """What of a metadata value lasts: its JSON as PostgreSQL prints it, without the addresses of
    Meta's content network, which are signed anew in every answer and expire."""
    if value is None:
        return ""
    return _CDN_URL.sub('""', json.dumps(_ordered(value), ensure_ascii=False))


def _fold(group: list[EventRow], as_of: datetime) -> EventRow:
    if len(group) == 1:
        return group[0]
    stated: list[EventRow] = [{**event, "as_of": event.get("as_of", as_of)} for event in group]
    return reduce(merge_events, stated)


def _joined(one: ConversationRow, other: ConversationRow) -> ConversationRow:
    """Two threads of one contact in one answer."""
    return {**one, "sender_name": one["sender_name"] or other["sender_name"],
            "events": one["events"] + other["events"]}  # fmt: skip


def _content_rank(event: EventRow) -> tuple[datetime, bytes, bytes]:
    metadata = event["metadata"]
    return (
        event["as_of"],
        (metadata.get("text") or "").encode(),
        lasting_content(metadata.get("attachments")).encode(),
    )


def _ordered(value: Any) -> Any:
    """Keys in jsonb's order: shorter ones first, then by their bytes."""
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: (len(key.encode()), key.encode()))
        return {key: _ordered(value[key]) for key in keys}
    if isinstance(value, list):
        return [_ordered(one) for one in value]
    return value
