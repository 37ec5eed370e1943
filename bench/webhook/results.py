"""Medians, ratios, and the bars they are held against. Pure."""

from collections.abc import Callable, Iterable
from statistics import median

from bench.bars import Bar
from bench.webhook.contestants import CONTESTANTS
from bench.webhook.generator import Latency
from bench.webhook.memory import Memory
from bench.webhook.trial import Pass

FULL, HALF = "full", "half"
RECEIVERS = ("receiver", "draining")
MEGABYTE = 1 << 20
SETTLED = 20_000
"""Deliveries after which a receiver's memory is to stay as it is."""
_FLAT = 5.0


class Results:
    """All that a run found."""

    def __init__(
        self,
        passes: Iterable[Pass],
        memory: Iterable[Memory] = (),
        visibility: Latency | None = None,
    ) -> None:
        self.memory, self.visibility = list(memory), visibility
        self._by: dict[tuple[str, str], list[Pass]] = {}
        for found in passes:
            self._by.setdefault((found.contestant, found.name), []).append(found)

    def contestants(self) -> list[str]:
        return list(dict.fromkeys(contestant for contestant, _ in self._by))

    def rounds(self, contestant: str, name: str) -> list[Pass]:
        return self._by.get((contestant, name), [])

    def middle(self, contestant: str, name: str, figure: Callable[[Pass], float]) -> float | None:
        """The median of the rounds."""
        found = self.rounds(contestant, name)
        return median(map(figure, found)) if found else None

    def rate(self, contestant: str, name: str = FULL) -> float | None:
        """Acknowledged a second."""
        return self.middle(contestant, name, lambda found: found.rate)

    def ratio(self, one: str, other: str) -> float | None:
        """How many times as many a second at full load: the median of each round's ratio.

        Of one round, because what slows a machine down slows both down.
        """
        pairs = zip(self.rounds(one, FULL), self.rounds(other, FULL), strict=False)
        ratios = [a.rate / b.rate for a, b in pairs]
        return median(ratios) if ratios else None

    def headroom(self) -> float | None:
        """How many times as many the generator sends as the fastest that keeps them takes."""
        keeping = [name for name in self.contestants() if CONTESTANTS[name].keeps]
        ratios = [self.ratio("generator", name) for name in keeping]
        return min((ratio for ratio in ratios if ratio is not None), default=None)


def growth(memory: Memory) -> float | None:
    """Megabytes between when a receiver has settled and the end; None if it was not sent enough."""
    if memory.deliveries <= SETTLED:
        return None
    return (memory.rss[-1] - memory.after(SETTLED)) / MEGABYTE


def check_bars(results: Results) -> list[Bar]:
    """Those of the bars that a run measured."""
    seen = results.visibility
    bars = [
        Bar(
            "the generator sends at least 3 times what the fastest that keeps them takes",
            results.headroom(),
            least=3,
        ),
        Bar(
            "the receiver acknowledges at least 2 times what the bare route does",
            results.ratio("receiver", "route"),
            least=2,
        ),
        *(
            Bar(
                f"{name}: p99 below 100 ms at half of its own maximum",
                results.middle(name, HALF, lambda found: found.latency.p99),
                below=100,
            )
            for name in RECEIVERS
        ),
        *(
            Bar(
                f"{memory.contestant}: at most {_FLAT:.0f} MB more after"
                f" {memory.deliveries:,} deliveries than after {SETTLED:,}",
                growth(memory),
                most=_FLAT,
            )
            for memory in results.memory
        ),
        Bar(
            "half of the messages are visible within 100 ms of being sent",
            seen.p50 if seen else None,
            below=100,
        ),
        Bar("and 99 of 100 within 500 ms", seen.p99 if seen else None, below=500),
    ]
    return [bar for bar in bars if bar.value is not None]
