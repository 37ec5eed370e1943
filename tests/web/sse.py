"""A client of server-sent events that behaves as a browser's EventSource."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests

from tests.web.conftest import KEY, Receiver


@dataclass
class Stream:
    """An open stream. Iterating yields the data of its events until it is closed."""

    answer: requests.Response
    ids: list[str] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    retry: str | None = None

    def __iter__(self) -> Iterator[dict[str, Any]]:
        data: dict[str, Any] | None = None
        for line in self.answer.iter_lines(chunk_size=1, decode_unicode=True):
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if not line and data is not None:
                yield data
                data = None
            elif name == "id":
                self.ids.append(value)
            elif name == "data":
                data = json.loads(value)
            elif name == "retry":
                self.retry = value
            elif line and not name:
                self.comments.append(value)
            elif line:
                raise AssertionError(
                    line
                )  # such as an event with a name, which onmessage would miss


@contextmanager
def open_stream(
    receiver: Receiver, session: str | None = None, seen: str | None = None, seconds: float = 30
) -> Iterator[Stream]:
    path = f"/sync/{session}/events" if session else "/events"
    headers: dict[str, str | bytes | None] = {"X-API-Key": KEY.encode(), "Last-Event-ID": seen}
    url = f"{receiver.url}/api/conversations{path}"
    with requests.get(url, headers=headers, stream=True, timeout=seconds) as answer:
        yield Stream(answer)


async def raw_stream(receiver: Receiver, session: str) -> bytes:
    """All bytes of a session's stream, until the server ends it."""
    address = urlsplit(receiver.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    head = f"GET /api/conversations/sync/{session}/events HTTP/1.1\r\nHost: x\r\n"
    head += "Connection: close\r\nX-API-Key: "
    writer.write(head.encode() + KEY.encode() + b"\r\n\r\n")
    received = await reader.read()
    writer.close()
    return received
