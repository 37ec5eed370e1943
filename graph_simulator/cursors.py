"""Cursors: an opaque text that encodes a position in a list.

Each cursor includes how often its page's cursors had expired when it was issued.
"""

import base64
from contextlib import suppress
from typing import Literal

from graph_simulator.errors import ApiError
from graph_simulator.page import SimulatedPage, ThreadKey
from graph_simulator.world import CursorKind, ListPosition

ListKind = Literal["list", "messages"]
"""A page's list of threads, or a thread's messages."""

HEAD = ThreadKey(-(10**12), 0)
"""The position before every thread."""


def list_cursor(page: SimulatedPage, position: ListPosition, nonce: str = "") -> str:
    """The cursor of a position in the list. Another `nonce` gives another text."""
    if isinstance(position, ThreadKey):
        return _encode(page, "list", f"{position.age},{position.number}", nonce)
    return _encode(page, "list", str(position), nonce)


def message_cursor(page: SimulatedPage, ordinal: int, nonce: str = "") -> str:
    return _encode(page, "messages", str(ordinal), nonce)


def read_list_cursor(page: SimulatedPage, kind: CursorKind, cursor: str) -> ListPosition:
    """The position of a valid cursor. Raises ApiError."""
    text = _decode(page, "list", cursor)
    with suppress(ValueError):
        if kind == "offset":
            return int(text)
        age, number = text.split(",")
        return ThreadKey(int(age), int(number))
    raise invalid_cursor()


def read_message_cursor(page: SimulatedPage, cursor: str) -> int:
    """The ordinal of a valid cursor. Raises ApiError."""
    with suppress(ValueError):
        return int(_decode(page, "messages", cursor))
    raise invalid_cursor()


def invalid_cursor() -> ApiError:
    return ApiError(400, 100, "(#100) Invalid cursors values")


def cursor_too_deep() -> ApiError:
    return ApiError(400, 100, "(#100) The After Cursor specified exceeds the max limit")


def _encode(page: SimulatedPage, kind: ListKind, position: str, nonce: str) -> str:
    text = f"QVFI:{kind}:{page.expiries[kind]}:{position}:{nonce}"
    return base64.urlsafe_b64encode(text.encode()).decode()


def _decode(page: SimulatedPage, kind: ListKind, cursor: str) -> str:
    with suppress(ValueError):
        text = base64.urlsafe_b64decode(cursor.encode()).decode()
        _, issued_for, expiries, position, _ = text.split(":")
        if issued_for == kind and int(expiries) == page.expiries[kind]:
            return position
    raise invalid_cursor()
