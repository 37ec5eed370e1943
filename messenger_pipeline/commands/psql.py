"""psql: PostgreSQL's own terminal, on the database of the settings."""

import os
import shutil
import signal
import subprocess
import sys
from urllib.parse import unquote, urlsplit, urlunsplit

import click

from messenger_pipeline import runtime
from messenger_pipeline.commands.console import print_error
from messenger_pipeline.db.embedded import BUNDLED_PSQL
from messenger_pipeline.db.pool import own_schema, translated
from messenger_pipeline.db.server import accepts_options
from messenger_pipeline.errors import PipelineError, UsageError
from messenger_pipeline.local.simulation import simulated_settings
from messenger_pipeline.settings import load_settings


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.option("--demo", is_flag=True, help="Use the database of `demo` and `dev`.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[PSQL_ARGUMENTS]…")
def psql(demo: bool, arguments: tuple[str, ...]) -> None:
    """Open psql on the database.

    Arguments are passed to psql, for example: messenger-pipeline psql -c "table sync_statistics".
    An embedded server is started if need be. Exits with psql's exit code.
    """
    settings = simulated_settings() if demo else load_settings()
    if demo and not (settings.home / "postgres").exists():
        raise UsageError("There is no demo database. `messenger-pipeline demo` makes it.")
    program = _find_psql(prefer_bundled=settings.embedded)
    with runtime.data_url(settings) as url:
        address, environment = _without_password(url)
        with translated():
            has_search_path = accepts_options(url)
        if has_search_path:
            schemas = f"{settings.database_schema},{own_schema(settings.database_schema)}"
            environment["PGOPTIONS"] = f"-c search_path={schemas}"
        else:
            print_error(
                "A pooler is in between: write the schema before each name that is in"
                f" {own_schema(settings.database_schema)}."
            )
        # Ctrl-C cancels a query in psql; it must not end this process before psql ends.
        signal.signal(signal.SIGINT, lambda *_: None)
        done = subprocess.run(
            [program, address, *arguments], env={**os.environ, **environment}, check=False
        )
    sys.exit(done.returncode)


def _find_psql(*, prefer_bundled: bool) -> str:
    """The bundled psql is of the embedded server's version; another has the user's history and
    settings."""
    bundled = str(BUNDLED_PSQL) if BUNDLED_PSQL.exists() else None
    found = shutil.which("psql")
    program = (bundled or found) if prefer_bundled else (found or bundled)
    if program is None:
        raise PipelineError("psql is not installed. Install PostgreSQL's client programs.")
    return program


def _without_password(url: str) -> tuple[str, dict[str, str]]:
    """The URL without its password, and the environment that gives it: every user of the machine
    can read a process's arguments."""
    parts = urlsplit(url)
    if not parts.password:
        return url, {}
    user, _, host = parts.netloc.rpartition("@")
    address = urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}@{host}"))
    return address, {"PGPASSWORD": unquote(parts.password)}
