"""The figures of a run, as text."""

from collections.abc import Iterator

from bench.bars import Bar
from bench.cells import number, row
from bench.results import Results
from bench.runner import PASSES, Case


def report(results: Results, sizes: list[int], latency_ms: int, bars: list[Bar]) -> str:
    """Everything that a run found, ending with the bars."""
    blocks = [
        *(_rates(results, threads) for threads in sizes),
        _latency(results, sizes[0], latency_ms),
        _scale(results, sizes),
        _memory(results),
        ["Bars", *(row(bar.verdict, number(bar.value), bar.sentence) for bar in bars)],
    ]
    return "\n\n".join("\n".join(block) for block in blocks if len(block) > 1)


def _rates(results: Results, threads: int) -> list[str]:
    """Each contestant on a page of one size, and how it compares with the floor."""
    lines = [f"{threads:,} threads: threads per second, and times the floor"]
    for name in PASSES:
        floor = Case("floor", threads), name
        for case in _cases(results, name):
            if case != Case(case.contestant, threads) or case.contestant == "dagster":
                continue
            rate, ratio = results.rate(case, name), results.ratio((case, name), floor)
            lines.append(
                row(
                    name,
                    case.contestant,
                    number(rate),
                    number(ratio),
                    _spread(results, case, name),
                )
            )
    return lines


def _latency(results: Results, threads: int, latency_ms: int) -> list[str]:
    lines = [
        f"{threads:,} threads, {latency_ms} ms a call: seconds, and how much of that is latency"
    ]
    for name in PASSES:
        for case in _cases(results, name):
            share = results.allowed(case, name)
            if share is not None:
                seconds = results.seconds(case, name)
                lines.append(row(name, case.contestant, number(seconds), f"{share:.1%}"))
    return lines


def _scale(results: Results, sizes: list[int]) -> list[str]:
    lines = ["Scale: times as fast, in threads per second"]
    for name in PASSES:
        small, large = Case("ours", sizes[0]), Case("ours", sizes[-1])
        two = Case("ours", sizes[0], pages=2)
        if len(sizes) > 1:
            ratio = results.ratio((large, name), (small, name))
            lines.append(row(name, f"{sizes[-1]:,} against {sizes[0]:,} threads", number(ratio)))
        if results.rounds(two, name):
            ratio = results.ratio((two, name), (small, name))
            lines.append(row(name, "two pages at once against one", number(ratio)))
    return lines


def _memory(results: Results) -> list[str]:
    named = {
        "ours": "the walk alone",
        "command": "messenger-pipeline sync",
        "dagster": "an interpreter with Dagster imported",
    }
    peaks = ((text, results.peak_rss(name)) for name, text in named.items())
    return [
        "Peak memory, MB",
        *(row(f"{peak:.0f}", text) for text, peak in peaks if peak is not None),
    ]


def _cases(results: Results, name: str) -> Iterator[Case]:
    return (case for case, of in results.cases() if of == name)


def _spread(results: Results, case: Case, name: str) -> str:
    found = [result.seconds for result in results.rounds(case, name)]
    return f"{min(found):.2f} to {max(found):.2f} s"
