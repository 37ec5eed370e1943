"""What the command lines of the benchmarks share."""

from collections.abc import Callable, Iterable, Iterator

import click

from bench.results import Pass


def parse_names(known: Iterable[str]) -> Callable[..., list[str]]:
    """A callback for an option with names of contestants, separated by commas."""

    def parse(_context: click.Context, _option: click.Parameter, value: str) -> list[str]:
        if not set(value.split(",")) <= set(known):
            raise click.BadParameter(f"{value!r}: choose from {', '.join(known)}")
        return value.split(",")

    return parse


def rotate(names: list[str], number: int) -> list[str]:
    """The order of a round: each round starts with the next contestant."""
    first = number % max(1, len(names))
    return names[first:] + names[:first]


def show(number: int, passes: Iterable[Pass]) -> Iterator[Pass]:
    """The passes of a round, each printed to standard error as it ends."""
    for one in passes:
        text = f"{one.contestant}, {one.scenario}: {one.rate:,.0f} per second"
        click.echo(f"round {number + 1}: {text}", err=True)
        yield one
