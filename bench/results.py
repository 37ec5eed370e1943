"""What a run measured: medians, ratios, and the bars that they must meet. Pure."""

import operator
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from statistics import median

Key = tuple[str, str]  # a contestant and a scenario
_OPERATORS = {">=": operator.ge, "<=": operator.le, "<": operator.lt}


@dataclass(frozen=True)
class Pass:
    """One pass of a contestant through a scenario: `count` threads or deliveries in `seconds`.

    `figures` holds whatever else was measured, by the title of its column.
    """

    contestant: str
    scenario: str
    count: int
    seconds: float
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Threads or deliveries per second."""
        return self.count / self.seconds


@dataclass(frozen=True)
class Bar:
    """A value, None if it was not measured, and the bound that it must meet."""

    claim: str
    value: float | None
    comparison: str
    bound: float

    @property
    def verdict(self) -> str:
        assert self.value is not None
        return "pass" if _OPERATORS[self.comparison](self.value, self.bound) else "FAIL"


class Results:
    """All passes of a run: `rounds` by contestant, by scenario."""

    def __init__(self, passes: Iterable[Pass]) -> None:
        self.rounds: dict[str, dict[str, list[Pass]]] = {}
        for one in passes:
            contestants = self.rounds.setdefault(one.scenario, {})
            contestants.setdefault(one.contestant, []).append(one)

    def figure(self, key: Key, title: str) -> float | None:
        """The median of the rounds; of a figure whose title starts with "max" the maximum."""
        values = [one.figures[title] for one in self._get(key) if title in one.figures]
        summary = max if title.startswith("max") else median
        return summary(values) if values else None

    def ratio(self, one: Key, other: Key) -> float | None:
        """How many times the rate of the other: the median of the ratios of each round.

        Rates are compared within a round, because a busy machine slows down both.
        """
        pairs = zip(self._get(one), self._get(other), strict=False)
        ratios = [a.rate / b.rate for a, b in pairs]
        return median(ratios) if ratios else None

    def _get(self, key: Key) -> list[Pass]:
        contestant, scenario = key
        return self.rounds.get(scenario, {}).get(contestant, [])


def report(results: Results, baseline: str, bars: Iterable[Bar]) -> str:
    """A table for each scenario, with ratios to the baseline, and the bars that were measured."""
    lines = [line for scenario in results.rounds for line in _table(results, scenario, baseline)]
    lines.append("Bars")
    for bar in bars:
        if bar.value is not None:
            bound = f"{bar.comparison} {bar.bound:g}"
            lines.append(_row(bar.verdict, _cell(bar.value), bound, bar.claim))
    return "\n".join(lines)


def _table(results: Results, scenario: str, baseline: str) -> Iterator[str]:
    contestants = results.rounds[scenario]
    titles = list(dict.fromkeys(t for r in contestants.values() for one in r for t in one.figures))
    yield scenario
    yield _row("", "per second", f"x {baseline}", "slowest", "fastest", *titles)
    for contestant, rounds in contestants.items():
        key, rates = (contestant, scenario), [one.rate for one in rounds]
        ratio = results.ratio(key, (baseline, scenario))
        figures = [results.figure(key, title) for title in titles]
        cells = map(_cell, [median(rates), ratio, min(rates), max(rates), *figures])
        yield _row(contestant, *cells)
    yield ""


def _cell(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def _row(*cells: str) -> str:
    return "  " + "  ".join(f"{cell:<11}" for cell in cells).rstrip()
