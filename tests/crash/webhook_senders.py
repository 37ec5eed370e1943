"""Senders of webhooks that behave like Meta: signed, concurrent, each retried until it gets 200."""

import hashlib
import hmac
import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http.client import HTTPConnection, HTTPException

import psycopg

from graph_simulator import World
from graph_simulator.live.activity import ActivityGenerator
from graph_simulator.live.deliveries import encode_delivery
from graph_simulator.world import END
from tests.crash.barriers import until
from tests.crash.databases import query
from tests.crash.receiver import SECRET

_TIMEOUT_SECONDS = 5.0  # Meta's
_PAUSE = 0.01  # seconds: leaves CPU time for the processes that the tests restart
_PER_DELIVERY = (1, 1, 1, 2, 3, 8)  # activities


@dataclass(eq=False)
class Delivery:
    """A body, and the status of each attempt; None: no response."""

    body: bytes
    statuses: list[int | None] = field(default_factory=list)

    @property
    def acknowledged(self) -> bool:
        return 200 in self.statuses


def signed(body: bytes) -> dict[str, str]:
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    return {"Content-Type": "application/json", "X-Hub-Signature-256": f"sha256={signature}"}


def bodies_of(world: World, number: int, seed: int = 1) -> list[bytes]:
    """Deliveries of generated activity, 400 ms apart."""
    generator, now, found = ActivityGenerator(world, seed), END + timedelta(days=1), []
    for turn in range(number):
        now += timedelta(seconds=0.4)
        activities = [
            generator.generate(now) for _ in range(_PER_DELIVERY[turn % len(_PER_DELIVERY)])
        ]
        found.append(encode_delivery(activities))
    return found


class Sender:
    """Delivers generated activity in any order, a tenth of it twice."""

    def __init__(self, world: World, port: int, seed: int = 1) -> None:
        self.sent: list[Delivery] = []
        self.statuses: Counter[int | None] = Counter()
        self._port = port
        self._generator = ActivityGenerator(world, seed)
        self._chance = random.Random(seed)
        self._now = END + timedelta(days=1)
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def wait_for(self, more: int, status: int | None = 200) -> None:
        """Wait for this many more responses with the status."""
        before = self.statuses[status]
        until(lambda: self.statuses[status] >= before + more, f"{more} responses with {status}")

    @contextmanager
    def sending(self, at_once: int = 4) -> Iterator[None]:
        """Deliver in the background. At the end, wait until everything is acknowledged."""
        threads = [threading.Thread(target=self._send, daemon=True) for _ in range(at_once)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
        until(lambda: not any(one.is_alive() for one in threads), "the last acknowledgements")

    def _next(self) -> list[Delivery]:
        with self._lock:
            activities = []
            for _ in range(self._chance.choice(_PER_DELIVERY)):
                self._now += timedelta(milliseconds=self._chance.choice((1, 7, 400)))
                activities.append(self._generator.generate(self._now))
            found = [Delivery(encode_delivery(activities))]
            if self._chance.random() < 0.1 and self.sent:
                found.append(Delivery(self._chance.choice(self.sent).body))
            self.sent += found
            return found

    def _send(self) -> None:
        pending: list[Delivery] = []
        connection: HTTPConnection | None = None
        while pending or not self._stop.is_set():
            # Unacknowledged deliveries are retried, but others may overtake them.
            if not pending or (len(pending) < 8 and not self._stop.is_set()):
                pending += self._next()
            one = pending.pop(0)
            connection = connection or HTTPConnection(
                "127.0.0.1", self._port, timeout=_TIMEOUT_SECONDS
            )
            status = post(connection, one.body)
            if status is None:
                connection = None
            self._note(one, status)
            if not one.acknowledged:
                pending.append(one)
            self._stop.wait(_PAUSE)
        if connection:
            connection.close()

    def _note(self, delivery: Delivery, status: int | None) -> None:
        with self._lock:
            delivery.statuses.append(status)
            self.statuses[status] += 1


def post(connection: HTTPConnection, body: bytes) -> int | None:
    """The status of the response. None if there is none, and the connection is closed."""
    try:
        connection.request("POST", "/api/webhook", body, signed(body))
        response = connection.getresponse()
        response.read()
    except (OSError, HTTPException):
        connection.close()
        return None
    return response.status


def inbox_differences(url: str, sent: list[Delivery]) -> list[str]:
    """How the inbox differs from what was sent. Each acknowledgement must have a row with the exact
    body, and each row must come from an attempt."""
    kept = Counter(
        bytes(body) for (body,) in query(url, "select body from messenger_pipeline.webhook_inbox")
    )
    attempts: Counter[bytes] = Counter()
    acknowledged: Counter[bytes] = Counter()
    for one in sent:
        attempts[one.body] += len(one.statuses)
        acknowledged[one.body] += one.statuses.count(200)
    return [
        *(f"lost {n} × {body[:300]!r}" for body, n in (acknowledged - kept).items()),
        *(f"never sent {n} × {body[:300]!r}" for body, n in (kept - attempts).items()),
    ]


def wait_until_drained(url: str) -> None:
    """Wait until the inbox has no pending delivery."""
    left = "select count(*) from messenger_pipeline.webhook_inbox where state = 'pending'"
    with psycopg.connect(url, autocommit=True) as connection:
        until(lambda: connection.execute(left).fetchone() == (0,), "the drain")
