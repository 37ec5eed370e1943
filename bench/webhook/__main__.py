"""`python -m bench.webhook`: the receiver of webhooks under load, against a bare route."""

from collections.abc import Iterator

import click

from bench.cluster import open_cluster
from bench.results import Bar, Pass, Results, report
from bench.rounds import parse_names, rotate, show
from bench.webhook import trial
from bench.webhook.deliveries import PAGES
from bench.webhook.trial import BLOCK, CONTESTANTS, FULL, GROWTH, HALF, MEMORY, SETTLED, VISIBLE

RECEIVERS = ("receiver", "draining")


@click.command()
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--seconds", type=click.FloatRange(min=0.1), default=5.0, show_default=True,
              help="Of each pass; a round has two for each contestant.")  # fmt: skip
@click.option("--only", default=",".join(CONTESTANTS), callback=parse_names(CONTESTANTS),
              show_default=True, help="Contestants, separated by commas.")  # fmt: skip
@click.option("--memory", "deliveries", type=click.IntRange(min=0), default=100_000,
              show_default=True, help="Deliveries while memory is watched; 0: none.")  # fmt: skip
@click.option("--visibility", "visible_seconds", type=click.FloatRange(min=0), default=20.0,
              show_default=True, help="Seconds of 50 deliveries each; 0 skips it.")  # fmt: skip
def main(
    rounds: int, seconds: float, only: list[str], deliveries: int, visible_seconds: float
) -> None:
    """Measure the receiver of webhooks under load."""
    if deliveries % BLOCK:
        raise click.BadParameter(f"must be a multiple of {BLOCK:,}", param_hint="--memory")
    passes: list[Pass] = []
    with open_cluster(PAGES) as cluster:
        for number in range(rounds):
            for name in rotate(only, number):
                passes += show(number, trial.measure_loads(name, cluster, seconds))
        for name in RECEIVERS:
            if name in only and deliveries:
                passes.append(trial.measure_memory(name, cluster, deliveries))
        if "draining" in only and visible_seconds:
            passes.append(trial.measure_visibility("draining", cluster, visible_seconds))
    results = Results(passes)
    click.echo("\n" + report(results, "route", list_bars(results)))


def list_bars(results: Results) -> Iterator[Bar]:
    storing = [(name, FULL) for name in CONTESTANTS if name != "generator"]
    ratios = [results.ratio(("generator", FULL), key) for key in storing]
    least = min((ratio for ratio in ratios if ratio is not None), default=None)
    yield Bar("the generator's rate, against the fastest that stores deliveries", least, ">=", 3)
    ratio = results.ratio(("receiver", FULL), ("route", FULL))
    yield Bar("the receiver, against the bare route", ratio, ">=", 2)
    for name in RECEIVERS:
        p99 = results.figure((name, HALF), "p99 ms")
        yield Bar(f"{name}: p99 ms at half of its full load", p99, "<", 100)
        growth = results.figure((name, MEMORY), GROWTH)
        yield Bar(f"{name}: MB grown after {SETTLED:,} deliveries", growth, "<=", 5)
    visible = "draining", VISIBLE
    yield Bar("ms until half are visible", results.figure(visible, "p50 ms"), "<", 100)
    yield Bar("ms until 99 of 100 are visible", results.figure(visible, "p99 ms"), "<", 500)


if __name__ == "__main__":
    main()
