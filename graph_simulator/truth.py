"""What there is to store: the row of a message, as a sound pipeline must have it."""

from collections.abc import Iterable
from typing import Any

from graph_simulator.history import exact_time
from graph_simulator.malformed import UNUSABLE, Oddity
from graph_simulator.page import SimulatedPage

Row = dict[str, Any]


def row_of(
    page: SimulatedPage,
    contact_id: str,
    message: dict[str, Any],
    ordinal: int,
    oddities: Iterable[Oddity],
) -> tuple[Row, bool]:
    """A message's row, and whether it can be stored as it is told. What a webhook tells is never
    odd, and has milliseconds."""
    told = message
    usable = True
    exact = page.exact.get(message["id"])
    for odd in oddities if exact is None else ():
        before, told = told, odd.message_as_told(page, ordinal, told)
        if odd.name in UNUSABLE and (odd.name.startswith("thread_") or told is not before):
            usable = False
    sender = (told.get("from") or {}).get("id")
    direction = "message_sent" if sender == page.id else "message_received"
    row = {
        "page_id": page.id,
        "sender_id": contact_id,
        "message_id": told.get("id"),
        "created_time": exact_time(exact) if exact else told.get("created_time"),
        "event_type": direction if sender else "message",
        "text": _storable(told.get("message")),
    }
    return row, usable


def _storable(text: str | None) -> str | None:
    """What PostgreSQL has no text for becomes the replacement character."""
    if text is None:
        return None
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text.replace("\x00", "\ufffd")
