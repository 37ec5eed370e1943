"""db: the database's schema."""

import click

from messenger_pipeline import runtime
from messenger_pipeline.commands.console import counted, open_registry, require_consent
from messenger_pipeline.db import adoption, checks, migrate, roles
from messenger_pipeline.db.pool import Database
from messenger_pipeline.errors import PipelineError, UpgradeRefused, UsageError
from messenger_pipeline.settings import Settings, load_settings


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
@click.option(
    "--plan",
    is_flag=True,
    help="Say what an upgrade would do, and change nothing. Exits with 1 if it would refuse.",
)
@click.option(
    "--blank-plain-tokens",
    "blanks",
    is_flag=True,
    help="Empty the columns in which the replaced application keeps tokens in the clear. For when"
    " that application is switched off.",
)
@click.option("--yes", is_flag=True, help="With --blank-plain-tokens: do not ask.")
def db_upgrade(as_sql: bool, start: str, plan: bool, blanks: bool, yes: bool) -> None:
    """Upgrade the schema to the newest revision. Running it again changes nothing.

    The tables of the application that messenger-pipeline replaces are adopted where they are; it
    can go on writing meanwhile, and an upgrade that was interrupted goes on when it is run again.
    Otherwise it replaces only what an upgrade of messenger-pipeline made. Then it checks the stored
    rows. A failed check is reported, with exit code 1; the upgrade stays.
    """
    settings = load_settings()
    if start != "base" and not as_sql:
        raise UsageError("--from needs --sql. Without --sql the database's own revision is used.")
    if plan and blanks:
        raise UsageError(
            "--plan does not say what --blank-plain-tokens would do: give one of them."
        )
    if as_sql:
        click.echo(migrate.script_of_upgrade(settings.database_schema, start), nl=False)
        return
    with runtime.data_url(settings) as url:
        if plan:
            _print_plan(url, settings.database_schema)
            return
        if blanks and not yes:
            require_consent(
                "Empty the columns with plain tokens? The replaced application cannot work without"
                " them, and a downgrade then restores no token."
            )
        encrypt = _Encryption(settings)
        applied = migrate.upgrade(url, settings.database_schema, encrypt)
        newest = migrate.status(url, settings.database_schema).newest
        done = f"applied {', '.join(applied)}" if applied else "nothing to apply"
        click.echo(f"Schema at {newest}: {done}; functions and views are current.")
        if blanks:
            blanked = adoption.blank_tokens(url, settings.database_schema)
            click.echo(f"Emptied {counted(blanked, 'plain token')}.")
        with Database(url, schema=settings.database_schema) as database:
            found = migrate.verify(database)
    _report(found)


class _Encryption:
    """Encrypts tokens. The key is asked for when there is a token, not before."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __call__(self, token: str) -> str:
        return runtime.token_vault(self._settings).encrypt(token)


def _print_plan(url: str, schema: str) -> None:
    """Print what an upgrade would do. Raises UpgradeRefused if it would refuse."""
    status = migrate.status(url, schema)
    click.echo(f"Migrations: {', '.join(status.pending) or 'nothing to apply'}.")
    if not adoption.is_needed(url, schema):
        return
    plan = adoption.plan(url, schema)
    for sentence in plan.sentences:
        click.echo(f"- {sentence}")
    if plan.doubts:
        raise UpgradeRefused(" ".join(["The upgrade would be refused.", *plan.doubts]))


@db.command("downgrade")
@click.option("--to", default="base", show_default=True, help="The revision to return to.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def db_downgrade(to: str, yes: bool) -> None:
    """Return to an older schema. Conversations, events, pages with their tokens, and quarantined
    records are kept.

    Adopted tables are given back to the replaced application as they were, with every conversation
    and event. Rows that were merged stay merged; it says how many.
    """
    settings = load_settings()
    with runtime.data_url(settings) as url:
        is_adopted = adoption.is_adopted(url, settings.database_schema)
        if not yes:
            question = f"Downgrade to {to}? The state of the syncs is deleted;"
            if is_adopted:
                require_consent(f"{question} the replaced application gets its tables back.")
            else:
                require_consent(f"{question} the next sync is a full one.")
        undone = migrate.downgrade(url, settings.database_schema, to)
    # An adoption that was interrupted before the migrations has none of them to revert.
    nothing = "what the interrupted upgrade changed" if is_adopted else "nothing"
    click.echo(f"Downgraded: {', '.join(undone) or nothing}.")
    if is_adopted:
        click.echo("The replaced application has its tables back.")


@db.command("verify")
def db_verify() -> None:
    """Check the schema and the stored rows. Exits with 1 if a check fails.

    Each check has a line: ✓ or ✗, and how many rows or objects it found.
    """
    with open_registry() as database:
        found = migrate.verify(database)
        guides = checks.check_guides(database)
    failed = [one for one in guides if one.violations]
    for one in guides:
        passed = None if one.violations is None else not one.violations
        _line(passed, one.name, one.shown, one.says)
    _report(found, failed=len(failed), checked=len(guides))


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
        if adoption.is_needed(url, settings.database_schema):
            click.echo(
                "The replaced application's tables are not adopted, or not to the end. Run"
                " `messenger-pipeline db upgrade --plan`, then `messenger-pipeline db upgrade`."
            )
    if status.current is None:
        click.echo(f"No schema yet; the newest is {status.newest}.")
    else:
        click.echo(f"Schema at {status.current}; the newest is {status.newest}.")
    if status.pending:
        click.echo(f"Pending: {', '.join(status.pending)}. Run `messenger-pipeline db upgrade`.")


def _report(found: dict[str, str | None], *, failed: int = 0, checked: int = 0) -> None:
    """Print what each check found. Raises PipelineError if one failed, or one of `checked` others
    of which `failed` did."""
    for name, fault in found.items():
        _line(fault is None, name, "" if fault else "0 violations", fault or "")
    failed += sum(map(bool, found.values()))
    if failed:
        raise PipelineError(f"{failed} of {len(found) + checked} checks failed.")


def _line(passed: bool | None, name: str, shown: str, says: str) -> None:
    mark = "?" if passed is None else "✓" if passed else "✗"
    click.echo(f"{mark} {name:26} {shown:>17}  {says}".rstrip())
