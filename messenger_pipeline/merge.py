"""The identity of an event, and the rules by which two statements of one event become one. Pure: no
clock, no database.

Rows are plain dictionaries, in the shape that the SQL functions take.
"""

import json
import re
from collections.abc import Iterable
from datetime import datetime
from functools import reduce
from typing import Any, Final

from messenger_pipeline.rows import ConversationRow, EventRow

Identity = tuple[str, str, str]

CONTENT: Final = (
    "text",
    "attachments",
    "shares",
    "sticker",
    "reactions",
    "reply_to",
    "story",
    "is_unsupported",
    "stated_text",
)
"""What a message says, as keys of metadata: the latest statement of it replaces the others.
stated_text is what it said before it was edited; only PostgreSQL writes it."""

_CDN_URL = re.compile(r'"https?://[^"/]*\.(fbcdn\.net|fbsbx\.com|cdninstagram\.com)[^"]*"')


# -- Identity -----------------------------------------------------------------------------------


def message_key(message_id: str) -> str:
    """`m_mid.x` and `mid.x` are one message."""
    return message_id[2:] if message_id.startswith("m_mid.") else message_id


def identity(event: EventRow) -> Identity:
    """What makes an event with a message id the one it is, within its page.

    The kind, not the type: a message is one event whichever direction a source gives it.
    """
    assert event["message_id"] is not None
    kind = event["event_type"].partition("_")[0]
    return kind, message_key(event["message_id"]), event.get("discriminator", "")


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
    named = [message_key(e["message_id"]) for e in events if e["message_id"] is not None]
    if len(set(named)) == len(named):
        return events
    groups: dict[Identity, list[EventRow]] = {}
    anonymous = []
    for event in events:
        if event["message_id"] is None:
            anonymous.append(event)
        else:
            groups.setdefault(identity(event), []).append(event)
    return [_fold(group, as_of) for group in groups.values()] + anonymous


def merge_events(stored: EventRow, stated: EventRow) -> EventRow:
    """One event from two statements of it, both with as_of.

    The same rules as the SQL function merge_stored_events: which of the two came first decides
    only source, message_id as spelled, and what is no content but differs.
    """
    later = _content_rank(stated) > _content_rank(stored)
    newer = stated if later else stored
    rest = _merged_rest(stored["metadata"], stated["metadata"])
    content = {k: v for k, v in newer["metadata"].items() if k in CONTENT}
    metadata = rest if "unsent_at" in rest else rest | content
    changed = stable_content(metadata) != stable_content(stored["metadata"])
    earlier = (
        stated["as_of"] < stored["as_of"]
        and "unsent_at" not in stored["metadata"]
        and _content_rank(stated)[2] == _content_rank(stored)[2]
    )
    return {
        # An unknown direction, "message", is the least.
        "event_type": max(stored["event_type"], stated["event_type"]),
        "event_timestamp": finer_time(stored["event_timestamp"], stated["event_timestamp"]),
        "message_id": stored["message_id"],
        "discriminator": stored.get("discriminator", ""),
        # A content that is stated again has the time of its earliest statement.
        "as_of": stated["as_of"] if (later and changed) or earlier else stored["as_of"],
        "metadata": metadata,
    }


def _merged_rest(stored: dict[str, Any], stated: dict[str, Any]) -> dict[str, Any]:
    """What is no content: of a value that differs the greater, but as first given who it is."""
    rest = {name: value for name, value in stored.items() if name not in CONTENT}
    for name, value in stated.items():
        if name in CONTENT or (name in rest and name in ("source", "message_id")):
            continue
        if name not in rest or _printed(value) > _printed(rest[name]):
            rest[name] = value
    return rest


def finer_time(one: datetime, other: datetime) -> datetime:
    """Of two times for one event: webhooks have milliseconds, the API whole seconds."""
    if bool(one.microsecond) == bool(other.microsecond):
        return min(one, other)
    return one if one.microsecond else other


def stable_content(metadata: dict[str, Any] | None) -> str:
    """What of an event's metadata lasts: its JSON as PostgreSQL prints it, without the addresses
    of Meta's content network, which are signed anew in every answer and expire. A text is
    somebody's words, whatever it looks like, and stands at the end."""
    if metadata is None:
        return ""
    rest = {name: value for name, value in metadata.items() if name != "text"}
    text = _printed(metadata["text"]).decode() if "text" in metadata else ""
    return _CDN_URL.sub('""', _printed(rest).decode()) + text


def _printed(value: Any) -> bytes:
    return json.dumps(_ordered(value), ensure_ascii=False).encode()


def _fold(group: list[EventRow], as_of: datetime) -> EventRow:
    if len(group) == 1:
        return group[0]
    stated: list[EventRow] = [{**event, "as_of": event.get("as_of", as_of)} for event in group]
    return reduce(merge_events, stated)


def _joined(one: ConversationRow, other: ConversationRow) -> ConversationRow:
    """Two threads of one contact in one answer, or one told by two."""
    if one["as_of"] != other["as_of"]:
        for row in (one, other):
            row["events"] = [{"as_of": row["as_of"], **event} for event in row["events"]]
    named = [row for row in (one, other) if row["sender_name"] is not None]
    latest = max(named, key=lambda row: (row["as_of"], row["sender_name"] or ""), default=one)
    return {**one, "sender_name": latest["sender_name"],
            "as_of": max(one["as_of"], other["as_of"]),
            "events": one["events"] + other["events"]}  # fmt: skip


def _content_rank(event: EventRow) -> tuple[datetime, bytes, bytes]:
    metadata = event["metadata"]
    return (
        event["as_of"],
        (metadata.get("text") or "").encode(),
        stable_content({k: v for k, v in metadata.items() if k in CONTENT}).encode(),
    )


def _ordered(value: Any) -> Any:
    """Keys in jsonb's order: shorter ones first, then by their bytes."""
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: (len(key.encode()), key.encode()))
        return {key: _ordered(value[key]) for key in keys}
    if isinstance(value, list):
        return [_ordered(one) for one in value]
    return value
