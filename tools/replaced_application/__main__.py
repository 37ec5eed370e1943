"""Builds the replaced application's database in an empty schema:

python -m tools.replaced_application URL --age after --ids bigint --events 1000000
"""

import time
from typing import Any

import click
import psycopg

from tools.replaced_application.build import Generated, build
from tools.replaced_application.shape import CHOICES, Shape


def _options(command: Any) -> Any:
    for name, choices in CHOICES.items():
        default = getattr(Shape(), name)
        command = click.option(
            f"--{name.replace('_', '-')}", type=click.Choice(choices), default=default,
            show_default=default is not None,
        )(command)  # fmt: skip
    for name in ("shared_pages", "contested_tags"):
        command = click.option(f"--{name.replace('_', '-')}", is_flag=True)(command)
    return command


@click.command(help=__doc__)
@click.argument("url")
@click.option("--schema", default="public", show_default=True)
@click.option("--conversations", default=200, show_default=True)
@click.option("--events", default=2_000, show_default=True)
@click.option("--pages", default=4, show_default=True)
@_options
def main(url: str, schema: str, conversations: int, events: int, pages: int, **shape: Any) -> None:
    began = time.monotonic()
    try:
        build(url, Shape(**shape), Generated(conversations, events, pages), schema)
    except psycopg.Error as error:
        raise click.ClickException(
            f"{error}\nURL must be that of a database, such as"
            f" postgresql://user:password@host:5432/database, and its schema {schema} empty."
        ) from None
    click.echo(f"Built in {time.monotonic() - began:.0f} seconds.")


if __name__ == "__main__":
    main()
