"""A contestant with a database of its own, and what is measured of it: full and half load, memory,
and when messages are visible.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import psutil
import psycopg
import uvloop

from bench.cluster import Cluster
from bench.contestants.program import KEY
from bench.processes import UVICORN, Failed, listening
from bench.results import Pass
from bench.webhook import inbox
from bench.webhook.deliveries import SECRET, make_body, make_request, mid_of
from bench.webhook.generator import Load, now, percentiles

CONTESTANTS = {
    "receiver": ("messenger_pipeline.cli", "serve", "--no-drain"),
    "draining": ("messenger_pipeline.cli", "serve"),
    "route": (*UVICORN, "bench.webhook.route:create_app"),
    "generator": ("bench.webhook.generator",),
}
"""The receiver without and with its drain, the bare route, and a server that stores nothing."""
_SETTINGS = {
    "MESSENGER_APP_SECRET": SECRET,
    "MESSENGER_VERIFY_TOKEN": "bench",
    "MESSENGER_TOKEN_KEY": KEY,
    "MESSENGER_GRAPH_URL": "http://127.0.0.1:9",  # no server listens there
}
FULL, HALF, MEMORY, VISIBLE = "full load", "half of its full load", "memory", "sent until visible"
BLOCK = 10_000  # deliveries between two looks at the memory
SETTLED = 20_000  # deliveries after which a receiver's memory must not grow
GROWTH = "MB grown"
_FASTEST = 40_000  # deliveries prepared for each second of full load
_RATE = 50.0
_PATIENCE = 30.0  # seconds after the last delivery was due
_EVENTS = b"""
    select message_id from contact_interaction_events
    where created_at > now() - make_interval(secs => %s)
"""


@dataclass
class Trial:
    """Sends deliveries to a contestant, and compares what it acknowledged with what it stored."""

    name: str
    cluster: Cluster
    url: str
    port: int
    pid: int
    next: int = 1  # serial number of the next delivery
    began: float = 0.0  # when on the clock the last load began
    acknowledged: int = 0
    body_bytes: int = 0

    def warm_up(self) -> None:
        """Prove that a 200 means a durable row, then fill plans and caches."""
        if self.name != "generator":
            unsigned = Load([make_request(self.port, make_body(0), signed=b"other bytes")], 60)
            uvloop.run(unsigned.send(self.port, connections=1))
            if not all(400 <= status < 500 for status in unsigned.statuses):
                raise Failed(f"{self.name} does not refuse a wrong signature")
            with inbox.durability_required(self.url):
                for count in (*[1] * 50, 500):
                    self.send("warm-up", count)
        self.send("warm-up", 2000)
        if self.name == "draining":
            inbox.wait_until_drained(self.url)

    def send(
        self, scenario: str, count: int, seconds: float = 600.0, rate: float | None = None
    ) -> Pass:
        """Send up to `count` deliveries. Raises Failed unless each one sent is acknowledged, and
        exactly what was acknowledged so far is stored."""
        bodies = [make_body(self.next + number) for number in range(count)]
        load = Load([make_request(self.port, body) for body in bodies], seconds, rate)
        self.next += count
        self.cluster.execute("checkpoint")
        uvloop.run(load.send(self.port))
        if load.statuses.keys() != {200}:
            raise Failed(f"responses by status: {dict(load.statuses)}")
        sent, self.began = load.statuses[200], load.began
        self.acknowledged += sent
        self.body_bytes += sum(map(len, bodies[:sent]))
        if self.name != "generator":
            inbox.check_rows(self.url, self.acknowledged, self.body_bytes)
        seconds = load.ended - load.began
        return Pass(self.name, scenario, sent, seconds, percentiles(load.latencies))

    def rss_mb(self) -> float:
        """Resident memory of the process and its children."""
        process = psutil.Process(self.pid)
        tree = process, *process.children(recursive=True)
        return sum(one.memory_info().rss for one in tree) / (1 << 20)


@contextmanager
def open_trial(name: str, cluster: Cluster) -> Iterator[Trial]:
    """A contestant, warm."""
    with cluster.database() as url:
        own = {"MESSENGER_HOME": str(cluster.folder), "MESSENGER_DATABASE_URL": url}
        with listening(cluster.folder, CONTESTANTS[name], _SETTINGS | own) as (port, pid):
            trial = Trial(name, cluster, url, port, pid)
            trial.warm_up()
            yield trial


def measure_loads(name: str, cluster: Cluster, seconds: float) -> Iterator[Pass]:
    """As fast as it answers, then at half of that rate."""
    with open_trial(name, cluster) as trial:
        full = trial.send(FULL, int(_FASTEST * seconds), seconds)
        yield full
        yield trial.send(HALF, max(1, int(full.rate / 2 * seconds)), seconds, full.rate / 2)


def measure_memory(name: str, cluster: Cluster, deliveries: int) -> Pass:
    """Resident memory before and after so many deliveries at full load."""
    with open_trial(name, cluster) as trial:
        rss, seconds = [trial.rss_mb()], 0.0
        for _ in range(deliveries // BLOCK):
            seconds += trial.send(MEMORY, BLOCK).seconds
            rss.append(trial.rss_mb())
    settled = rss[min(SETTLED // BLOCK, len(rss) - 1)]
    figures = {"MB before": rss[0], "MB settled": settled, "MB after": rss[-1]}
    if deliveries > SETTLED:
        figures[GROWTH] = rss[-1] - settled
    return Pass(name, MEMORY, deliveries, seconds, figures)


def measure_visibility(name: str, cluster: Cluster, seconds: float) -> Pass:
    """From when a delivery was due until another connection sees its message, at 50 a second.

    That connection polls every millisecond, which the latencies contain.
    """
    seen: dict[str, float] = {}
    with open_trial(name, cluster) as trial, ThreadPoolExecutor(1) as sender:
        first, count = trial.next, max(1, int(_RATE * seconds))
        due = {mid_of(first + number): number / _RATE for number in range(count)}
        start = now()
        sending = sender.submit(trial.send, VISIBLE, count, seconds, _RATE)
        with psycopg.connect(trial.url, autocommit=True) as connection:
            while len(seen) < count and now() < start + seconds + _PATIENCE:
                oldest = start + min(due[mid] for mid in due.keys() - seen.keys())
                events = connection.execute(_EVENTS, [now() - oldest]).fetchall()
                seen = dict.fromkeys({mid for (mid,) in events} & due.keys(), now()) | seen
                time.sleep(0.001)
        sent = sending.result()
    if len(seen) < count:
        raise Failed(f"{count - len(seen)} messages are not visible")
    latencies = [seen[mid] - trial.began - after for mid, after in due.items()]
    return Pass(name, VISIBLE, count, sent.seconds, percentiles(latencies))
