"""The row of a message as a correct sync must store it."""

from collections.abc import Iterable
from typing import Any

from graph_simulator.faults.malformed import UNUSABLE, Malformation
from graph_simulator.history import exact_time
from graph_simulator.page import SimulatedPage

Row = dict[str, Any]


def expected_row(
    page: SimulatedPage,
    contact_id: str,
    message: dict[str, Any],
    ordinal: int,
    malformations: Iterable[Malformation],
) -> tuple[Row, bool]:
    """A message's row, and whether its record can be stored. Messages of live traffic are never
    malformed, and have milliseconds."""
    record = message
    usable = True
    live_time = page.live_times.get(message["id"])
    for one in malformations if live_time is None else ():
        before, record = record, one.apply_to_message(page, ordinal, record)
        if one.name in UNUSABLE and (one.name.startswith("thread_") or record is not before):
            usable = False
    # A deleted account has a name, and perhaps no id.
    sender = record.get("from") or {}
    direction = "message_sent" if sender.get("id") == page.id else "message_received"
    row = {
        "page_id": page.id,
        "sender_id": contact_id,
        "message_id": record.get("id"),
        "created_time": exact_time(live_time) if live_time else record.get("created_time"),
        "event_type": direction if sender else "message",
        "text": _storable(record.get("message")),
    }
    return row, usable


def _storable(text: str | None) -> str | None:
    """The text with the replacement character for what PostgreSQL cannot store."""
    if text is None:
        return None
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text.replace("\x00", "\ufffd")
