"""The identity of an event, and the rules for merging two versions of one event. Pure: no clock, no
database.

A version of an event is what one source states about it at one time (`as_of`). Merging is
commutative and idempotent. Rows are plain dictionaries, in the form that the SQL functions take.
"""

from collections.abc import Iterable
from datetime import datetime
from functools import reduce
from typing import Any, Final

from messenger_pipeline.attachments import join_attachments, list_attachments
from messenger_pipeline.rows import ConversationRow, EventRow
from messenger_pipeline.stable import print_json, stable_content

Identity = tuple[str, str, str]

ATTACHMENTS: Final = ("attachments", "webhook_attachments")
CONTENT: Final = (
    "text",
    *ATTACHMENTS,
    "shares",
    "sticker",
    "reactions",
    "reply_to",
    "story",
    "is_unsupported",
    "stated_text",
)
"""The keys of metadata that are a message's content: the latest version replaces the others, except
that attachments are joined. stated_text is the text before an edit; only PostgreSQL writes it."""

KEPT_WHEN_UNSENT: Final = frozenset(
    {"source", "message_id", "unsent_at", "sender_id", "sent_by", "is_echo", "is_self", "app_id"}
    | {"standby", "num_edit", "message_unsent"}
)
"""All that is left of the metadata of an unsent message, and of its edits. Those are marked with
message_unsent; only PostgreSQL writes it."""


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
    newer = incoming if _content_rank(incoming) > _content_rank(stored) else stored
    metadata = _merge_other_keys(stored["metadata"], incoming["metadata"])
    if "unsent_at" in metadata or "message_unsent" in metadata:
        metadata = {k: v for k, v in metadata.items() if k in KEPT_WHEN_UNSENT}
    else:
        fresher = incoming["as_of"] > stored["as_of"]
        metadata |= _replaceable(newer["metadata"])
        metadata |= join_attachments(stored["metadata"], incoming["metadata"], fresher)
    return {
        # "message", an unknown direction, sorts first.
        "event_type": max(stored["event_type"], incoming["event_type"]),
        "event_timestamp": finer_time(stored["event_timestamp"], incoming["event_timestamp"]),
        "message_id": stored["message_id"],
        "discriminator": stored.get("discriminator", ""),
        # Content that is stated again counts as stated at its latest time.
        "as_of": newer["as_of"],
        "metadata": metadata,
    }


def join_parts(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """The metadata of a message that one delivery states in parts, as if the parts were merged one
    by one: all their attachments, and the greatest content."""
    nothing: dict[str, Any] = {}
    whole = reduce(_merge_other_keys, parts, nothing)
    content = max((_replaceable(part) for part in parts), key=_rank_content)
    whole |= content
    # Not join_attachments, which would compare each with each for a thousand parts.
    found = {print_json(one): one for part in parts for one in list_attachments(part)}
    return whole | ({"attachments": [found[key] for key in sorted(found)]} if found else {})


def _merge_other_keys(stored: dict[str, Any], incoming: dict[str, Any]) -> dict[str, Any]:
    """Merge the keys that are not content: the greater of two values wins.

    The stored source and message id stay.
    """
    merged = {name: value for name, value in stored.items() if name not in CONTENT}
    for name, value in incoming.items():
        if name in CONTENT or (name in merged and name in ("source", "message_id")):
            continue
        if name not in merged or _key_rank(name, value) > _key_rank(name, merged[name]):
            merged[name] = value
    return merged


def _key_rank(name: str, value: Any) -> tuple[bool, bytes]:
    """Of two values of a key the greater wins, but an unknown sender only over none."""
    return not (name == "sent_by" and value == "unknown"), print_json(value)


def finer_time(one: datetime, other: datetime) -> datetime:
    """The more precise of two times of one event: webhooks have milliseconds, the API seconds."""
    if bool(one.microsecond) == bool(other.microsecond):
        return min(one, other)
    return one if one.microsecond else other


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


def _content_rank(event: EventRow) -> tuple[datetime, tuple[bytes, bytes]]:
    return event["as_of"], _rank_content(_replaceable(event["metadata"]))


def _rank_content(content: dict[str, Any]) -> tuple[bytes, bytes]:
    return (content.get("text") or "").encode(), stable_content(content).encode()


def _replaceable(metadata: dict[str, Any]) -> dict[str, Any]:
    """The content that a later version replaces."""
    return {k: v for k, v in metadata.items() if k in CONTENT and k not in ATTACHMENTS}
