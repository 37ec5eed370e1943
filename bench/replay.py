"""A server of prepared answers: the page's list of threads, as fast as it can be sent.

A program of its own: `python -m bench.replay ID=THREADS …` prints its port when all is prepared,
and ends with its standard input. Any `limit`, `messages.limit(n)` and `after` are answered; other
fields than the usual ones cannot be asked for. `/_replay/calls` tells and zeroes the number of
calls, `/_replay/latency/MS` sets how long each is kept waiting.
"""

import asyncio
import base64
import re
import sys
import time
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qs, urlsplit

from bench.payloads import MESSAGES, as_bytes, make_thread

TOKEN = "EAAbench" + "0123456789" * 18
"""Of no use; Meta's links embed one, and this is as long."""
MOST_THREADS = 200
"""Greater limits are cut silently, as Meta does."""
PREPARED = ((100, MESSAGES), (200, 1))
"""Threads and messages of the answers that are made beforehand; others when first asked for."""


class Replay:
    """The pages' threads, rendered once for each number of nested messages."""

    def __init__(self, pages: dict[str, int]) -> None:
        self._threads = {
            page_id: [make_thread(page_id, number) for number in range(threads)]
            for page_id, threads in pages.items()
        }
        self._where = {
            thread["id"]: thread for threads in self._threads.values() for thread in threads
        }
        self._rendered: dict[tuple[str, int], list[bytes]] = {}
        self._lists: dict[tuple[str, int, int, int], bytes] = {}

    def answer_list(self, page_id: str, start: int, limit: int, nested: int) -> bytes:
        """One answer of a page's threads, from `start` on."""
        key = page_id, start, limit, nested
        if key not in self._lists:
            threads = self._render(page_id, nested)
            part = b",".join(threads[start : start + limit])
            end = start + limit
            link = f"{page_id}/conversations?limit={limit}"
            paging = _paging(link, start, end, end < len(threads))
            self._lists[key] = b'{"data":[' + part + b'],"paging":' + as_bytes(paging) + b"}"
        return self._lists[key]

    def answer_messages(self, thread_id: str, start: int, limit: int) -> bytes:
        """One answer of a thread's messages."""
        return as_bytes(_messages(self._where[thread_id], start, limit))

    def warm(self, limit: int, nested: int) -> None:
        """Make each page's answers to a walk by `limit` threads."""
        for page_id, threads in self._threads.items():
            for start in range(0, len(threads), limit):
                self.answer_list(page_id, start, limit, nested)

    def _render(self, page_id: str, nested: int) -> list[bytes]:
        key = page_id, nested
        if key not in self._rendered:
            self._rendered[key] = [
                as_bytes({**thread, "messages": _messages(thread, 0, nested)})
                for thread in self._threads[page_id]
            ]
        return self._rendered[key]


def _messages(thread: dict[str, Any], start: int, limit: int) -> dict[str, Any]:
    data, end = thread["messages"]["data"], start + limit
    link = f"{thread['id']}/messages?limit={limit}"
    return {"data": data[start:end], "paging": _paging(link, start, end, end < len(data))}


def _paging(link: str, start: int, end: int, more: bool) -> dict[str, Any]:
    paging: dict[str, Any] = {"cursors": {"before": _cursor(start), "after": _cursor(end)}}
    if more:
        address = f"https://graph.facebook.com/v26.0/{link}&access_token={TOKEN}&pretty=0"
        paging["next"] = f"{address}&after={paging['cursors']['after']}"
    return paging


def _cursor(place: int) -> str:
    return base64.urlsafe_b64encode(f"QVFIUmJlbmNo{place:012}".encode()).decode()


def _place(cursor: str) -> int:
    return int(base64.urlsafe_b64decode(cursor)[-12:])


class Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive, GET only, one request at a time: what the contestants need."""

    calls = 0
    latency = 0.0

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.set_write_buffer_limits(high=1 << 26)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._received.endswith(b"\r\n\r\n"):
            return
        target = self._received.split(b" ", 2)[1].decode()
        self._received = b""
        if target.startswith("/_replay/"):
            self._send(self._control(*target.split("/")[2:]))
            return
        Connection.calls += 1
        if Connection.latency:
            loop = asyncio.get_running_loop()
            loop.call_later(Connection.latency, self._send_answer, target)
        else:
            self._send_answer(target)

    def _send_answer(self, target: str) -> None:
        try:
            self._send(self._answer(target))
        except (KeyError, ValueError):
            self._send(b'{"error":{"message":"Unknown path","code":2500}}', b"400 Bad Request")

    def _answer(self, target: str) -> bytes:
        split = urlsplit(target)
        _, object_id, edge = split.path.rsplit("/", 2)
        query = {name: values[0] for name, values in parse_qs(split.query).items()}
        start = _place(query["after"]) if "after" in query else 0
        limit = int(query.get("limit", "25"))
        if edge == "messages":
            return self._replay.answer_messages(object_id, start, limit)
        if edge != "conversations":
            raise ValueError(edge)
        nested = re.search(r"messages\.limit\((\d+)\)", query.get("fields", ""))
        count = int(nested[1]) if nested else MESSAGES
        return self._replay.answer_list(object_id, start, min(limit, MOST_THREADS), count)

    def _send(self, body: bytes, status: bytes = b"200 OK") -> None:
        if self._transport.is_closing():
            return
        date = formatdate(time.time(), usegmt=True).encode()
        head = b"HTTP/1.1 %b\r\nDate: %b\r\nContent-Type: application/json; charset=UTF-8\r\n"
        head = head % (status, date) + b"Content-Length: %d\r\n\r\n" % len(body)
        self._transport.writelines([head, body])

    def _control(self, verb: str, value: str = "0") -> bytes:
        calls, Connection.calls = Connection.calls, 0
        if verb == "latency":
            Connection.latency = int(value) / 1000
        return b"%d" % calls


async def serve(replay: Replay) -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(replay), "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


def main(arguments: list[str]) -> None:
    pages = dict(argument.split("=") for argument in arguments)
    replay = Replay({page_id: int(threads) for page_id, threads in pages.items()})
    for limit, nested in PREPARED:
        replay.warm(limit, nested)
    asyncio.run(serve(replay))


if __name__ == "__main__":
    main(sys.argv[1:])
