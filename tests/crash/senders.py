"""Who delivers, as Meta does: signed, several at once, each again until it is answered with 200."""

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
from graph_simulator.activity import Happenings
from graph_simulator.deliveries import write_body
from graph_simulator.world import END
from tests.crash.databases import ask
from tests.crash.receiver import SECRET
from tests.crash.waiting import until

_PATIENCE = 5.0  # Meta's
_PAUSE = 0.01  # seconds: a load that leaves room for those who are killed and started
_TOGETHER = (1, 1, 1, 2, 3, 8)  # how many things one delivery tells


@dataclass(eq=False)
class Delivery:
    """A body, and how each attempt was answered; None: not at all."""

    body: bytes
    answers: list[int | None] = field(default_factory=list)

    @property
    def acknowledged(self) -> bool:
        return 200 in self.answers


def signed(body: bytes) -> dict[str, str]:
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    return {"Content-Type": "application/json", "X-Hub-Signature-256": f"sha256={signature}"}


def bodies_of(world: World, number: int, seed: int = 1) -> list[bytes]:
    """Deliveries of what happens next in a world, 400 ms one after the other."""
    happenings, now, found = Happenings(world, seed), END + timedelta(days=1), []
    for turn in range(number):
        now += timedelta(seconds=0.4)
        things = [happenings.happen(now) for _ in range(_TOGETHER[turn % len(_TOGETHER)])]
        found.append(write_body(things))
    return found


class Sender:
    """What happens in a world is delivered, a tenth of it twice, in any order."""

    def __init__(self, world: World, port: int, seed: int = 1) -> None:
        self.sent: list[Delivery] = []
        self.answers: Counter[int | None] = Counter()
        self._port = port
        self._happenings = Happenings(world, seed)
        self._chance = random.Random(seed)
        self._now = END + timedelta(days=1)
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def wait_for(self, more: int, status: int | None = 200) -> None:
        """Wait until so many more were answered so."""
        before = self.answers[status]
        until(lambda: self.answers[status] >= before + more, f"{more} answers of {status}")

    @contextmanager
    def sending(self, at_once: int = 4) -> Iterator[None]:
        """Deliver meanwhile; in the end all is acknowledged, unless something failed."""
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
            things = []
            for _ in range(self._chance.choice(_TOGETHER)):
                self._now += timedelta(milliseconds=self._chance.choice((1, 7, 400)))
                things.append(self._happenings.happen(self._now))
            found = [Delivery(write_body(things))]
            if self._chance.random() < 0.1 and self.sent:
                found.append(Delivery(self._chance.choice(self.sent).body))
            self.sent += found
            return found

    def _send(self) -> None:
        waiting: list[Delivery] = []
        connection: HTTPConnection | None = None
        while waiting or not self._stop.is_set():
            # What was not acknowledged comes again, but others may come before.
            if not waiting or (len(waiting) < 8 and not self._stop.is_set()):
                waiting += self._next()
            one = waiting.pop(0)
            connection = connection or HTTPConnection("127.0.0.1", self._port, timeout=_PATIENCE)
            status = post(connection, one.body)
            if status is None:
                connection = None
            self._note(one, status)
            if not one.acknowledged:
                waiting.append(one)
            self._stop.wait(_PAUSE)
        if connection:
            connection.close()

    def _note(self, delivery: Delivery, status: int | None) -> None:
        with self._lock:
            delivery.answers.append(status)
            self.answers[status] += 1


def post(connection: HTTPConnection, body: bytes) -> int | None:
    """The status of the answer; None, and the connection is closed, if there is none."""
    try:
        connection.request("POST", "/api/webhook", body, signed(body))
        answer = connection.getresponse()
        answer.read()
    except (OSError, HTTPException):
        connection.close()
        return None
    return answer.status


def faults_of_inbox(url: str, sent: list[Delivery]) -> list[str]:
    """In what the inbox is not what was sent: each acknowledgement is a row, byte for byte, and no
    row is anything but an attempt."""
    kept = Counter(bytes(body) for (body,) in ask(url, "select body from webhook_inbox"))
    attempts: Counter[bytes] = Counter()
    acknowledged: Counter[bytes] = Counter()
    for one in sent:
        attempts[one.body] += len(one.answers)
        acknowledged[one.body] += one.answers.count(200)
    return [
        *(f"lost {n} × {body[:300]!r}" for body, n in (acknowledged - kept).items()),
        *(f"never sent {n} × {body[:300]!r}" for body, n in (kept - attempts).items()),
    ]


def settle(url: str) -> None:
    """Wait until nothing waits in the inbox."""
    left = "select count(*) from webhook_inbox where state = 'pending'"
    with psycopg.connect(url, autocommit=True) as connection:
        until(lambda: connection.execute(left).fetchone() == (0,), "the drain")
