"""Shared by the commands: the terminal, and the database."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any

import click
from rich.console import Console

from messenger_pipeline import runtime
from messenger_pipeline.db import migrate, pages
from messenger_pipeline.db.pool import Database, check_reachable
from messenger_pipeline.settings import load_settings

# A table that is piped has its full width. On a narrow terminal its lines wrap: an id that is cut
# short is useless.
_TABLE = 160
out = Console(width=max(shutil.get_terminal_size().columns, _TABLE) if sys.stdout.isatty() else 240)
err = Console(stderr=True)


def named_page(database: Database, typed: str | None) -> str | None:
    """The id of the inbox that an option names by any of its ids; of two inboxes of a page the one
    that has the page's id itself. A page that is not registered may have rows, too."""
    found = [one.facebook_page_id for one in pages.find_pages(database, typed)] if typed else []
    return typed if typed in found or not found else found[0]


platform_option = click.option(
    "--platform",
    type=click.Choice(["messenger", "instagram"]),
    help="The inbox, where PAGE_ID is the id of a page with several.",
)


@contextmanager
def open_registry() -> Iterator[Database]:
    """The database. Raises SchemaError if its schema is not current."""
    with runtime.open_database(load_settings(), timeout=10) as database:
        migrate.require_current(database)
        yield database


@contextmanager
def dagster_environment() -> Iterator[Database]:
    """The database, with the environment set for Dagster in this process."""
    from messenger_pipeline.local.stack import prepare_dagster

    settings = load_settings()
    with runtime.database_urls(settings) as (data, dagster):
        runtime.token_vault(settings)
        check_reachable(dagster, "DAGSTER_PG_URL")
        os.environ.update(prepare_dagster(settings, data, dagster))
        with Database(data, schema=settings.database_schema, timeout=10) as database:
            yield database


def shown(value: Any) -> str:
    """A value as tables show it."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    is_count = isinstance(value, int | Decimal) and not isinstance(value, bool)
    return f"{value:,}" if is_count else str(value)


def counted(count: int, singular: str, plural: str | None = None) -> str:
    """A count with its noun: 1 record, 1,200 records."""
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"


def require_consent(question: str) -> None:
    """Ask a question. Ends the command with exit code 1 unless the answer is yes."""
    try:
        consents = click.confirm(question)
    except click.Abort as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise
        # Standard input has ended, as in a script.
        click.echo("\nNothing was changed: there was no answer. --yes answers the question.")
        raise click.exceptions.Exit(1) from None
    if not consents:
        click.echo("Nothing was changed.")
        raise click.exceptions.Exit(1)


def print_error(text: str) -> None:
    """Print an error, or what begins with Warning or Partial, on standard error."""
    click.echo(text if text.startswith(("Warning", "Partial")) else f"Error: {text}", err=True)
