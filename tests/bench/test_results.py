"""Medians and ratios, and the bars of both benchmarks."""

import pytest

from bench import __main__ as load
from bench.loading import SHARE, Case
from bench.results import Bar, Pass, Results, report
from bench.webhook import __main__ as webhook
from bench.webhook.trial import FULL, GROWTH, HALF, MEMORY, VISIBLE

OURS, FLOOR = ("ours", "fresh"), ("floor", "fresh")


def verdicts(bars: list[Bar]) -> list[tuple[float | None, str]]:
    return [(bar.value, bar.verdict) for bar in bars if bar.value is not None]


def webhook_bars(*passes: Pass) -> list[tuple[float | None, str]]:
    return verdicts(list(webhook.list_bars(Results(passes))))


def test_a_ratio_is_the_median_of_the_ratios_of_each_round() -> None:
    """A round in which the whole machine was slow counts like any other."""
    rounds = [(2.0, 1.0), (20.0, 10.0), (4.0, 1.0)]
    results = Results(
        Pass(*key, 2000, seconds)
        for pair in rounds
        for key, seconds in zip((OURS, FLOOR), pair, strict=True)
    )
    assert results.ratio(OURS, FLOOR) == 0.5


def test_pages_of_two_sizes_are_compared_by_threads_per_second() -> None:
    passes = [Pass("ours", "small", 2000, 2.0), Pass("ours", "large", 10_000, 10.0)]
    assert Results(passes).ratio(("ours", "large"), ("ours", "small")) == 1


def test_a_figure_is_the_median_of_the_rounds_and_a_maximum_the_maximum() -> None:
    rounds = [Pass(*OURS, 1, 1.0, {"p99 ms": value, "max ms": value}) for value in (1, 2, 9)]
    assert Results(rounds).figure(OURS, "p99 ms") == 2
    assert Results(rounds).figure(OURS, "max ms") == 9


def test_the_bars_of_a_load_fail_below_their_bounds_and_are_skipped_without_measurements() -> None:
    ours, floor, slow = Case("ours", 2000), Case("floor", 2000), Case("ours", 2000, 300)
    filled = Case("ours", 2000, stored=1000)
    results = Results(
        [
            Pass(*ours.key("fresh"), 2000, 2.0),
            Pass(*floor.key("fresh"), 2000, 1.0),
            Pass(*ours.key("unchanged"), 2000, 0.25),
            Pass(*filled.key("fresh"), 2000, 4.0),
            Pass(*slow.key("fresh"), 2000, 6.0, {SHARE: 95.0}),
        ]
    )
    bars = list(load.list_bars(results, [2000, 10_000], 1000, 300))
    assert verdicts(bars) == [(0.5, "FAIL"), (8.0, "pass"), (0.5, "FAIL"), (95.0, "pass")]


@pytest.mark.parametrize(("rate", "verdict"), [(1999, "FAIL"), (2000, "pass")])
def test_the_receiver_must_acknowledge_twice_what_the_bare_route_does(
    rate: int, verdict: str
) -> None:
    passes = Pass("route", FULL, 1000, 1.0), Pass("receiver", FULL, rate, 1.0)
    assert webhook_bars(*passes) == [(rate / 1000, verdict)]


def test_the_generator_is_compared_with_the_fastest_contestant_that_stores() -> None:
    rates = {"generator": 5000, "route": 1000, "draining": 2000}
    passes = [Pass(name, FULL, rate, 1.0) for name, rate in rates.items()]
    assert webhook_bars(*passes) == [(2.5, "FAIL")]


def test_latency_is_bounded_at_half_load_only() -> None:
    passes = [Pass("receiver", name, 1, 1.0, {"p99 ms": 100.0}) for name in (FULL, HALF)]
    assert webhook_bars(*passes) == [(100.0, "FAIL")]


def test_memory_and_visibility_are_bounded() -> None:
    passes = [
        Pass("receiver", MEMORY, 1, 1.0, {GROWTH: 5.0}),
        Pass("draining", MEMORY, 1, 1.0, {GROWTH: 6.0}),
        Pass("draining", VISIBLE, 1, 1.0, {"p50 ms": 99.0, "p99 ms": 500.0}),
    ]
    assert webhook_bars(*passes) == [(5.0, "pass"), (6.0, "FAIL"), (99.0, "pass"), (500.0, "FAIL")]


def test_a_report_has_a_row_for_each_contestant_and_for_each_bar_with_a_value() -> None:
    results = Results([Pass(*OURS, 300, 1.0, {"calls": 3.0}), Pass(*FLOOR, 100, 1.0)])
    bars = [Bar("ours is fast", 3.0, ">=", 2), Bar("not measured", None, ">=", 2)]
    assert [line.split() for line in report(results, "floor", bars).splitlines()] == [
        ["fresh"],
        ["per", "second", "x", "floor", "slowest", "fastest", "calls"],
        ["ours", "300", "3.00", "300", "300", "3.00"],
        ["floor", "100", "1.00", "100", "100", "-"],
        [],
        ["Bars"],
        ["pass", "3.00", ">=", "2", "ours", "is", "fast"],
    ]
