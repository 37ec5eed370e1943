"""What is made of the figures of a receiver, and what it is held against."""

from bench.webhook.generator import Latency
from bench.webhook.memory import BLOCK, Memory
from bench.webhook.report import report
from bench.webhook.results import Results, check_bars, growth
from bench.webhook.trial import Pass

MEGABYTE = 1 << 20


def passed(contestant: str, rate: int, name: str = "full", p99: float = 10.0) -> Pass:
    return Pass(contestant, name, rate * 2, 2.0, 1.0, 0, Latency(1.0, 2.0, p99, p99))


def verdicts(results: Results) -> list[tuple[float | None, str]]:
    return [(bar.value, bar.verdict) for bar in check_bars(results)]


def test_a_ratio_is_the_median_of_each_rounds_ratio() -> None:
    """A round in which the whole machine was slow counts like any other."""
    rounds = [(300, 100), (20, 10), (900, 100)]
    results = Results(
        passed(name, rate)
        for receiver, route in rounds
        for name, rate in (("receiver", receiver), ("route", route))
    )
    assert results.ratio("receiver", "route") == 3


def test_the_receiver_has_to_acknowledge_twice_what_the_bare_route_does() -> None:
    route = passed("route", 1000)
    assert verdicts(Results([passed("receiver", 1999), route])) == [(1.999, "FAIL")]
    assert verdicts(Results([passed("receiver", 2000), route])) == [(2.0, "pass")]


def test_the_generator_is_held_against_the_fastest_that_keeps_deliveries() -> None:
    found = [passed("generator", 5000), passed("route", 1000)]
    found += [passed("draining", 2000), passed("no_insert", 4000)]
    assert verdicts(Results(found)) == [(2.5, "FAIL")]


def test_latency_is_bounded_at_half_load_and_at_half_load_only() -> None:
    found = [passed("receiver", 2000, p99=400), passed("receiver", 1000, "half", p99=100)]
    assert verdicts(Results(found)) == [(100, "FAIL")]
    assert verdicts(Results([passed("draining", 1000, "half", p99=99.9)])) == [(99.9, "pass")]


def test_memory_may_grow_until_it_has_settled() -> None:
    def memory(*megabytes: int) -> Memory:
        return Memory("receiver", tuple(one * MEGABYTE for one in megabytes))

    assert growth(memory(50, 70, 80, 90, 85)) == 5
    assert verdicts(Results([], [memory(50, 70, 80, 90, 85)])) == [(5, "pass")]
    assert verdicts(Results([], [memory(80, 80, 80, 86)])) == [(6, "FAIL")]
    assert verdicts(Results([], [memory(80, 80, 80)])) == []
    assert memory(80, 80, 80).deliveries == 2 * BLOCK


def test_visibility_is_bounded_in_the_middle_and_at_the_end() -> None:
    seen = Latency(p50=99.0, p95=200.0, p99=500.0, greatest=900.0)
    assert verdicts(Results([], visibility=seen)) == [(99.0, "pass"), (500.0, "FAIL")]


def test_a_report_has_a_line_for_each_bar_and_leaves_out_what_was_not_measured() -> None:
    results = Results([passed("receiver", 3000), passed("route", 1000)])
    text = report(results, check_bars(results))
    assert "pass          3.00          the receiver acknowledges" in text
    assert "Memory" not in text
    assert "visible" not in text
