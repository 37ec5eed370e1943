"""What the commands share: the terminal, and the data's database."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import click
from rich.console import Console

from messenger_pipeline import runtime
from messenger_pipeline.db import migrate
from messenger_pipeline.db.pool import Database, check_reachable
from messenger_pipeline.settings import load_settings

# Piped, a table is as wide as it is. On a narrow terminal its lines go on below: an id that is cut
# short is of no use.
_TABLE = 160
out = Console(width=max(shutil.get_terminal_size().columns, _TABLE) if sys.stdout.isatty() else 240)
err = Console(stderr=True)


@contextmanager
def open_registry() -> Iterator[Database]:
    """The data's database, whose schema is current."""
    with runtime.open_database(load_settings(), timeout=10) as database:
        migrate.require_current(database)
        yield database


@contextmanager
def dagster_environment() -> Iterator[Database]:
    """The data's database, with the environment set for Dagster in this process."""
    from messenger_pipeline.local.stack import prepare_dagster

    settings = load_settings()
    with runtime.database_urls(settings) as (data, dagster):
        runtime.token_vault(settings)
        check_reachable(dagster)
        os.environ.update(prepare_dagster(settings, data, dagster))
        with Database(data, schema=settings.database_schema, timeout=10) as database:
            yield database


def shown(value: Any) -> str:
    """A value as a table shows it."""
    if value is None:
        return ""
    return f"{value:%Y-%m-%d %H:%M:%S}" if isinstance(value, datetime) else str(value)


def say_error(text: str) -> None:
    """Say on standard error what went wrong, or what to know."""
    click.echo(text if text.startswith(("Warning", "Partial")) else f"Error: {text}", err=True)
