"""How webhooks are delivered: signed, over connections that are kept, some repeated, some late,
and again until they are acknowledged."""

import asyncio
import hashlib
import hmac
import json
import random
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from graph_simulator.activity import Happening

_AT_ONCE = 8
_PATIENCE_SECONDS = 5.0  # Meta's
_KEPT_SECONDS = 2.0  # less than what servers keep a connection for that nobody uses
_PAUSES = (0.0, 0.25, 0.5, 1.0, 2.0)
_LONGEST_PAUSE = 4.0


def write_body(happenings: Sequence[Happening]) -> bytes:
    """A delivery. What follows one another on one page is one entry."""
    entries: list[dict[str, Any]] = []
    for happening in happenings:
        if not entries or entries[-1]["id"] != happening.page.id:
            entries.append({"id": happening.page.id, "time": 0, "messaging": []})
        entries[-1]["messaging"].append(happening.item)
        entries[-1]["time"] = max(entries[-1]["time"], happening.item["timestamp"])
    text = json.dumps({"object": "page", "entry": entries}, separators=(",", ":"))
    # As Meta writes it; whoever signs it once more after parsing gets another signature.
    return text.replace("/", r"\/").encode()


class Receiver:
    """Where deliveries go. Its `post` is called by threads."""

    def __init__(self, url: str, secret: str) -> None:
        """Raises ValueError if there can be none."""
        where = urlsplit(url)
        if where.scheme not in ("http", "https") or not where.hostname or not url.isascii():
            raise ValueError(f"{url!r} is no http or https address")
        self._host, self._port = where.hostname, where.port
        self._connection_class = HTTPSConnection if where.scheme == "https" else HTTPConnection
        self._target = (where.path or "/") + (f"?{where.query}" if where.query else "")
        self._secret = secret.encode()
        self._kept: list[tuple[float, HTTPConnection]] = []
        self._closed = False

    def post(self, body: bytes) -> bool:
        """Whether a delivery is acknowledged: with 200, in time."""
        signature = hmac.new(self._secret, body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "X-Hub-Signature-256": f"sha256={signature}",
        }
        connection = self._connection()
        try:
            connection.request("POST", self._target, body, headers)
            answer = connection.getresponse()
            answer.read()
        except (OSError, HTTPException):
            connection.close()
            return False
        self._kept.append((time.monotonic(), connection))
        if self._closed:
            self.close()
        return answer.status == 200

    def close(self) -> None:
        """Keep no connection anymore."""
        self._closed = True
        with suppress(IndexError):
            while True:
                self._kept.pop()[1].close()

    def _connection(self) -> HTTPConnection:
        with suppress(IndexError):
            while True:
                since, connection = self._kept.pop()
                if time.monotonic() - since < _KEPT_SECONDS:
                    return connection
                connection.close()
        return self._connection_class(self._host, self._port, timeout=_PATIENCE_SECONDS)


class Deliveries:
    """A share of them, `repeats`, comes once more; a share, `disorder`, comes late. Each is tried
    until it is acknowledged."""

    def __init__(self, seed: int) -> None:
        self.begin(seed)
        self._receiver: Receiver | None = None
        self._repeats = self._disorder = 0.05
        self._made = self._repeated = self._late = 0
        self._sent = self._acknowledged = self._refused = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._free = asyncio.Semaphore(_AT_ONCE)
        self._threads = ThreadPoolExecutor(_AT_ONCE, "webhook")

    @property
    def directed(self) -> bool:
        """Whether there is somebody who gets them."""
        return self._receiver is not None

    def begin(self, seed: int) -> None:
        """Choose what comes once more or late by this seed from now on."""
        self._chance = random.Random(f"{seed}:deliveries")

    def direct(
        self,
        receiver: Receiver | None = None,
        *,
        repeats: float | None = None,
        disorder: float | None = None,
    ) -> None:
        """Change who gets them, those that wait too, and the shares; what is None stays."""
        if receiver:
            if self._receiver:
                self._receiver.close()
            self._receiver = receiver
        self._repeats = self._repeats if repeats is None else repeats
        self._disorder = self._disorder if disorder is None else disorder

    def deliver(self, happenings: Sequence[Happening]) -> None:
        body = write_body(happenings)
        self._made += 1
        wait = 0.0
        if self._chance.random() < self._disorder:
            self._late += 1
            wait = self._chance.uniform(0.5, 3.0)
        self._start(body, wait)
        if self._chance.random() < self._repeats:
            self._repeated += 1
            self._start(body, wait + self._chance.uniform(0.1, 1.0))

    def told(self) -> dict[str, int]:
        """How many were made, and how many of them come once more or late; how many were sent,
        acknowledged and refused, each time it was tried; and how many are not acknowledged yet."""
        return {
            "deliveries": self._made,
            "repeated": self._repeated,
            "late": self._late,
            "sent": self._sent,
            "acknowledged": self._acknowledged,
            "refused": self._refused,
            "waiting": self._made + self._repeated - self._acknowledged,
        }

    async def close(self) -> None:
        """Give up what is not acknowledged."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._receiver:
            self._receiver.close()
        self._threads.shutdown(wait=False)

    def _start(self, body: bytes, wait: float) -> None:
        task = asyncio.create_task(self._try_until_acknowledged(body, wait))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _try_until_acknowledged(self, body: bytes, wait: float) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(wait)
        for pause in _pauses():
            async with self._free:
                assert self._receiver is not None
                self._sent += 1
                if await loop.run_in_executor(self._threads, self._receiver.post, body):
                    self._acknowledged += 1
                    return
            self._refused += 1
            await asyncio.sleep(pause)


def _pauses() -> Iterator[float]:
    yield from _PAUSES
    while True:
        yield _LONGEST_PAUSE
