"""alerts: what is wrong now, or was."""

import click
from pydantic_core import to_json
from rich.table import Table

from messenger_pipeline.commands.console import open_registry, out, shown
from messenger_pipeline.db.alerts import list_alerts

_COLUMNS = ("severity", "kind", "page_id", "opened_at", "closed_at", "sent_at", "summary")


@click.command()
@click.option("--all", "everything", is_flag=True, help="Include alerts that are closed.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=1000, show_default=True,
    help="Show at most this many.",
)  # fmt: skip
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object per line, with every column."
)
def alerts(everything: bool, limit: int, as_json: bool) -> None:
    """Show the open alerts, errors first."""
    with open_registry() as database:
        found = list_alerts(database, open_only=not everything, limit=limit)
    if as_json:
        for alert in found:
            click.echo(to_json(alert))
        return
    columns = [name for name in _COLUMNS if everything or name != "closed_at"]
    table = Table(box=None)
    for name in columns:
        table.add_column(name, no_wrap=name in ("severity", "kind"))
    for alert in found:
        table.add_row(*(shown(getattr(alert, name)) for name in columns))
    out.print(table if found else "No alert is open.")
