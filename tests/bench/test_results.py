"""What is made of the figures."""

from bench.results import Results, check_bars
from bench.runner import Case, Result

OURS, FLOOR = Case("ours", 2000), Case("floor", 2000)


def passed(case: Case, seconds: float, name: str = "fresh", calls: int = 20) -> Result:
    return Result(case, name, seconds, calls, 100 << 20)


def test_a_ratio_is_the_median_of_each_rounds_ratio() -> None:
    """A round in which the whole machine was slow counts like any other."""
    rounds = [(2.0, 1.0), (20.0, 10.0), (4.0, 1.0)]
    results = Results(
        passed(case, seconds)
        for ours, floor in rounds
        for case, seconds in ((OURS, ours), (FLOOR, floor))
    )
    assert results.ratio((OURS, "fresh"), (FLOOR, "fresh")) == 0.5


def test_pages_of_two_sizes_are_compared_by_threads_per_second() -> None:
    large = Case("ours", 10_000)
    results = Results([passed(OURS, 2.0), passed(large, 10.0)])
    assert results.ratio((large, "fresh"), (OURS, "fresh")) == 1


def test_what_latency_alone_allows_is_its_share_of_the_time() -> None:
    slow = Case("ours", 2000, latency_ms=300)
    assert Results([passed(slow, 8.0)]).allowed(slow, "fresh") == 0.75


def test_a_bar_fails_below_its_least_and_is_left_out_where_it_was_not_measured() -> None:
    results = Results([passed(OURS, 2.0), passed(FLOOR, 1.0), passed(OURS, 0.25, "unchanged")])
    bars = check_bars(results, [2000], 0)
    assert [(bar.value, bar.verdict) for bar in bars] == [(0.5, "FAIL"), (8.0, "pass")]
