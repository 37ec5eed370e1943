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


def encode_delivery(activities: Sequence[Activity], *, changes: bool = False) -> bytes:
    """The body of a delivery of one platform. Consecutive activities of a page share an entry. With
    `changes`, each item is the value of a change."""
    entries: list[dict[str, Any]] = []
    for activity in activities:
        if not entries or entries[-1]["id"] != activity.page.id:
            entries.append({"id": activity.page.id, "time": 0})
        entry = entries[-1]
        if changes:
            change = {"field": _field_of(activity.item), "value": activity.item}
            entry.setdefault("changes", []).append(change)
        else:
            entry.setdefault("messaging", []).append(activity.item)
        entry["time"] = max(entry["time"], activity.item["timestamp"])
    if changes:
        for entry in entries:
            entry["time"] //= 1000
    kind = "instagram" if activities and activities[0].page.is_instagram else "page"
    text = json.dumps({"object": kind, "entry": entries}, separators=(",", ":"))
    # Meta escapes slashes, so that a receiver that signs re-serialized JSON gets a wrong signature.
    return text.replace("/", r"\/").encode()


_FIELDS = {
    "message": "messages",
    "message_edit": "message_edits",
    "reaction": "message_reactions",
    "postback": "messaging_postbacks",
    "read": "message_reads",
    "delivery": "message_deliveries",
    "referral": "messaging_referrals",
    "optin": "messaging_optins",
}


def _field_of(item: dict[str, Any]) -> str:
    """The webhook field that an item belongs to."""
    kind = next(name for name in _FIELDS if name in item)
    return "message_echoes" if item[kind].get("is_echo") else _FIELDS[kind]


class Deliveries:
    """Sends deliveries. The share `repeats` is sent twice, the share `delays` is sent late, and the
    share `changes` has its items in `changes` instead of `messaging`."""

    def __init__(self, seed: int) -> None:
        self.reseed(seed)
        self._endpoint: WebhookEndpoint | None = None
        self._repeats = self._delays = 0.05
        self._changes = 0.0
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
        changes: float | None = None,
    ) -> None:
        """Change the endpoint, for pending deliveries too, and the shares. None changes nothing."""
        if endpoint:
            if self._endpoint:
                self._endpoint.close()
            self._endpoint = endpoint
        self._repeats = self._repeats if repeats is None else repeats
        self._delays = self._delays if delays is None else delays
        self._changes = self._changes if changes is None else changes

    def send(self, activities: Sequence[Activity]) -> None:
        """Deliver activities, those of each platform apart."""
        for platform in (False, True):
            found = [one for one in activities if one.page.is_instagram is platform]
            if found:
                # Without the setting, the seed decides the same as ever.
                changes = self._changes > 0 and self._chance.random() < self._changes
                self._send(encode_delivery(found, changes=changes))

    def _send(self, body: bytes) -> None:
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
