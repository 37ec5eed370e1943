"""db: the database's schema."""

import click

from messenger_pipeline import runtime
from messenger_pipeline.commands.console import open_registry, require_consent
from messenger_pipeline.db import migrate, roles
from messenger_pipeline.db.pool import Database
from messenger_pipeline.errors import PipelineError, UsageError
from messenger_pipeline.settings import load_settings


@click.group()
def db() -> None:
    """Upgrade, check and downgrade the database schema."""


@db.command("upgrade")
@click.option(
    "--sql",
    "as_sql",
    is_flag=True,
    help="Print the SQL script instead of running it. Needs no database.",
)
@click.option(
    "--from",
    "start",
    default="base",
    show_default=True,
    help="With --sql: the revision that the database has now.",
)
def db_upgrade(as_sql: bool, start: str) -> None:
    """Upgrade the schema to the newest revision. Running it again changes nothing.

    It replaces only what an upgrade of messenger-pipeline made, then checks the stored rows. A
    failed check is reported, with exit code 1; the upgrade stays.
    """
    settings = load_settings()
    if start != "base" and not as_sql:
        raise UsageError("--from needs --sql. Without --sql the database's own revision is used.")
    if as_sql:
        click.echo(migrate.script_of_upgrade(settings.database_schema, start), nl=False)
        return
    with runtime.data_url(settings) as url:
        applied = migrate.upgrade(url, settings.database_schema)
        newest = migrate.status(url, settings.database_schema).newest
        done = f"applied {', '.join(applied)}" if applied else "nothing to apply"
        click.echo(f"Schema at {newest}: {done}; functions and views are current.")
        with Database(url, schema=settings.database_schema) as database:
            found = migrate.verify(database)
    _report(found)


@db.command("downgrade")
@click.option("--to", default="base", show_default=True, help="The revision to return to.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def db_downgrade(to: str, yes: bool) -> None:
    """Return to an older schema. Conversations, events, pages with their tokens, and quarantined
    records are kept."""
    if not yes:
        require_consent(
            f"Downgrade to {to}? The state of the syncs is deleted; the next sync is a full one."
        )
    settings = load_settings()
    with runtime.data_url(settings) as url:
        undone = migrate.downgrade(url, settings.database_schema, to)
    click.echo(f"Downgraded: {', '.join(undone) or 'nothing'}.")


@db.command("verify")
def db_verify() -> None:
    """Check the stored rows. Exits with 1 if a check fails."""
    with open_registry() as database:
        _report(migrate.verify(database))


@db.command("grant-read")
@click.argument("role")
def db_grant_read(role: str) -> None:
    """Let a role read conversations, events, pages and syncs.

    ROLE exists already. It sees no token, no raw delivery and nothing of the internal schema, and
    changes nothing. Each upgrade lets it read what is new. sql/roles.sql makes roles for syncs and
    the receiver, too.
    """
    with open_registry() as database:
        roles.grant_role(database, role, "reader")
    click.echo(f"The role {role} may read the tables and views.")


@db.command("status")
def db_status() -> None:
    """Show the database's schema revision and pending migrations."""
    settings = load_settings()
    with runtime.data_url(settings) as url:
        status = migrate.status(url, settings.database_schema)
    if status.current is None:
        click.echo(f"No schema yet; the newest is {status.newest}.")
    else:
        click.echo(f"Schema at {status.current}; the newest is {status.newest}.")
    if status.pending:
        click.echo(f"Pending: {', '.join(status.pending)}. Run `messenger-pipeline db upgrade`.")


def _report(found: dict[str, str | None]) -> None:
    """Print what each check found. Raises PipelineError if one failed."""
    for name, fault in found.items():
        click.echo(f"{'FAILED' if fault else 'ok':6} {name}{': ' + fault if fault else ''}")
    if any(found.values()):
        raise PipelineError(f"{sum(map(bool, found.values()))} of {len(found)} checks failed.")
