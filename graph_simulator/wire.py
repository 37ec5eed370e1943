"""The shapes on the wire: fields asked for, messages shown, times, errors."""

import re
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

from graph_simulator.history import END, wire_time

Fields = dict[str, tuple[int | None, "Fields | None"]]


class Refused(Exception):
    """An error answer."""

    def __init__(
        self,
        status: int,
        code: int | None,
        message: str,
        subcode: int | None = None,
        *,
        transient: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        error: dict[str, Any] = {"message": message, "type": "OAuthException"}
        told = {"code": code, "error_subcode": subcode, "is_transient": transient}
        error |= {name: value for name, value in told.items() if value is not None}
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
        attached = [_signed(one, signature) for one in message["attachments"]["data"]]
        shown["attachments"] = {"data": attached}
    return shown


def _signed(attachment: dict[str, Any], signature: str) -> dict[str, Any]:
    address = f"https://scontent.xx.fbcdn.net/%s/{attachment['name']}?{signature}"
    if "file_url" in attachment:
        return {**attachment, "file_url": address % "v"}
    kind = "image_data" if "image_data" in attachment else "video_data"
    addresses = {"url": address % "v", "preview_url": address % "p"}
    return {**attachment, kind: {**attachment[kind], **addresses}}


def limit_in(text: str | None, most: int) -> int:
    with suppress(ValueError, TypeError):
        return max(1, min(most, int(text or 25)))
    raise Refused(400, 100, "(#100) Param limit must be an integer")


def time_of(age: int) -> str:
    """The time so many seconds before END."""
    return wire_time(END - timedelta(seconds=age))
