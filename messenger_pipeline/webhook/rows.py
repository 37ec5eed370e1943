"""Builds the rows that a webhook item loads: identity, times, metadata. Pure.

A drained item and a replayed one get their rows here, so both merge with the API's answers alike.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from messenger_pipeline.merge import CONTENT
from messenger_pipeline.rows import ConversationRow, EventRow
from messenger_pipeline.webhook.times import is_plain

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""The time of an event that has neither an id nor a time. It is always the same, so the event is
stored once, however often it is delivered."""

FLAGS: Final = frozenset({"is_echo", "is_self", "is_deleted", "is_unsupported"})
RESERVED: Final = frozenset(
    {"source", "message_id", "unsent_at", "standby", "sender_id", "raw", "raw_timestamp", "raw_mid"}
    | {"stated_text", "webhook_attachments", "sent_by", "message_unsent", *FLAGS}
)
"""Keys of metadata that only this program writes."""
ENVELOPE: Final = frozenset({"sender", "recipient", "timestamp"})
_NOT_COPIED = frozenset(
    {*ENVELOPE, *RESERVED, *CONTENT}
    | {"message", "message_edit", "reaction", "postback", "referral", "optin", "read", "delivery"}
)


@dataclass(frozen=True)
class InboundItem:
    """One item of a delivery, its sender, and its times."""

    payload: dict[str, Any]
    sender_id: str | None
    from_page: bool
    standby: bool
    item_time: datetime | None
    entry_time: datetime | None
    received_at: datetime
    app_id: str | None = None
    """Our own app's id, to recognize what it sent."""

    @property
    def time(self) -> datetime:
        """When it happened. Without any time it counts as older than everything else: the number
        of an edit orders two edits, and an answer of the API wins."""
        return self.item_time or self.entry_time or EPOCH


def event_row(
    item: InboundItem,
    event_type: str,
    metadata: dict[str, Any],
    named: dict[str, Any] | None = None,
    discriminator: str = "",
) -> EventRow:
    """The row of one event of an item. `named` is the object that may hold the message id, as
    `mid`; `discriminator` separates events of one type on the same message."""
    raw_id = (named or {}).get("mid")
    message_id = parse_message_id(raw_id)
    if message_id is None and raw_id:
        # No index holds it, but it still separates two messages of one moment.
        discriminator = f"{discriminator}:{digest(raw_id)}"
    if message_id is None and item.item_time is None:
        # One entry may hold several items without a time of their own.
        digested = digest(item.payload)
        discriminator = f"{discriminator}:{digested}" if discriminator else digested
    return {
        "event_type": event_type,
        "event_timestamp": item.time if message_id is None else item.item_time or _guess_time(item),
        "message_id": message_id,
        "discriminator": discriminator if len(discriminator) <= 500 else digest(discriminator),
        "as_of": _as_of(event_type, item.time),
        "metadata": _common_metadata(item, metadata, message_id, raw_id) | metadata,
    }


def conversation_row(
    contact_id: str, times: Iterable[datetime], events: list[EventRow]
) -> ConversationRow:
    """A contact's events as the load takes them; `times` are those of their items. The latest
    decides whether a conversation that was marked deleted becomes active again."""
    return {
        "sender_id": contact_id,
        "sender_name": None,
        "as_of": max(times),
        "events": events,
    }


def moment(item: InboundItem) -> str:
    """A discriminator: the item's time in milliseconds, else the entry's with the item's digest,
    else the digest alone."""
    if item.item_time is not None:
        return str(int(item.item_time.timestamp() * 1000))
    if item.entry_time is not None:
        return f"{int(item.entry_time.timestamp() * 1000)}:{digest(item.payload)}"
    return digest(item.payload)


def digest(value: Any) -> str:
    """32 hex digits of the SHA-256 of a JSON value."""
    return hashlib.sha256(_printed(value)).hexdigest()[:32]


def _as_of(event_type: str, time: datetime) -> datetime:
    """When the source stated an event, comparable with answers of the API, whose times are whole
    seconds. A message precedes every answer that contains it: later changes arrive in answers, and
    as events of their own. If its as_of could be later than an answer's, the result would depend
    on which of two equal statements came first, which is not stored."""
    if event_type.startswith("message_"):
        return time.replace(microsecond=0) - timedelta(seconds=1)
    return time


def _guess_time(item: InboundItem) -> datetime:
    """The time of a message whose item has none: in whole seconds, and rarely before the true time,
    so that any source with a better time wins."""
    return (item.entry_time or item.received_at).replace(microsecond=0)


def _common_metadata(
    item: InboundItem, metadata: dict[str, Any], message_id: str | None, raw_id: Any
) -> dict[str, Any]:
    common: dict[str, Any] = {"source": "webhook"}
    if message_id is not None:
        common["message_id"] = message_id
    elif raw_id:
        common["raw_mid"] = raw_id
    if item.standby:
        common["standby"] = True
    raw_time = item.payload.get("timestamp")
    if raw_time is not None and not is_plain(raw_time):
        common["raw_timestamp"] = raw_time
    if "raw" not in metadata:
        common |= {
            name: value
            for name, value in item.payload.items()
            if name not in _NOT_COPIED and value is not None
        }
    return common


def parse_message_id(value: Any) -> str | None:
    """A usable message id; None for anything that the index cannot hold."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return value if isinstance(value, str) and 0 < len(value) <= 1000 else None


def first_message_id(values: list[Any]) -> Any:
    """The first usable message id of a list; its first value if none is usable, None if it is
    empty."""
    usable = (one for one in values if parse_message_id(one) is not None)
    return next(usable, values[0] if values else None)


def _printed(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=True, sort_keys=True).encode()
