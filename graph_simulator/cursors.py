"""Cursors: where a list goes on, as opaque text.

Each carries how often the cursors of its page had expired when it was handed out.
"""

import base64
from contextlib import suppress
from typing import Literal

from graph_simulator.page import SimulatedPage, ThreadKey
from graph_simulator.wire import Refused
from graph_simulator.world import CursorKind, Place

Listing = Literal["list", "messages"]
"""What a cursor is of: a page's list of threads, or a thread's messages."""

HEAD = ThreadKey(-(10**12), 0)
"""A place before every thread."""


def list_cursor(page: SimulatedPage, place: Place, nonce: str = "") -> str:
    """The cursor that goes on at a place in the list; another `nonce`, another text."""
    text = f"{place.age},{place.number}" if isinstance(place, ThreadKey) else str(place)
    return _written(page, "list", text, nonce)


def message_cursor(page: SimulatedPage, ordinal: int, nonce: str = "") -> str:
    return _written(page, "messages", str(ordinal), nonce)


def read_list_cursor(page: SimulatedPage, kind: CursorKind, cursor: str) -> Place:
    """The place of a cursor that still holds. Raises Refused."""
    text = _read(page, "list", cursor)
    with suppress(ValueError):
        if kind == "offset":
            return int(text)
        age, number = text.split(",")
        return ThreadKey(int(age), int(number))
    raise invalid()


def read_message_cursor(page: SimulatedPage, cursor: str) -> int:
    """The ordinal of a cursor that still holds. Raises Refused."""
    with suppress(ValueError):
        return int(_read(page, "messages", cursor))
    raise invalid()


def invalid() -> Refused:
    return Refused(400, 100, "(#100) Invalid cursors values")


def too_deep() -> Refused:
    return Refused(400, 100, "(#100) The After Cursor specified exceeds the max limit")


def _written(page: SimulatedPage, of: Listing, place: str, nonce: str) -> str:
    text = f"QVFI:{of}:{page.expiries[of]}:{place}:{nonce}"
    return base64.urlsafe_b64encode(text.encode()).decode()


def _read(page: SimulatedPage, of: Listing, cursor: str) -> str:
    with suppress(ValueError):
        text = base64.urlsafe_b64decode(cursor.encode()).decode()
        _, was_of, expiries, place, _ = text.split(":")
        if was_of == of and int(expiries) == page.expiries[of]:
            return place
    raise invalid()
