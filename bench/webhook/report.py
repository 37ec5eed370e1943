"""The figures of a run, as text."""

from bench.bars import Bar
from bench.cells import number, row
from bench.webhook.results import FULL, HALF, MEGABYTE, SETTLED, Results, growth
from bench.webhook.trial import Pass


def report(results: Results, bars: list[Bar]) -> str:
    """Everything that a run found, ending with the bars."""
    blocks = [
        _full(results),
        _half(results),
        _memory(results),
        _visibility(results),
        ["Bars", *(row(bar.verdict, number(bar.value), bar.sentence) for bar in bars)],
    ]
    return "\n\n".join("\n".join(block) for block in blocks if len(block) > 1)


def _full(results: Results) -> list[str]:
    """Each contestant as fast as it can."""
    lines = [
        "Full load: acknowledged a second, times the bare route, the slowest and fastest round"
    ]
    lines += [
        row(
            name,
            number(results.rate(name)),
            number(results.ratio(name, "route")),
            _spread(results.rounds(name, FULL)),
        )
        for name in results.contestants()
    ]
    lines += [
        "",
        "Full load: p50, p95, p99 and greatest ms; ms of CPU a delivery; applied a second",
    ]
    for name in results.contestants():
        cost = results.middle(name, FULL, lambda one: 1000 * one.cpu_seconds / one.acknowledged)
        applied = results.middle(name, FULL, lambda one: one.applied / one.seconds)
        lines.append(row(name, *_latency(results, name, FULL), number(cost), number(applied)))
    return lines


def _half(results: Results) -> list[str]:
    """Each contestant at half of what it took in the same round."""
    lines = ["At half of its own maximum: a second; p50, p95, p99 and greatest ms"]
    for name in results.contestants():
        rate = number(results.rate(name, HALF))
        lines.append(row(name, rate, *_latency(results, name, HALF)))
    return lines


def _memory(results: Results) -> list[str]:
    lines = [f"Memory, MB: at the start, after {SETTLED:,} deliveries, at the end; the growth"]
    for memory in results.memory:
        settled = memory.after(min(SETTLED, memory.deliveries))
        values = [rss / MEGABYTE for rss in (memory.rss[0], settled, memory.rss[-1])]
        cells = [f"{value:.1f}" for value in values]
        lines.append(row(memory.contestant, *cells, number(growth(memory))))
    return lines


def _visibility(results: Results) -> list[str]:
    seen = results.visibility
    lines = ["Sent until visible, ms: p50, p95, p99 and greatest"]
    if seen:
        lines.append(row(*map(number, (seen.p50, seen.p95, seen.p99, seen.greatest))))
    return lines


def _latency(results: Results, contestant: str, name: str) -> list[str]:
    middles = [
        results.middle(contestant, name, lambda one: one.latency.p50),
        results.middle(contestant, name, lambda one: one.latency.p95),
        results.middle(contestant, name, lambda one: one.latency.p99),
    ]
    greatest = max((one.latency.greatest for one in results.rounds(contestant, name)), default=None)
    return [number(value) for value in (*middles, greatest)]


def _spread(passes: list[Pass]) -> str:
    rates = [one.rate for one in passes]
    return f"{number(min(rates))} to {number(max(rates))}"
