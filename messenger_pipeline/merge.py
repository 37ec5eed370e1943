"""The identity of an event, and the rules for merging two versions of one event. Pure: no clock, no
database.

A version of an event is what one source states about it at one time (`as_of`). Merging is
commutative and idempotent. Rows are plain dictionaries, in the form that the SQL functions take.
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
"""The keys of metadata that are a message's content: the latest version replaces the others.
stated_text is the text before an edit; only PostgreSQL writes it."""

_CDN_URL = re.compile(r'"https?://[^"/]*\.(fbcdn\.net|fbsbx\.com|cdninstagram\.com)[^"]*"')


# -- Identity -----------------------------------------------------------------------------------


def message_key(message_id: str) -> str:
    """The id that two spellings of one message share: `m_mid.x` and `mid.x` are the same."""
    return message_id[2:] if message_id.startswith("m_mid.") else message_id


def identity(event: EventRow) -> Identity:
    """What identifies an event with a message id within its page.

    It contains the kind, not the type: a message is one event whichever direction a source gives
    it.
    """
    assert event["message_id"] is not None
    kind = event["event_type"].partition("_")[0]
    return kind, message_key(event["message_id"]), event.get("discriminator", "")


# -- Merge --------------------------------------------------------------------------------------


def dedupe_conversations(rows: Iterable[ConversationRow]) -> list[ConversationRow]:
    """One row per contact and one event per identity, as the load requires."""
    merged: dict[str, ConversationRow] = {}
    for row in rows:
        other = merged.get(row["sender_id"])
        merged[row["sender_id"]] = row if other is None else _join(other, row)
    for row in merged.values():
        row["events"] = dedupe_events(row["events"], row["as_of"])
    return list(merged.values())


def dedupe_events(events: list[EventRow], as_of: datetime) -> list[EventRow]:
    """Merge the versions of each event. Events without a message id are returned unchanged."""
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
    return [_merge_all(group, as_of) for group in groups.values()] + anonymous


def merge_events(stored: EventRow, incoming: EventRow) -> EventRow:
    """Merge two versions of one event, both with as_of.

    The rules of the SQL function merge_stored_events. Which of the two is stored already decides
    only the source and the spelling of the message id.
    """
    later = _content_rank(incoming) > _content_rank(stored)
    newer = incoming if later else stored
    other_keys = _merge_other_keys(stored["metadata"], incoming["metadata"])
    content = {k: v for k, v in newer["metadata"].items() if k in CONTENT}
    metadata = other_keys if "unsent_at" in other_keys else other_keys | content
    changed = stable_content(metadata) != stable_content(stored["metadata"])
    earlier = (
        incoming["as_of"] < stored["as_of"]
        and "unsent_at" not in stored["metadata"]
        and _content_rank(incoming)[2] == _content_rank(stored)[2]
    )
    return {
        # "message", an unknown direction, sorts first.
        "event_type": max(stored["event_type"], incoming["event_type"]),
        "event_timestamp": finer_time(stored["event_timestamp"], incoming["event_timestamp"]),
        "message_id": stored["message_id"],
        "discriminator": stored.get("discriminator", ""),
        # Repeated content keeps the time at which it was first stated.
        "as_of": incoming["as_of"] if (later and changed) or earlier else stored["as_of"],
        "metadata": metadata,
    }


def _merge_other_keys(stored: dict[str, Any], incoming: dict[str, Any]) -> dict[str, Any]:
    """Merge the keys that are not content: the greater of two values wins.

    The stored source and message id stay.
    """
    merged = {name: value for name, value in stored.items() if name not in CONTENT}
    for name, value in incoming.items():
        if name in CONTENT or (name in merged and name in ("source", "message_id")):
            continue
        if name not in merged or _print_json(value) > _print_json(merged[name]):
            merged[name] = value
    return merged


def finer_time(one: datetime, other: datetime) -> datetime:
    """The more precise of two times of one event: webhooks have milliseconds, the API seconds."""
    if bool(one.microsecond) == bool(other.microsecond):
        return min(one, other)
    return one if one.microsecond else other


def stable_content(metadata: dict[str, Any] | None) -> str:
    """An event's metadata as text that differs only if the content differs.

    It is the JSON as PostgreSQL prints it, without the URLs of Meta's content network: each
    answer signs them again, and they expire. A message's text is kept as it is, at the end, even
    if it looks like such a URL.
    """
    if metadata is None:
        return ""
    rest = {name: value for name, value in metadata.items() if name != "text"}
    text = _print_json(metadata["text"]).decode() if "text" in metadata else ""
    return _CDN_URL.sub('""', _print_json(rest).decode()) + text


def _print_json(value: Any) -> bytes:
    return json.dumps(_sort_keys(value), ensure_ascii=False).encode()


def _merge_all(group: list[EventRow], as_of: datetime) -> EventRow:
    if len(group) == 1:
        return group[0]
    versions: list[EventRow] = [{**event, "as_of": event.get("as_of", as_of)} for event in group]
    return reduce(merge_events, versions)


def _join(one: ConversationRow, other: ConversationRow) -> ConversationRow:
    """Join two rows of one contact: it has two threads in one answer, or is in two answers."""
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


def _sort_keys(value: Any) -> Any:
    """A value with its keys in jsonb's order: by their length in bytes, then by their bytes."""
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: (len(key.encode()), key.encode()))
        return {key: _sort_keys(value[key]) for key in keys}
    if isinstance(value, list):
        return [_sort_keys(one) for one in value]
    return value
