"""Medians, ratios, and the bars they are held against. Pure."""

from collections.abc import Iterable
from statistics import median

from bench.bars import Bar
from bench.runner import Case, Result

MEGABYTE = 1 << 20


class Results:
    """All passes of a run, looked at by case."""

    def __init__(self, results: Iterable[Result]) -> None:
        self._by: dict[tuple[Case, str], list[Result]] = {}
        for result in results:
            self._by.setdefault((result.case, result.name), []).append(result)

    def cases(self) -> list[tuple[Case, str]]:
        return list(self._by)

    def rounds(self, case: Case, name: str) -> list[Result]:
        return self._by.get((case, name), [])

    def seconds(self, case: Case, name: str) -> float | None:
        """The median of the rounds."""
        found = self.rounds(case, name)
        return median(result.seconds for result in found) if found else None

    def rate(self, case: Case, name: str) -> float | None:
        """Threads per second, of all pages together."""
        seconds = self.seconds(case, name)
        return case.threads * case.pages / seconds if seconds else None

    def ratio(self, one: tuple[Case, str], other: tuple[Case, str]) -> float | None:
        """How many times as fast, in threads per second: the median of each round's ratio.

        Of one round, because what slows a machine down slows both down.
        """
        pairs = zip(self.rounds(*one), self.rounds(*other), strict=False)
        ratios = [
            (a.case.threads * a.case.pages / a.seconds)
            / (b.case.threads * b.case.pages / b.seconds)
            for a, b in pairs
        ]
        return median(ratios) if ratios else None

    def allowed(self, case: Case, name: str) -> float | None:
        """How much of the time the latency alone takes: 1 is as fast as can be."""
        shares = [
            result.calls * case.latency_ms / 1000 / result.seconds
            for result in self.rounds(case, name)
        ]
        return median(shares) if shares and case.latency_ms else None

    def peak_rss(self, contestant: str) -> float | None:
        """Megabytes, the greatest of all rounds."""
        found = [
            result.peak_rss
            for results in self._by.values()
            for result in results
            if result.case.contestant == contestant
        ]
        return max(found) / MEGABYTE if found else None


def check_bars(results: Results, sizes: list[int], latency_ms: int) -> list[Bar]:
    """Those of the bars that a run of these sizes measured."""
    bars = []
    for threads in sizes:
        ours, floor = Case("ours", threads), Case("floor", threads)
        bars += [
            Bar(
                f"{threads:,} threads: a fresh load is at least 0.9 times as fast as the floor",
                results.ratio((ours, "fresh"), (floor, "fresh")),
                least=0.9,
            ),
            Bar(
                f"{threads:,} threads: an unchanged page is walked at least 4 times as fast",
                results.ratio((ours, "unchanged"), (ours, "fresh")),
                least=4,
            ),
        ]
    small, large = Case("ours", sizes[0]), Case("ours", sizes[-1])
    slow = Case("ours", sizes[0], latency_ms)
    command, dagster = results.peak_rss("command"), results.peak_rss("dagster")
    bars += [
        Bar(
            f"{sizes[-1]:,} threads load at the rate of {sizes[0]:,}, within a tenth",
            results.ratio((large, "fresh"), (small, "fresh")) if len(sizes) > 1 else None,
            least=0.9,
        ),
        Bar(
            f"at {latency_ms} ms a call, a fresh load reaches 95 % of what latency alone allows",
            results.allowed(slow, "fresh"),
            least=0.95,
        ),
        Bar(
            "a run takes less than 150 MB above an interpreter with Dagster loaded",
            command - dagster if command is not None and dagster is not None else None,
            most=150,
        ),
    ]
    return [bar for bar in bars if bar.value is not None]
