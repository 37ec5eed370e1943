"""`python -m bench.webhook`: rounds of all contestants, then memory and visibility."""

import click

from bench.cluster import Cluster, open_cluster
from bench.runner import Failed
from bench.webhook.contestants import CONTESTANTS
from bench.webhook.deliveries import PAGES
from bench.webhook.memory import BLOCK, measure_memory
from bench.webhook.report import report
from bench.webhook.results import FULL, HALF, RECEIVERS, Results, check_bars
from bench.webhook.trial import Pass, open_trial
from bench.webhook.visibility import measure_visibility


def _names(_context: click.Context, _option: click.Parameter, value: str) -> list[str]:
    names = [name for name in value.split(",") if name]
    unknown = set(names) - set(CONTESTANTS)
    if unknown:
        raise click.BadParameter(
            f"{', '.join(sorted(unknown))}: choose of {', '.join(CONTESTANTS)}"
        )
    return names


@click.command()
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--seconds", type=click.FloatRange(min=0.1), default=5.0, show_default=True,
              help="Of each pass; a round has two for each contestant.")  # fmt: skip
@click.option("--only", callback=_names, default=",".join(CONTESTANTS), show_default=True,
              help="Contestants, separated by commas.")  # fmt: skip
@click.option("--memory", "deliveries", type=click.IntRange(min=0), default=100_000,
              show_default=True, help="Deliveries while memory is watched; 0: none.")  # fmt: skip
@click.option("--visibility", "visible_seconds", type=click.FloatRange(min=0), default=20.0,
              show_default=True, help="Seconds of 50 deliveries each; 0: not at all.")  # fmt: skip
def main(
    rounds: int, seconds: float, only: list[str], deliveries: int, visible_seconds: float
) -> None:
    """Measure a receiver of webhooks under load."""
    if deliveries % BLOCK:
        raise click.BadParameter(f"a multiple of {BLOCK:,}", param_hint="--memory")
    try:
        results = _measure(rounds, seconds, only, deliveries, visible_seconds)
    except Failed as failed:
        raise click.ClickException(str(failed)) from None
    click.echo("\n" + report(results, check_bars(results)))


def _measure(
    rounds: int, seconds: float, only: list[str], deliveries: int, visible_seconds: float
) -> Results:
    with open_cluster(PAGES) as cluster:
        passes = [
            found
            for number in range(rounds)
            for name in in_turn(only, number)
            for found in _run(number, name, cluster, seconds)
        ]
        memory = [
            measure_memory(name, cluster, deliveries)
            for name in RECEIVERS
            if name in only and deliveries
        ]
        seen = (
            measure_visibility("draining", cluster, visible_seconds)
            if "draining" in only and visible_seconds
            else None
        )
    return Results(passes, memory, seen)


def in_turn(names: list[str], number: int) -> list[str]:
    """The order in a round: each time somebody else begins."""
    first = number % len(names)
    return names[first:] + names[:first]


def _run(number: int, name: str, cluster: Cluster, seconds: float) -> list[Pass]:
    """A contestant's part in a round: at full load, then at half of what that showed."""
    with open_trial(name, cluster) as trial:
        full = trial.measure(FULL, seconds)
        half = trial.measure(HALF, seconds, rate=full.rate / 2)
    for found in (full, half):
        click.echo(
            f"round {number + 1}: {name}, {found.name}: {found.rate:,.0f} a second,"
            f" p99 {found.latency.p99:.1f} ms",
            err=True,
        )
    return [full, half]


if __name__ == "__main__":
    main()
