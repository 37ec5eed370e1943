"""`python -m bench`: rounds of all contestants, one after another, then medians and ratios."""

import click

from bench.report import report
from bench.results import Results, check_bars
from bench.runner import CONTESTANTS, DLT_PYTHON, Case, Result, run_case
from bench.stage import open_stage

LATENCY_CONTESTANTS = ("ours", "floor")
MEMORY_CONTESTANTS = ("command", "dagster")
"""Measured once, on the longest page: their memory is asked for, not their speed."""


def _names(_context: click.Context, _option: click.Parameter, value: str) -> list[str]:
    names = [name for name in value.split(",") if name]
    unknown = set(names) - set(CONTESTANTS)
    if unknown:
        raise click.BadParameter(
            f"{', '.join(sorted(unknown))}: choose of {', '.join(CONTESTANTS)}"
        )
    return names


@click.command()
@click.option("--threads", "sizes", multiple=True, type=click.IntRange(min=1),
              default=(2000, 10_000), show_default=True,
              help="Threads of the page; can be repeated.")  # fmt: skip
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--only", callback=_names, default=",".join(CONTESTANTS), show_default=True,
              help="Contestants, separated by commas.")  # fmt: skip
@click.option("--latency-ms", type=click.IntRange(min=0), default=300, show_default=True,
              help="Of each call, in the scenario with latency; 0: without it.")  # fmt: skip
def main(sizes: tuple[int, ...], rounds: int, only: list[str], latency_ms: int) -> None:
    """Measure how fast pages of 25 messages a thread are loaded."""
    if "dlt" in only and not DLT_PYTHON.exists():
        click.echo("dlt is left out: it is not installed. `make bench` installs it.")
        only = [name for name in only if name != "dlt"]
    ordered = sorted(set(sizes))
    results: list[Result] = []
    with open_stage(ordered) as stage:
        for number in range(rounds):
            for case in plan_round(ordered, only, latency_ms, first=number == 0):
                for result in run_case(stage, case):
                    results.append(result)
                    _say(number, result)
    found = Results(results)
    click.echo("\n" + report(found, ordered, latency_ms, check_bars(found, ordered, latency_ms)))


def plan_round(sizes: list[int], only: list[str], latency_ms: int, first: bool) -> list[Case]:
    """The cases of one round, in the order in which they run."""
    cases = [
        Case(name, threads) for threads in sizes for name in only if name not in MEMORY_CONTESTANTS
    ]
    if latency_ms:
        cases += [Case(name, sizes[0], latency_ms) for name in LATENCY_CONTESTANTS if name in only]
    if "ours" in only:
        cases.append(Case("ours", sizes[0], pages=2))
    if first:
        cases += [Case(name, sizes[-1]) for name in MEMORY_CONTESTANTS if name in only]
    return cases


def _say(number: int, result: Result) -> None:
    case = result.case
    text = f"round {number + 1}: {case.contestant}, {case.pages} x {case.threads:,} threads"
    text += f", {case.latency_ms} ms" if case.latency_ms else ""
    click.echo(f"{text}, {result.name}: {result.seconds:.2f} s, {result.calls} calls", err=True)


if __name__ == "__main__":
    main()
