"""From an item of a delivery to the rows of its events: type, identity, time, metadata. Pure."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from messenger_pipeline.merge import CONTENT
from messenger_pipeline.rows import EventRow
from messenger_pipeline.webhook.times import is_plain

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""The time of an event without id of which nobody told a time: always the same, so that it is one
event however often it is delivered."""

_ENVELOPE = frozenset({"sender", "recipient", "timestamp"})
_RAW_KINDS: Final = {
    "pass_thread_control": "handover",
    "take_thread_control": "handover",
    "request_thread_control": "handover",
    "app_roles": "handover",
    "policy_enforcement": "policy_enforcement",
    "policy-enforcement": "policy_enforcement",
    "messaging_feedback": "feedback",
    "account_linking": "account_linking",
}
_FLAGS = frozenset({"is_echo", "is_self", "is_deleted", "is_unsupported"})
_RESERVED = frozenset(
    {"source", "message_id", "unsent_at", "standby", "sender_id", "raw", "raw_timestamp", "raw_mid"}
    | {"stated_text", *_FLAGS}
)
_NOT_BESIDE = frozenset(
    {*_ENVELOPE, *_RESERVED, *CONTENT}
    | {"message", "message_edit", "reaction", "postback", "referral", "optin", "read", "delivery"}
)


@dataclass(frozen=True)
class Told:
    """An item, who sent it, and the times that are told of it."""

    item: dict[str, Any]
    sender_id: str | None
    sent: bool
    standby: bool
    item_time: datetime | None
    entry_time: datetime | None
    received_at: datetime

    @property
    def as_of(self) -> datetime:
        """When it was stated. Of what nobody tells the time it is before all else: an edit of
        unknown time is told from another by its number, and an answer of the API counts more."""
        return self.item_time or self.entry_time or EPOCH


def events_in(told: Told) -> list[EventRow] | str:
    """The events of an item, mostly one; none where it holds nothing. Or why it cannot be used."""
    found: list[EventRow] = []
    for key, make in _KINDS.items():
        payload = told.item.get(key)
        if payload is None:
            continue
        if not isinstance(payload, dict):
            return f"its {key} is no object"
        found.append(make(told, payload))
    if found:
        return found
    for key, event_type in _RAW_KINDS.items():
        if told.item.get(key):
            return [_event(told, event_type, {"raw": told.item}, tells=key)]
    others = (value for key, value in told.item.items() if key not in _ENVELOPE)
    if any(value and not isinstance(value, bool) for value in others):
        return [_event(told, "other", {"raw": told.item})]
    return []


def joined(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """What several parts of one message say together; of what they say differently the greater."""
    whole: dict[str, Any] = {}
    for part in parts:
        for key, value in part.items():
            if key not in whole or _printed(value) > _printed(whole[key]):
                whole[key] = value
    return whole


# -- Each kind ----------------------------------------------------------------------------------


def _message(told: Told, message: dict[str, Any]) -> EventRow:
    if message.get("is_deleted") is True:
        return _event(told, "unsend", {"sender_id": told.sender_id}, message)
    # A flag that is there is not yet a flag that is set.
    said = {k: v for k, v in message.items() if k not in _FLAGS or not isinstance(v, bool)}
    metadata = _said(said)
    metadata |= {name: True for name in _FLAGS if message.get(name) is True}
    _keep_only_text(metadata)
    return _event(told, "message_sent" if told.sent else "message_received", metadata, message)


def _edit(told: Told, edit: dict[str, Any]) -> EventRow:
    metadata = {**_said(edit), "sender_id": told.sender_id}
    number = edit.get("num_edit")
    counted = _counted(number)
    metadata.pop("num_edit", None)
    if counted is not None:
        metadata["num_edit"] = counted
    elif number is not None:
        metadata["raw_num_edit"] = number
    _keep_only_text(metadata)
    tells = str(counted) if counted is not None else _moment(told)
    return _event(told, "edit", metadata, edit, tells)


def _reaction(told: Told, reaction: dict[str, Any]) -> EventRow:
    metadata = {**_said(reaction), "sender_id": told.sender_id}
    return _event(told, "reaction", metadata, reaction, f"{told.sender_id}:{_moment(told)}")


def _postback(told: Told, postback: dict[str, Any]) -> EventRow:
    named = _mid(postback.get("mid")) is not None
    tells = f"{told.sender_id}:{_moment(told)}" if named else ""
    return _event(told, "postback", _said(postback), postback, tells)


def _referral(told: Told, referral: dict[str, Any]) -> EventRow:
    # Nested: it has a `source` of its own.
    return _event(told, "referral", {"referral": referral})


def _optin(told: Told, optin: dict[str, Any]) -> EventRow:
    return _event(told, "optin", {"optin": optin})


def _read(told: Told, read: dict[str, Any]) -> EventRow:
    metadata = {**_said(read), "sender_id": told.sender_id}
    return _event(told, "read", metadata, read, f"{told.sender_id}:{read.get('watermark') or ''}")


def _delivery(told: Told, delivery: dict[str, Any]) -> EventRow:
    metadata = {**_said(delivery), "sender_id": told.sender_id}
    mids = delivery.get("mids")
    only = {"mid": mids[0]} if isinstance(mids, list) and len(mids) == 1 else {}
    tells = f"{told.sender_id}:{delivery.get('watermark') or ''}"
    if isinstance(mids, list) and len(mids) > 1:
        tells += f":{_digest(mids)}"
    return _event(told, "delivery", metadata, only, tells)


_KINDS: Final[dict[str, Callable[[Told, dict[str, Any]], EventRow]]] = {
    "message": _message,
    "message_edit": _edit,
    "reaction": _reaction,
    "postback": _postback,
    "referral": _referral,
    "optin": _optin,
    "read": _read,
    "delivery": _delivery,
}


# -- What they share ----------------------------------------------------------------------------


def _event(
    told: Told,
    event_type: str,
    metadata: dict[str, Any],
    named: dict[str, Any] | None = None,
    tells: str = "",
) -> EventRow:
    """The event's row. `tells` is what tells it from others of its kind on the same message."""
    told_id = (named or {}).get("mid")
    message_id = _mid(told_id)
    about: dict[str, Any] = {"source": "webhook"}
    if message_id is not None:
        about["message_id"] = message_id
    elif told_id:  # one that no index holds; it still tells two messages of one moment apart
        about["raw_mid"] = told_id
        tells = f"{tells}:{_digest(told_id)}"
    if told.standby:
        about["standby"] = True
    raw_time = told.item.get("timestamp")
    if raw_time is not None and not is_plain(raw_time):
        about["raw_timestamp"] = raw_time
    if "raw" not in metadata:
        about |= {
            name: value
            for name, value in told.item.items()
            if name not in _NOT_BESIDE and value is not None
        }
    if message_id is not None:
        return {
            "event_type": event_type,
            "event_timestamp": told.item_time or _guessed(told),
            "message_id": message_id,
            "discriminator": _short(tells),
            "as_of": told.as_of,
            "metadata": about | metadata,
        }
    if told.item_time is None:
        # Several without a time of their own may stand in one entry.
        tells = f"{tells}:{_digest(told.item)}" if tells else _digest(told.item)
    return {
        "event_type": event_type,
        "event_timestamp": told.item_time or told.entry_time or EPOCH,
        "message_id": None,
        "discriminator": _short(tells),
        "as_of": told.as_of,
        "metadata": about | metadata,
    }


def _guessed(told: Told) -> datetime:
    """The time of a message of which the item does not tell it: whole seconds, and hardly before
    the true time, so that any source that knows better is believed."""
    return (told.entry_time or told.received_at).replace(microsecond=0)


def _said(payload: dict[str, Any]) -> dict[str, Any]:
    """What a payload holds, under names that are not ours; `source` and the like are nested."""
    plain = {name: value for name, value in payload.items() if name != "mid" and value is not None}
    clashing = {name: plain.pop(name) for name in list(plain) if name in _RESERVED}
    return plain | ({"payload_of_meta": clashing} if clashing else {})


def _keep_only_text(metadata: dict[str, Any]) -> None:
    if not isinstance(metadata.get("text", ""), str):
        metadata["raw_text"] = metadata.pop("text")


def _moment(told: Told) -> str:
    """What tells two of one kind apart: when; where only the entry tells that, when and what."""
    if told.item_time is not None:
        return str(int(told.item_time.timestamp() * 1000))
    if told.entry_time is not None:
        return f"{int(told.entry_time.timestamp() * 1000)}:{_digest(told.item)}"
    return _digest(told.item)


def _mid(value: Any) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return value if isinstance(value, str) and 0 < len(value) <= 1000 else None


def _counted(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10:
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9:
        return value
    return None


def _short(tells: str) -> str:
    return tells if len(tells) <= 500 else _digest(tells)


def _digest(value: Any) -> str:
    return hashlib.sha256(_printed(value)).hexdigest()[:32]


def _printed(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=True, sort_keys=True).encode()
