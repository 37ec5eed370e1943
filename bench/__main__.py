"""`python -m bench`: how fast a page is loaded, against a floor and against dlt."""

from collections.abc import Iterator

import click

from bench.loading import CONTESTANTS, DLT_PYTHON, SHARE, Case, open_stage, run_case
from bench.results import Bar, Pass, Results, report
from bench.rounds import parse_names, rotate, show


@click.command()
@click.option("--threads", "sizes", multiple=True, type=click.IntRange(min=1),
              default=(2000, 10_000), show_default=True,
              help="Threads of the page; can be repeated.")  # fmt: skip
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--only", default=",".join(CONTESTANTS), callback=parse_names(CONTESTANTS),
              show_default=True, help="Contestants, separated by commas.")  # fmt: skip
@click.option("--stored", type=click.IntRange(min=0), default=10_000_000, show_default=True,
              help="Events of other pages, in the scenario of full tables; 0 skips it. Filling"
                   " them takes long, and gigabytes.")  # fmt: skip
@click.option("--latency-ms", type=click.IntRange(min=0), default=300, show_default=True,
              help="Of each call, in the scenario with latency; 0 skips it.")  # fmt: skip
def main(
    sizes: tuple[int, ...], rounds: int, only: list[str], stored: int, latency_ms: int
) -> None:
    """Measure how fast pages of 25 messages a thread are loaded."""
    if "dlt" in only and not DLT_PYTHON.exists():
        click.echo("dlt is not installed and is left out. `make bench` installs it.")
        only = [name for name in only if name != "dlt"]
    ordered = sorted(set(sizes))
    passes: list[Pass] = []
    with open_stage(ordered, rounds) as (cluster, graph_url):
        if stored and "ours" in only:
            click.echo(f"Filling a database with {stored:,} events.", err=True)
            cluster.fill(stored)
        for number in range(rounds):
            for case in plan_round(ordered, rotate(only, number), stored, latency_ms):
                passes += show(number, run_case(cluster, graph_url, case, number))
    results = Results(passes)
    click.echo("\n" + report(results, "floor", list_bars(results, ordered, stored, latency_ms)))


def plan_round(sizes: list[int], names: list[str], stored: int, latency_ms: int) -> Iterator[Case]:
    """The cases of a round, in their order."""
    for threads in sizes:
        yield from (Case(name, threads) for name in names)
    if stored and "ours" in names:
        yield Case("ours", sizes[0], stored=stored)
    if latency_ms:
        yield from (Case(name, sizes[0], latency_ms) for name in names if name != "dlt")


def list_bars(results: Results, sizes: list[int], stored: int, latency_ms: int) -> Iterator[Bar]:
    for threads in sizes:
        ours, floor = Case("ours", threads), Case("floor", threads)
        fresh = ours.key("fresh")
        ratio = results.ratio(fresh, floor.key("fresh"))
        yield Bar(f"{threads:,} threads: a fresh load, against the floor", ratio, ">=", 0.9)
        ratio = results.ratio(ours.key("unchanged"), fresh)
        yield Bar(f"{threads:,} threads: an unchanged page, against a fresh load", ratio, ">=", 4)
    small, large = Case("ours", sizes[0]).key("fresh"), Case("ours", sizes[-1]).key("fresh")
    if small != large:
        claim = f"a fresh load of {sizes[-1]:,} threads, against {sizes[0]:,}"
        yield Bar(claim, results.ratio(large, small), ">=", 0.9)
    filled = Case("ours", sizes[0], stored=stored).key("fresh")
    if stored:
        claim = f"a fresh load into tables of {stored:,} events, against empty ones"
        yield Bar(claim, results.ratio(filled, small), ">=", 0.9)
    share = results.figure(Case("ours", sizes[0], latency_ms).key("fresh"), SHARE)
    yield Bar(f"% of a fresh load at {latency_ms} ms a call that is latency", share, ">=", 95)


if __name__ == "__main__":
    main()
