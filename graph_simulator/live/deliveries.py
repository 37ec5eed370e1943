"""Webhook deliveries: some repeated, some delayed, each retried until it is acknowledged."""

import asyncio
import json
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from graph_simulator.live.activity import Activity
from graph_simulator.live.endpoint import WebhookEndpoint

_CONCURRENCY = 8
_PAUSES = (0.0, 0.25, 0.5, 1.0, 2.0)  # seconds before each retry
_LONGEST_PAUSE = 4.0


def encode_delivery(activities: Sequence[Activity]) -> bytes:
    """The body of a delivery. Consecutive activities of a page share an entry."""
    entries: list[dict[str, Any]] = []
    for activity in activities:
        if not entries or entries[-1]["id"] != activity.page.id:
            entries.append({"id": activity.page.id, "time": 0, "messaging": []})
        entries[-1]["messaging"].append(activity.item)
        entries[-1]["time"] = max(entries[-1]["time"], activity.item["timestamp"])
    text = json.dumps({"object": "page", "entry": entries}, separators=(",", ":"))
    # Meta escapes slashes, so that a receiver that signs re-serialized JSON gets a wrong signature.
    return text.replace("/", r"\/").encode()


class Deliveries:
    """Sends deliveries. The share `repeats` is sent twice, the share `delays` is sent late."""

    def __init__(self, seed: int) -> None:
        self.reseed(seed)
        self._endpoint: WebhookEndpoint | None = None
        self._repeats = self._delays = 0.05
        self._created = self._repeated = self._delayed = 0
        self._sent = self._acknowledged = self._failed = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(_CONCURRENCY)
        self._threads = ThreadPoolExecutor(_CONCURRENCY, "webhook")

    @property
    def has_endpoint(self) -> bool:
        return self._endpoint is not None

    def reseed(self, seed: int) -> None:
        """Choose repeats and delays by this seed from now on."""
        self._chance = random.Random(f"{seed}:deliveries")

    def configure(
        self,
        endpoint: WebhookEndpoint | None = None,
        *,
        repeats: float | None = None,
        delays: float | None = None,
    ) -> None:
        """Change the endpoint, for pending deliveries too, and the shares. None changes nothing."""
        if endpoint:
            if self._endpoint:
                self._endpoint.close()
            self._endpoint = endpoint
        self._repeats = self._repeats if repeats is None else repeats
        self._delays = self._delays if delays is None else delays

    def send(self, activities: Sequence[Activity]) -> None:
        body = encode_delivery(activities)
        self._created += 1
        wait = 0.0
        if self._chance.random() < self._delays:
            self._delayed += 1
            wait = self._chance.uniform(0.5, 3.0)
        self._start(body, wait)
        if self._chance.random() < self._repeats:
            self._repeated += 1
            self._start(body, wait + self._chance.uniform(0.1, 1.0))

    def counts(self) -> dict[str, int]:
        """The deliveries created, repeated and delayed; the attempts sent, acknowledged and failed;
        and the pending deliveries, which are not acknowledged yet."""
        return {
            "deliveries": self._created,
            "repeated": self._repeated,
            "delayed": self._delayed,
            "sent": self._sent,
            "acknowledged": self._acknowledged,
            "failed": self._failed,
            "pending": self._created + self._repeated - self._acknowledged,
        }

    async def close(self) -> None:
        """Abandon the pending deliveries."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._endpoint:
            self._endpoint.close()
        self._threads.shutdown(wait=False)

    def _start(self, body: bytes, wait: float) -> None:
        task = asyncio.create_task(self._send_until_acknowledged(body, wait))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send_until_acknowledged(self, body: bytes, wait: float) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(wait)
        for pause in _pauses():
            async with self._slots:
                assert self._endpoint is not None
                self._sent += 1
                if await loop.run_in_executor(self._threads, self._endpoint.post, body):
                    self._acknowledged += 1
                    return
            self._failed += 1
            await asyncio.sleep(pause)


def _pauses() -> Iterator[float]:
    yield from _PAUSES
    while True:
        yield _LONGEST_PAUSE
