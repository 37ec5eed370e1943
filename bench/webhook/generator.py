"""Sends requests over keep-alive connections, one at a time on each, and counts the responses.

`python -m bench.webhook.generator --port N` answers 200 to everything: what can be sent at most.
"""

import asyncio
import math
import sys
import time
from collections import Counter, deque
from typing import cast

import uvloop

from bench.processes import Failed

now = time.monotonic
_TICK = 0.001  # seconds; the resolution of timers of the event loop
_PATIENCE = 60.0  # seconds after the planned end of a load
_OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nOK"


class Load:
    """Requests in their order, sent at `rate` per second, and their responses. Without a rate they
    are sent for `seconds`, as fast as responses arrive.

    With a rate, a request that finds no idle connection waits, and its latency counts from when
    it was due.
    """

    def __init__(self, requests: list[bytes], seconds: float, rate: float | None = None) -> None:
        self.began = self.ended = 0.0
        self.latencies: list[float] = []  # seconds of each response
        self.statuses: Counter[int] = Counter()
        self._requests, self._seconds, self._rate = requests, seconds, rate
        self._sent = 0
        self._idle: deque[Connection] = deque()
        self.over: asyncio.Future[None]

    async def send(self, port: int, connections: int = 64) -> None:
        """Raises Failed if a connection breaks or a response is missing."""
        loop = asyncio.get_running_loop()
        self.over = loop.create_future()
        for _ in range(connections):
            _, made = await loop.create_connection(lambda: Connection(self), "127.0.0.1", port)
            self._idle.append(made)
        opened = list(self._idle)
        planned = len(self._requests) / self._rate if self._rate else self._seconds
        try:
            async with asyncio.timeout(planned + _PATIENCE):
                self.began = self.ended = now()
                self._send_due(self.began)
                while self._rate and self._sent < len(self._requests) and not self.over.done():
                    await asyncio.sleep(_TICK)
                    self._send_due(now())
                await self.over
        except TimeoutError:
            raise Failed(f"{self._sent - len(self.latencies)} responses are missing") from None
        finally:
            for connection in opened:
                connection.transport.abort()

    def take_response(self, connection: "Connection", status: int) -> None:
        self.ended = now()
        self.statuses[status] += 1
        self.latencies.append(self.ended - connection.since)
        self._idle.append(connection)
        self._send_due(self.ended)
        complete = self._sent == len(self._requests) or not self._rate
        if complete and len(self.latencies) == self._sent and not self.over.done():
            self.over.set_result(None)

    def _send_due(self, at: float) -> None:
        while self._idle and self._sent < len(self._requests):
            due = self.began + self._sent / self._rate if self._rate else at
            if due > at or (not self._rate and at >= self.began + self._seconds):
                return
            connection = self._idle.popleft()
            connection.since = due
            connection.transport.write(self._requests[self._sent])
            self._sent += 1


class Connection(asyncio.Protocol):
    """One request in progress at a time; its latency counts from `since`."""

    transport: asyncio.Transport
    since = 0.0

    def __init__(self, load: Load) -> None:
        self._load, self._received = load, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        status = read_status(self._received)
        if status is not None:
            self._received = b""
            self._load.take_response(self, status)

    def connection_lost(self, error: Exception | None) -> None:
        if not self._load.over.done():
            self._load.over.set_exception(Failed(f"a connection was closed: {error}"))


def read_status(received: bytes) -> int | None:
    """The status of a complete response; None if more bytes must follow."""
    head, end, body = received.lower().partition(b"\r\n\r\n")
    if not end:
        return None
    _, found, length = head.partition(b"\ncontent-length:")
    missing = int(length.partition(b"\r")[0]) - len(body) if found else -1
    if missing < 0:
        raise Failed("not exactly one response with a content-length")
    return int(head[9:12]) if missing == 0 else None


def percentiles(latencies: list[float]) -> dict[str, float]:
    """Of seconds, in milliseconds: each is the least value that this share does not exceed."""
    ordered = sorted(latencies)
    shares = {"p50 ms": 0.5, "p95 ms": 0.95, "p99 ms": 0.99, "max ms": 1}
    places = {title: math.ceil(share * len(ordered)) - 1 for title, share in shares.items()}
    return {title: ordered[place] * 1000 for title, place in places.items()}


class _Server(asyncio.Protocol):
    """Answers wherever the end of a delivery arrives."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if data.endswith(b"}]}]}"):
            self._transport.write(_OK)


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    await (await loop.create_server(_Server, "127.0.0.1", int(sys.argv[-1]))).serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve())
