"""A contestant with a database of its own, and what it has acknowledged so far."""

from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import uvloop

from bench.asgi import uvicorn
from bench.cluster import Cluster
from bench.contestants.program import KEY
from bench.processes import Failed, listening
from bench.results import Pass
from bench.webhook import inbox
from bench.webhook.deliveries import SECRET, make_body, make_request
from bench.webhook.generator import Load, percentiles

CONTESTANTS = {
    "receiver": ("messenger_pipeline.cli", "serve", "--no-drain"),
    "draining": ("messenger_pipeline.cli", "serve"),
    "route": uvicorn("bench.webhook.route:create_app"),
    "generator": ("bench.webhook.generator",),
}
"""The receiver without and with its drain, the bare route, and a server that stores nothing."""
_SETTINGS = {
    "MESSENGER_APP_SECRET": SECRET,
    "MESSENGER_VERIFY_TOKEN": "bench",
    "MESSENGER_TOKEN_KEY": KEY,
    "MESSENGER_GRAPH_URL": "http://127.0.0.1:9",  # no server listens there
}
_PROBES = 50
_WARM = 2000


class Trial:
    """Sends deliveries to a contestant, and compares what it acknowledged with what it stored."""

    def __init__(self, name: str, cluster: Cluster, url: str, port: int, pid: int) -> None:
        self.url = url
        self.next = 1  # serial number of the next delivery
        self.began = 0.0  # when on the clock the last load began
        self._name, self._cluster, self._port, self._pid = name, cluster, port, pid
        self._acknowledged = self._bytes = 0

    def warm_up(self) -> None:
        """Prove that a 200 means a durable row, then fill plans and caches."""
        if self._name != "generator":
            self._check_refused()
            with inbox.durability_required(self.url):
                for count in (*[1] * _PROBES, _PROBES * 10):
                    self.send("warm-up", count)
        self.send("warm-up", _WARM)
        if self._name == "draining":
            inbox.wait_until_drained(self.url)

    def send(
        self, scenario: str, count: int, seconds: float = 600.0, rate: float | None = None
    ) -> Pass:
        """Send up to `count` deliveries. Raises Failed unless each one sent is acknowledged, and
        exactly what was acknowledged so far is stored."""
        bodies = [make_body(self.next + number) for number in range(count)]
        load = Load([make_request(self._port, body) for body in bodies], seconds, rate)
        self.next += count
        self._cluster.checkpoint()
        uvloop.run(load.send(self._port))
        if load.statuses.keys() != {200}:
            raise Failed(f"responses by status: {dict(load.statuses)}")
        sent, self.began = load.statuses[200], load.began
        self._acknowledged += sent
        self._bytes += sum(map(len, bodies[:sent]))
        if self._name != "generator":
            inbox.check_rows(self.url, self._acknowledged, self._bytes)
        seconds = load.ended - load.began
        return Pass(self._name, scenario, sent, seconds, percentiles(load.latencies))

    def rss_mb(self) -> float:
        """Resident memory of the process and its children."""
        process = psutil.Process(self._pid)
        tree = [process, *process.children(recursive=True)]
        return sum(one.memory_info().rss for one in tree) / (1 << 20)

    def _check_refused(self) -> None:
        load = Load([make_request(self._port, make_body(0), signed=b"other bytes")], seconds=60)
        uvloop.run(load.send(self._port, connections=1))
        if not all(400 <= status < 500 for status in load.statuses):
            raise Failed(f"responses by status to a wrong signature: {dict(load.statuses)}")


@contextmanager
def open_trial(name: str, cluster: Cluster) -> Iterator[Trial]:
    """A contestant, warm."""
    with cluster.database() as url:
        own = {"MESSENGER_HOME": str(cluster.folder), "MESSENGER_DATABASE_URL": url}
        with listening(cluster.folder, CONTESTANTS[name], _SETTINGS | own) as (port, pid):
            trial = Trial(name, cluster, url, port, pid)
            trial.warm_up()
            yield trial
