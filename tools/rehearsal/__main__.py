"""Rehearses the move from the replaced application on an embedded server that is thrown away."""

import tempfile
from pathlib import Path
from typing import Any

import click

from graph_simulator import World
from messenger_pipeline.db.embedded import database_url, embedded_server
from tools.rehearsal.rehearse import Rehearsal, RehearsalFailed
from tools.replaced_application.shape import CHOICES, Shape


def _options(command: Any) -> Any:
    for name in ("age", "ids", "users", "constraint", "page_id"):
        command = click.option(
            f"--{name.replace('_', '-')}", type=click.Choice(CHOICES[name]),
            default=getattr(Shape(), name), show_default=True,
        )(command)  # fmt: skip
    return command


@click.command(help=__doc__)
@click.option("--conversations", default=300, show_default=True, help="Of the largest page.")
@click.option("--pages", default=2, show_default=True)
@_options
def main(conversations: int, pages: int, **shape: Any) -> None:
    with tempfile.TemporaryDirectory(prefix="mp") as folder:
        Path(folder).chmod(0o755)  # the server may run as another user
        with embedded_server(Path(folder)) as server:
            rehearsal = Rehearsal(
                database_url(server, "messenger"), database_url(server, "dagster"), folder,
                World(pages=pages, conversations=conversations), Shape(**shape), click.echo,
            )  # fmt: skip
            try:
                report = rehearsal.run()
            except RehearsalFailed as error:
                raise click.ClickException(str(error)) from None
    width = max(len(what) for what, _ in report)
    for what, how in report:
        click.echo(f"{what:{width}}  {how}")


if __name__ == "__main__":
    main()
