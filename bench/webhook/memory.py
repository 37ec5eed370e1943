"""Whether a receiver's memory grows with what it has received."""

from dataclasses import dataclass

from bench.cluster import Cluster
from bench.webhook.trial import open_trial

BLOCK = 10_000


@dataclass(frozen=True)
class Memory:
    """Resident bytes of a contestant's processes after each block of deliveries; the first
    before any, when it is warm."""

    contestant: str
    rss: tuple[int, ...]

    @property
    def deliveries(self) -> int:
        return (len(self.rss) - 1) * BLOCK

    def after(self, deliveries: int) -> int:
        return self.rss[deliveries // BLOCK]


def measure_memory(name: str, cluster: Cluster, deliveries: int) -> Memory:
    """Send so many deliveries at full load."""
    with open_trial(name, cluster) as trial:
        rss = [trial.running.rss()]
        for _ in range(deliveries // BLOCK):
            trial.send(BLOCK, seconds=600)
            rss.append(trial.running.rss())
    return Memory(name, tuple(rss))
