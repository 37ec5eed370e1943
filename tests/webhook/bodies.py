"""Builds deliveries of one page, as Meta sends them."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

PAGE = "10"
CONTACT = "20"
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def at(seconds: float) -> int:
    """A time in milliseconds, given in seconds after noon."""
    return int((NOON + timedelta(seconds=seconds)).timestamp() * 1000)


def item(seconds: float, *, sender: str = CONTACT, page: str = PAGE, **payload: Any) -> Any:
    """One item of `messaging`, from the contact or, with sender=PAGE, from the page."""
    recipient = page if sender != page else CONTACT
    return {
        "sender": {"id": sender},
        "recipient": {"id": recipient},
        "timestamp": at(seconds),
        **payload,
    }


def text(seconds: float, mid: str, content: str, **more: Any) -> Any:
    return item(seconds, message={"mid": mid, "text": content}, **more)


def edit(seconds: float, mid: str, content: str, number: int = 1) -> Any:
    return item(seconds, message_edit={"mid": mid, "text": content, "num_edit": number})


def unsend(seconds: float, mid: str) -> Any:
    return item(seconds, message={"mid": mid, "is_deleted": True})


def body(*items: Any, page: str = PAGE, **entry: Any) -> bytes:
    fields = {"id": page, "time": at(0), "messaging": list(items), **entry}
    return json.dumps({"object": "page", "entry": [fields]}).encode()
