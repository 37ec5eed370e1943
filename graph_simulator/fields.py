"""The `fields` and `limit` parameters of a call, and a message reduced to the requested fields."""

import re
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from graph_simulator.errors import ApiError

Fields = dict[str, tuple[int | None, "Fields | None"]]
"""Each requested field with its nested limit and its nested fields."""


def parse_fields(text: str) -> Fields:
    """Parse `id,messages.limit(25){id,from}` to {"id": (None, None), "messages": (25, {...})}."""
    tokens = re.findall(r"[A-Za-z_]+|\.limit\(\d+\)|[{},]", text)
    fields, rest = _parse_fields(iter(tokens))
    if rest:
        raise ApiError(400, 2500, f"Syntax error in fields: {text}")
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


def parse_limit(text: str | None, maximum: int) -> int:
    """The page size, cut to `maximum` silently, as Meta does. Raises ApiError."""
    with suppress(ValueError, TypeError):
        return max(1, min(maximum, int(text or 25)))
    raise ApiError(400, 100, "(#100) Param limit must be an integer")


def render_message(message: dict[str, Any], fields: Fields) -> dict[str, Any]:
    """The requested fields that the message has. Each call signs the CDN addresses again."""
    rendered = {name: message[name] for name in ("id", *fields) if name in message}
    if "attachments" in rendered:
        signature = f"oh={time.time_ns():x}&oe=6A0F7644"
        attached = [_signed(one, signature) for one in message["attachments"]["data"]]
        rendered["attachments"] = {"data": attached}
    return rendered


def _signed(attachment: dict[str, Any], signature: str) -> dict[str, Any]:
    address = f"https://scontent.xx.fbcdn.net/%s/{attachment['name']}?{signature}"
    if "file_url" in attachment:
        return {**attachment, "file_url": address % "v"}
    kind = "image_data" if "image_data" in attachment else "video_data"
    addresses = {"url": address % "v", "preview_url": address % "p"}
    return {**attachment, kind: {**attachment[kind], **addresses}}
