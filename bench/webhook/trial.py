"""A contestant that runs with a database of its own, and what it has acknowledged so far."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bench.cluster import Cluster
from bench.runner import Failed
from bench.webhook import inbox
from bench.webhook.contestants import CONTESTANTS, Contestant, Running, started
from bench.webhook.deliveries import make_body
from bench.webhook.generator import Latency, Order, Outcome
from bench.webhook.sender import Generator, open_generator

FASTEST = 40_000
"""Deliveries that are prepared for each second at full load; a pass that sends them all earlier
ends there."""
_PROBES = 50
_WARM = 2000


@dataclass(frozen=True)
class Pass:
    """A load and what came of it: acknowledged, in so many seconds, with CPU seconds of the
    contestant; `applied` of the deliveries became events meanwhile."""

    contestant: str
    name: str
    acknowledged: int
    seconds: float
    cpu_seconds: float
    applied: int
    latency: Latency

    @property
    def rate(self) -> float:
        return self.acknowledged / self.seconds


class Trial:
    """Sends to a contestant, and holds it to its answers."""

    def __init__(
        self, name: str, cluster: Cluster, url: str, running: Running, generator: Generator
    ) -> None:
        self.url, self.running = url, running
        self.next = 1
        """Serial number of the next delivery."""
        self._name, self._cluster, self._generator = name, cluster, generator
        self._acknowledged = self._bytes = 0

    @property
    def contestant(self) -> Contestant:
        return CONTESTANTS[self._name]

    def warm_up(self) -> None:
        """What comes before all measurements: proof that answers mean durable rows, and enough
        of the same for plans and caches."""
        if self.contestant.keeps:
            inbox.check_settings(self.url)
            inbox.check_refused(self.running.port, make_body(0))
            with inbox.durability_required(self.url):
                bodies = [make_body(self.next + number) for number in range(_PROBES)]
                inbox.check_committed_first(self.url, self.running.port, bodies)
                self.next += _PROBES
                self._acknowledged += _PROBES
                self._bytes += sum(map(len, bodies))
                self.send(_PROBES * 10)
        self.send(_WARM)
        if self.contestant.drains:
            inbox.wait_until_drained(self.url)

    def send(self, count: int, seconds: float = 60.0, rate: float | None = None) -> Outcome:
        """Send up to so many deliveries; Failed unless exactly what was acknowledged is kept."""
        self._prepare(count, seconds, rate)
        outcome = self._send()
        self._check_rows()
        return outcome

    def measure(self, name: str, seconds: float, rate: float | None = None) -> Pass:
        """One pass: at full load, or so many a second."""
        count = max(1, int((rate or FASTEST) * seconds))
        self._prepare(count, seconds, rate)
        self._cluster.checkpoint()
        cpu, applied = self.running.cpu_seconds(), self._applied()
        outcome = self._send()
        found = Pass(
            contestant=self._name,
            name=name,
            acknowledged=outcome.answers["200"],
            seconds=outcome.seconds,
            cpu_seconds=self.running.cpu_seconds() - cpu,
            applied=self._applied() - applied,
            latency=outcome.latency,
        )
        self._check_rows()
        return found

    def _prepare(self, count: int, seconds: float, rate: float | None) -> None:
        self._generator.prepare(Order(self.running.port, self.next, count, seconds, rate))
        self.next += count

    def _send(self) -> Outcome:
        outcome = self._generator.send()
        if outcome.answers.keys() != {"200"}:
            raise Failed(f"answers by their status: {outcome.answers}")
        self._acknowledged += outcome.answers["200"]
        self._bytes += outcome.body_bytes
        return outcome

    def _check_rows(self) -> None:
        if self.contestant.keeps:
            inbox.check_rows(self.url, self._acknowledged, self._bytes)

    def _applied(self) -> int:
        return inbox.count_applied(self.url) if self.contestant.drains else 0


@contextmanager
def open_trial(name: str, cluster: Cluster) -> Iterator[Trial]:
    """A contestant, warm."""
    with (
        cluster.database() as url,
        started(name, cluster, url) as running,
        open_generator() as generator,
    ):
        trial = Trial(name, cluster, url, running, generator)
        trial.warm_up()
        yield trial
