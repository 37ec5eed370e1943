"""Requests sent over keep-alive connections, one at a time on each, and their answers counted."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections import Counter, deque
from typing import cast

now = time.monotonic
"""The clock of all processes of the machine."""

_TICK = 0.001
"""Seconds between two looks at which requests are due: what event loops can time."""


class Broken(Exception):
    """A connection ended, or an answer cannot be read."""


class Load(ABC):
    """Requests, in their order, and what came of them: `began` and `ended` on the clock, seconds
    of each request, and how many were answered with which status."""

    def __init__(self, requests: list[bytes]) -> None:
        self.sent = 0
        self.began = self.ended = 0.0
        self.latencies: list[float] = []
        self.statuses: Counter[int] = Counter()
        self._requests = requests
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @abstractmethod
    async def run(self, connections: "list[Connection]") -> None:
        """Send, until all answers are there."""

    @abstractmethod
    def use(self, connection: "Connection") -> None:
        """A connection has its answer."""

    def take_answer(self, connection: "Connection", status: int) -> None:
        self.ended = now()
        self.statuses[status] += 1
        self.latencies.append(self.ended - connection.since)
        self.use(connection)

    def break_off(self, reason: str) -> None:
        if not self._over.done():
            self._over.set_exception(Broken(reason))

    def _send(self, connection: "Connection", since: float) -> None:
        connection.send(self._requests[self.sent], since)
        self.sent += 1

    def _check_over(self) -> None:
        if len(self.latencies) == self.sent and not self._over.done():
            self._over.set_result(None)


class Closed(Load):
    """Each connection sends the next request when it has its answer, for so many seconds, or
    until there are no more requests."""

    def __init__(self, requests: list[bytes], seconds: float) -> None:
        super().__init__(requests)
        self._seconds = seconds

    async def run(self, connections: "list[Connection]") -> None:
        self.began = self.ended = now()
        for connection in connections[: len(self._requests)]:
            self._send(connection, now())
        await self._over

    def use(self, connection: "Connection") -> None:
        if self.sent < len(self._requests) and self.ended < self.began + self._seconds:
            self._send(connection, self.ended)
        else:
            self._check_over()


class Paced(Load):
    """So many requests a second, whatever the answers: one that finds no connection free waits,
    and its seconds count from when it was due."""

    def __init__(self, requests: list[bytes], rate: float) -> None:
        super().__init__(requests)
        self._rate = rate
        self._waiting: deque[float] = deque()
        self._idle: deque[Connection] = deque()

    async def run(self, connections: "list[Connection]") -> None:
        self._idle.extend(connections)
        self.began = self.ended = now()
        due = 0
        while due < len(self._requests) and not self._over.done():
            while due < len(self._requests) and (at := self.began + due / self._rate) <= now():
                self._waiting.append(at)
                due += 1
            while self._waiting and self._idle:
                self._send(self._idle.popleft(), self._waiting.popleft())
            await asyncio.sleep(_TICK)
        await self._over

    def use(self, connection: "Connection") -> None:
        if self._waiting:
            self._send(connection, self._waiting.popleft())
            return
        self._idle.append(connection)
        if self.sent == len(self._requests):
            self._check_over()


class Connection(asyncio.Protocol):
    """One request under way at a time; `since` is what its seconds count from."""

    def __init__(self, load: Load) -> None:
        self.since = 0.0
        self._load = load
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def send(self, request: bytes, since: float) -> None:
        self.since = since
        self._transport.write(request)

    def close(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._received += data
        try:
            status = read_status(self._received)
        except (Broken, ValueError) as error:
            self._load.break_off(f"{error}: {self._received[:200]!r}")
            return
        if status is not None:
            self._received = b""
            self._load.take_answer(self, status)

    def connection_lost(self, error: Exception | None) -> None:
        self._load.break_off(f"a connection was closed: {error}")


def read_status(received: bytes) -> int | None:
    """The status of an answer that is there whole; None if more of it is to come."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = received[:end].lower() + b"\r"
    at = head.find(b"\ncontent-length:")
    if at < 0:
        raise Broken("an answer that does not tell its length")
    missing = end + 4 + int(head[at + 16 : head.index(b"\r", at)]) - len(received)
    if missing < 0:
        raise Broken("more than one answer to a request")
    return int(head[9:12]) if missing == 0 else None
