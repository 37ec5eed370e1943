"""quarantine: records that could not be used."""

import sys

import click
from pydantic_core import to_json
from rich.table import Table

from messenger_pipeline.commands.console import open_registry, out, say_error, shown
from messenger_pipeline.db.quarantine import list_quarantined
from messenger_pipeline.errors import PipelineError, UsageError
from messenger_pipeline.quarantine import replay

_COLUMNS = ("id", "page_id", "source", "kind", "identity", "reason", "last_seen_at", "seen_count")


@click.group("quarantine")
def quarantine_group() -> None:
    """Records that could not be used: kept with the reason, to be replayed."""


@quarantine_group.command("list")
@click.option("--page", "page_id", help="Of this page only.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, with the record.")
def quarantine_list(page_id: str | None, as_json: bool) -> None:
    """Show the records that wait, oldest first."""
    with open_registry() as database:
        found = list_quarantined(database, page_id)
        if as_json:
            for record in found:
                click.echo(to_json(record))
            return
        table = Table(*_COLUMNS, box=None)
        for record in found:
            table.add_row(*(shown(getattr(record, column)) for column in _COLUMNS))
    out.print(table if table.row_count else "Nothing is quarantined.")


@quarantine_group.command("replay")
@click.argument("ids", nargs=-1, type=int)
@click.option("--page", "page_id", help="All of this page.")
@click.option("--all", "everything", is_flag=True, help="All there are.")
def quarantine_replay(ids: tuple[int, ...], page_id: str | None, everything: bool) -> None:
    """Try the records with these ids again, as after an upgrade that knows them.

    Exits with 1 if some still cannot be used; they stay.
    """
    if not (ids or page_id or everything):
        raise UsageError("Which records? Give ids, --page or --all.")
    resolved, left = 0, 0
    with open_registry() as database:
        for record in list_quarantined(database, page_id, list(ids) or None):
            reason = replay(database, record)
            if reason is None:
                resolved += 1
            else:
                left += 1
                say_error(f"Warning: record {record.id} still cannot be used: {reason}")
    click.echo(f"{resolved} records resolved, {left} left.")
    if left:
        sys.exit(PipelineError.exit_code)
