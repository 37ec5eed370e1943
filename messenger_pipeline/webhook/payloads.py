"""Parses the payloads of an item, one function for each kind, into rows of events. Pure.

Source: Messenger Platform, Webhooks reference; Instagram Platform, Webhooks.
"""

from collections.abc import Callable
from typing import Any, Final

from messenger_pipeline.rows import EventRow
from messenger_pipeline.webhook.rows import (
    ENVELOPE,
    FLAGS,
    RESERVED,
    InboundItem,
    digest,
    event_row,
    first_message_id,
    moment,
    parse_message_id,
)

PAGE_INBOX: Final = "263902037430900"
"""The app id of Meta's Page Inbox and Business Suite."""
_AUTOMATED: Final = ("ai_generated", "is_ai_generated", "automated", "is_automated")
"""Flags of automated answers, as users of the API report them; Meta documents none."""

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


def parse_events(item: InboundItem) -> list[EventRow] | str:
    """The events of an item, usually one; none if it is empty. A string is the reason why the item
    is unusable."""
    events: list[EventRow] = []
    for key, parse in _KINDS.items():
        payload = item.payload.get(key)
        if payload is None:
            continue
        if not isinstance(payload, dict):
            return f"{key} is not an object"
        events.append(parse(item, payload))
    if events:
        return events
    for key, event_type in _RAW_KINDS.items():
        if item.payload.get(key):
            # One app can take a thread and pass it on in the same moment.
            return [event_row(item, event_type, {"raw": item.payload}, discriminator=key)]
    others = (value for key, value in item.payload.items() if key not in ENVELOPE)
    if any(value and not isinstance(value, bool) for value in others):
        return [event_row(item, "other", {"raw": item.payload})]
    return []


# -- Kinds --------------------------------------------------------------------------------------


def _message(item: InboundItem, message: dict[str, Any]) -> EventRow:
    if message.get("is_deleted") is True:
        return event_row(item, "unsend", {"sender_id": item.sender_id}, message)
    # Meta sends flags as false, too; only a true one is stored.
    fields = {k: v for k, v in message.items() if k not in FLAGS or not isinstance(v, bool)}
    metadata = _fields_of(fields)
    metadata |= {name: True for name in FLAGS if message.get(name) is True}
    _set_invalid_text_apart(metadata)
    if not item.from_page:
        return event_row(item, "message_received", metadata, message)
    metadata["sent_by"] = find_sender(message, item.app_id)
    return event_row(item, "message_sent", metadata, message)


def find_sender(message: dict[str, Any], app_id: str | None) -> str:
    """Who sent a message of the page: `automated`, `page_inbox`, `this_app`, `app:<id>`, or
    `unknown`."""
    if any(message.get(name) is True for name in _AUTOMATED):
        return "automated"
    sender = message.get("app_id")
    if isinstance(sender, bool) or not isinstance(sender, int | str) or not sender:
        return "unknown"
    if str(sender) == PAGE_INBOX:
        return "page_inbox"
    return "this_app" if str(sender) == app_id else f"app:{sender}"


def _edit(item: InboundItem, edit: dict[str, Any]) -> EventRow:
    metadata = {**_fields_of(edit), "sender_id": item.sender_id}
    raw_number = edit.get("num_edit")
    number = _parse_number(raw_number)
    metadata.pop("num_edit", None)
    if number is not None:
        metadata["num_edit"] = number
    elif raw_number is not None:
        metadata["raw_num_edit"] = raw_number
    _set_invalid_text_apart(metadata)
    discriminator = str(number) if number is not None else moment(item)
    return event_row(item, "edit", metadata, edit, discriminator)


def _reaction(item: InboundItem, reaction: dict[str, Any]) -> EventRow:
    metadata = {**_fields_of(reaction), "sender_id": item.sender_id}
    return event_row(item, "reaction", metadata, reaction, f"{item.sender_id}:{moment(item)}")


def _postback(item: InboundItem, postback: dict[str, Any]) -> EventRow:
    named = parse_message_id(postback.get("mid")) is not None
    # One button can be pressed twice.
    discriminator = f"{item.sender_id}:{moment(item)}" if named else ""
    return event_row(item, "postback", _fields_of(postback), postback, discriminator)


def _referral(item: InboundItem, referral: dict[str, Any]) -> EventRow:
    # Nested, because it has a key `source` of its own.
    return event_row(item, "referral", {"referral": referral})


def _optin(item: InboundItem, optin: dict[str, Any]) -> EventRow:
    return event_row(item, "optin", {"optin": optin})


def _read(item: InboundItem, read: dict[str, Any]) -> EventRow:
    metadata = {**_fields_of(read), "sender_id": item.sender_id}
    discriminator = f"{item.sender_id}:{read.get('watermark') or ''}"
    return event_row(item, "read", metadata, read, discriminator)


def _delivery(item: InboundItem, delivery: dict[str, Any]) -> EventRow:
    metadata = {**_fields_of(delivery), "sender_id": item.sender_id}
    mids = delivery.get("mids")
    # Of several messages the first one stands for all: they are of one conversation.
    named = {"mid": first_message_id(mids)} if isinstance(mids, list) else {}
    discriminator = f"{item.sender_id}:{delivery.get('watermark') or ''}"
    if isinstance(mids, list) and len(mids) > 1:
        discriminator += f":{digest(mids)}"
    return event_row(item, "delivery", metadata, named, discriminator)


_KINDS: Final[dict[str, Callable[[InboundItem, dict[str, Any]], EventRow]]] = {
    "message": _message,
    "message_edit": _edit,
    "reaction": _reaction,
    "postback": _postback,
    "referral": _referral,
    "optin": _optin,
    "read": _read,
    "delivery": _delivery,
}


# -- Shared by the kinds ------------------------------------------------------------------------


def _fields_of(payload: dict[str, Any]) -> dict[str, Any]:
    """The fields of a payload. Those whose names are reserved, such as `source`, are nested."""
    plain = {name: value for name, value in payload.items() if name != "mid" and value is not None}
    clashing = {name: plain.pop(name) for name in list(plain) if name in RESERVED}
    return plain | ({"payload_of_meta": clashing} if clashing else {})


def _set_invalid_text_apart(metadata: dict[str, Any]) -> None:
    if not isinstance(metadata.get("text", ""), str):
        metadata["raw_text"] = metadata.pop("text")


def _parse_number(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10:
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9:
        return value
    return None
