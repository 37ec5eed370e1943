"""The shapes on the wire: fields asked for, cursors, times, errors."""

import base64
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

from messenger_pipeline.simulator.world import END, ThreadKey

Fields = dict[str, tuple[int | None, "Fields | None"]]


class Refused(Exception):
    """An error answer."""

    def __init__(self, status: int, code: int, message: str, subcode: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        error = {"message": message, "type": "OAuthException", "code": code}
        if subcode is not None:
            error["error_subcode"] = subcode
        self.body = {"error": {**error, "fbtrace_id": "ASimulatedTrace"}}


def gone(object_id: str) -> Refused:
    return Refused(
        400,
        100,
        f"Unsupported get request. Object with ID '{object_id}' does not exist, cannot be loaded"
        " due to missing permissions, or does not support this operation.",
        33,
    )


def parse_fields(text: str) -> Fields:
    """`id,messages.limit(25){id,from}` as {"id": (None, None), "messages": (25, {...})}."""
    tokens = re.findall(r"[A-Za-z_]+|\.limit\(\d+\)|[{},]", text)
    fields, rest = _parse_fields(iter(tokens))
    if rest:
        raise Refused(400, 2500, f"Syntax error in fields: {text}")
    return fields


def _parse_fields(tokens: Iterator[str]) -> tuple[Fields, str]:
    fields: Fields = {}
    name, limit = "", None
    for token in tokens:
        if token == "{":  # noqa: S105 - a brace
            fields[name] = (limit, _parse_fields(tokens)[0])
        elif token == "}":  # noqa: S105 - a brace
            return fields, ""
        elif token.startswith(".limit("):
            limit = int(token[7:-1])
            fields[name] = (limit, None)
        elif token != ",":  # noqa: S105 - a comma
            name, limit = token, None
            fields[name] = (None, None)
    return fields, ""


def show_message(message: dict[str, Any], fields: Fields) -> dict[str, Any]:
    """The fields asked for that the message has; its CDN addresses are signed anew."""
    shown = {name: message[name] for name in ("id", *fields) if name in message}
    if "attachments" in shown:
        signature = f"oh={time.time_ns():x}&oe=6A0F7644"
        pictures = [
            {
                **one,
                "image_data": {
                    **one["image_data"],
                    "url": f"https://scontent.xx.fbcdn.net/v/{one['name']}?{signature}",
                    "preview_url": f"https://scontent.xx.fbcdn.net/p/{one['name']}?{signature}",
                },
            }
            for one in message["attachments"]["data"]
        ]
        shown["attachments"] = {"data": pictures}
    return shown


def limit_in(text: str | None, most: int) -> int:
    with suppress(ValueError, TypeError):
        return max(1, min(most, int(text or 25)))
    raise Refused(400, 100, "(#100) Param limit must be an integer")


def cursor_of(place: ThreadKey | int) -> str:
    text = f"{place.age},{place.number}" if isinstance(place, ThreadKey) else str(place)
    return base64.urlsafe_b64encode(f"QVFI{text}".encode()).decode()


def _decoded(cursor: str) -> str:
    with suppress(ValueError):
        return base64.urlsafe_b64decode(cursor.encode()).decode().removeprefix("QVFI")
    raise Refused(400, 100, "(#100) Invalid cursors values")


def key_in(cursor: str) -> ThreadKey:
    with suppress(ValueError):
        age, number = _decoded(cursor).split(",")
        return ThreadKey(int(age), int(number))
    raise Refused(400, 100, "(#100) Invalid cursors values")


def ordinal_in(cursor: str) -> int:
    with suppress(ValueError):
        return int(_decoded(cursor))
    raise Refused(400, 100, "(#100) Invalid cursors values")


def time_of(key: ThreadKey) -> str:
    return (END - timedelta(seconds=key.age)).strftime("%Y-%m-%dT%H:%M:%S+0000")
