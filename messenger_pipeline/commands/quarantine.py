"""quarantine: records that could not be used."""

import sys

import click
from pydantic_core import to_json
from rich.table import Table

from messenger_pipeline.commands.console import counted, open_registry, out, print_error, shown
from messenger_pipeline.db.quarantine import list_quarantined
from messenger_pipeline.errors import PipelineError, UsageError
from messenger_pipeline.quarantine import replay

_COLUMNS = ("id", "page_id", "source", "kind", "identity", "reason", "last_seen_at", "seen_count")


@click.group("quarantine")
def quarantine_group() -> None:
    """List and replay records that could not be used."""


@quarantine_group.command("list")
@click.option("--page", "page_id", help="Only records of this page.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object per line, with the record."
)
def quarantine_list(page_id: str | None, as_json: bool) -> None:
    """Show the quarantined records, oldest first."""
    with open_registry() as database:
        found = list_quarantined(database, page_id)
        if as_json:
            for record in found:
                click.echo(to_json(record))
            return
        table = Table(*_COLUMNS, box=None)
        for record in found:
            table.add_row(
                str(record.id), *(shown(getattr(record, column)) for column in _COLUMNS[1:])
            )
    out.print(table if table.row_count else "Nothing is quarantined.")


@quarantine_group.command("replay")
@click.argument("ids", nargs=-1, type=int)
@click.option("--page", "page_id", help="Replay all records of this page.")
@click.option("--all", "everything", is_flag=True, help="Replay all records.")
def quarantine_replay(ids: tuple[int, ...], page_id: str | None, everything: bool) -> None:
    """Try records again.

    Use it after an upgrade that understands them. Give ids, --page or --all. Exits with 1 if some
    still cannot be used; they stay quarantined.
    """
    if not (ids or page_id or everything):
        raise UsageError("Give the records' ids, --page or --all.")
    resolved, left = 0, 0
    with open_registry() as database:
        for record in list_quarantined(database, page_id, list(ids) or None):
            reason = replay(database, record)
            if reason is None:
                resolved += 1
            else:
                left += 1
                print_error(f"Warning: record {record.id} still cannot be used: {reason}")
    click.echo(f"{counted(resolved, 'record')} resolved, {left:,} left.")
    if left:
        sys.exit(PipelineError.exit_code)
