"""quarantine: records that could not be used."""

import getpass
import os
import sys
from collections.abc import Iterator
from itertools import islice

import click
from pydantic_core import to_json
from rich.table import Table

from messenger_pipeline.commands.console import (
    counted,
    named_page,
    open_registry,
    out,
    print_error,
    shown,
)
from messenger_pipeline.db.pages import get_page
from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.quarantine import Quarantined, discard_quarantined, list_quarantined
from messenger_pipeline.errors import PipelineError, UsageError
from messenger_pipeline.quarantine import replay
from messenger_pipeline.settings import load_settings

_COLUMNS = ("id", "page_id", "source", "kind", "identity", "reason", "last_seen_at", "seen_count")
_PORTION = 1_000
_DISCARD_COLUMNS = ("resolved_at", "discarded_by", "discard_reason")


@click.group("quarantine")
def quarantine_group() -> None:
    """List, replay and discard records that could not be used."""


@quarantine_group.command("list")
@click.option("--page", "page_id", help="Only records of this page.")
@click.option("--discarded", is_flag=True, help="Show the discarded records instead.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object per line, with the record."
)
def quarantine_list(page_id: str | None, discarded: bool, as_json: bool) -> None:
    """Show the quarantined records, oldest first."""
    columns = _COLUMNS + (_DISCARD_COLUMNS if discarded else ())
    with open_registry() as database:
        found = list_quarantined(database, named_page(database, page_id), discarded=discarded)
        if as_json:
            for record in found:
                click.echo(to_json(record))
            return
        table = Table(*columns, box=None)
        for record in found:
            table.add_row(
                str(record.id), *(shown(getattr(record, column)) for column in columns[1:])
            )
        if page_id and not table.row_count:
            get_page(database, page_id)  # one that is not registered is misspelt
    nothing = "Nothing is discarded." if discarded else "Nothing is quarantined."
    out.print(table if table.row_count else nothing)


@quarantine_group.command("replay")
@click.argument("ids", nargs=-1, type=int)
@click.option("--page", "page_id", help="Replay all records of this page.")
@click.option("--all", "everything", is_flag=True, help="Replay all records.")
def quarantine_replay(ids: tuple[int, ...], page_id: str | None, everything: bool) -> None:
    """Try records again.

    Use it after an upgrade that understands them. Give ids, --page or --all. Exits with 1 if some
    still cannot be used; they stay quarantined. A discarded record is replayed if its id is given.
    """
    if not (ids or page_id or everything):
        raise UsageError("Give the records' ids, --page or --all.")
    resolved, left = 0, 0
    with open_registry() as database:
        for record in _chosen(database, ids, named_page(database, page_id)):
            reason = replay(database, record, load_settings().app_id)
            if reason is None:
                resolved += 1
            else:
                left += 1
                print_error(f"Warning: record {record.id} still cannot be used: {reason}")
    click.echo(f"{counted(resolved, 'record')} resolved, {left:,} left.")
    if left:
        sys.exit(PipelineError.exit_code)


@quarantine_group.command("discard")
@click.argument("ids", nargs=-1, type=int)
@click.option("--page", "page_id", help="Discard all records of this page.")
@click.option("--all", "everything", is_flag=True, help="Discard all records.")
@click.option("--reason", required=True, help="Why; it is kept with the records.")
@click.option("--by", default=lambda: _user(), help="Who. Default: the user of this system.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def quarantine_discard(
    ids: tuple[int, ...], page_id: str | None, everything: bool, reason: str, by: str, yes: bool
) -> None:
    """Set records aside for good.

    They are kept, with who discarded them, when and why, but no alert counts them any more, not
    even if Meta sends the same again. Give ids, --page or --all. A discarded record can still be
    replayed by its id.
    """
    if not (ids or page_id or everything):
        raise UsageError("Give the records' ids, --page or --all.")
    if not reason.strip():
        raise UsageError("Give a --reason: others see it in place of the record.")
    with open_registry() as database:
        page = named_page(database, page_id)
        found = [one.id for one in list_quarantined(database, page, list(ids) or None)]
        if len(found) > 1 and not yes:
            _confirm(len(found))
        discarded = sum(
            discard_quarantined(database, list(portion), by, reason) for portion in _portions(found)
        )
    missing = len(set(ids) - set(found))
    if missing:
        print_error(f"Warning: not in quarantine: {counted(missing, 'id')}.")
    click.echo(f"{counted(discarded, 'record')} discarded.")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # as in a container whose user has no name
        return f"user {os.getuid()}"


def _confirm(count: int) -> None:
    """Ask before several records are discarded. Raises UsageError where nobody can answer."""
    if not sys.stdin.isatty():
        raise UsageError(f"This discards {counted(count, 'record')}. Add --yes.")
    click.confirm(f"Discard {counted(count, 'record')}?", abort=True)


def _chosen(database: Database, ids: tuple[int, ...], page_id: str | None) -> Iterator[Quarantined]:
    """The records to replay; discarded ones only by their ids."""
    yield from list_quarantined(database, page_id, list(ids) or None)
    if ids:
        yield from list_quarantined(database, page_id, list(ids), discarded=True)


def _portions(ids: list[int]) -> Iterator[tuple[int, ...]]:
    """Portions that do not lock many rows at once."""
    rest = iter(ids)
    while portion := tuple(islice(rest, _PORTION)):
        yield portion
