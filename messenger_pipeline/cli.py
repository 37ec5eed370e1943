"""The command line. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 partial (run again to go on),
4 a sync of this page is in progress, 5 the page's owner must act.
"""

import json
import os
import signal
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TextIO

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from messenger_pipeline import runtime
from messenger_pipeline.db import load, migrate, pages
from messenger_pipeline.db.pool import Database
from messenger_pipeline.errors import PipelineError, UsageError
from messenger_pipeline.settings import load_settings
from messenger_pipeline.vault import new_key

PARTIAL = 3

# Piped, a table is as wide as it is: whoever reads it is no terminal.
_out = Console(width=None if sys.stdout.isatty() else 240)
_err = Console(stderr=True)


def main() -> None:
    """Run a command; errors are said in words and end with their exit code."""
    # Asked to end, a command ends as at Ctrl-C: what it started ends with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(cli.main(standalone_mode=False))
    except PipelineError as error:
        _say_error(str(error))
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(UsageError.exit_code)
    except click.exceptions.Exit as ended:
        sys.exit(ended.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _say_error("Interrupted.")
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read our output went away, as `head` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="messenger-pipeline")
def cli() -> None:
    """Messenger conversations of Facebook pages, in PostgreSQL.

    Settings come from MESSENGER_… variables or .env; see the README.
    """


# -- Schema ---------------------------------------------------------------------------------------


@cli.group()
def db() -> None:
    """The database's schema."""


@db.command("upgrade")
@click.option("--sql", "as_sql", is_flag=True, help="Print the SQL instead; needs no database.")
@click.option(
    "--from", "start", default="base", show_default=True, help="With --sql: the revision it is at."
)
def db_upgrade(as_sql: bool, start: str) -> None:
    """Bring the schema up to date. Running it again changes nothing."""
    settings = load_settings()
    if as_sql:
        click.echo(migrate.script_of_upgrade(settings.database_schema, start), nl=False)
        return
    with runtime.data_url(settings) as url:
        applied = migrate.upgrade(url, settings.database_schema)
        newest = migrate.status(url, settings.database_schema).newest
    done = f"applied {', '.join(applied)}" if applied else "nothing to apply"
    click.echo(f"Schema at {newest}: {done}; functions and views are current; checks passed.")


@db.command("downgrade")
@click.option("--to", default="base", show_default=True, help="The revision to go back to.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def db_downgrade(to: str, yes: bool) -> None:
    """Take the schema back. Conversations, events and pages stay."""
    if not yes:
        click.confirm(
            f"Take the schema back to {to}? Sync state and quarantine are lost.", abort=True
        )
    settings = load_settings()
    with runtime.data_url(settings) as url:
        undone = migrate.downgrade(url, settings.database_schema, to)
    click.echo(f"Taken back: {', '.join(undone) or 'nothing'}.")


@db.command("verify")
def db_verify() -> None:
    """Check the stored rows against what must always hold."""
    with _database() as database:
        found = migrate.verify(database)
    for name, fault in found.items():
        click.echo(f"{'FAILED' if fault else 'ok':6} {name}{': ' + fault if fault else ''}")
    if any(found.values()):
        raise PipelineError(f"{sum(map(bool, found.values()))} of {len(found)} checks failed.")


@db.command("status")
def db_status() -> None:
    """Show which migrations the database has."""
    settings = load_settings()
    with runtime.data_url(settings) as url:
        status = migrate.status(url, settings.database_schema)
    click.echo(f"Schema at {status.current or 'nothing'}, newest is {status.newest}.")
    if status.pending:
        click.echo(f"Pending: {', '.join(status.pending)}. Run `messenger-pipeline db upgrade`.")


# -- Pages ----------------------------------------------------------------------------------------


@cli.group("pages")
def pages_group() -> None:
    """The registry of pages."""


@pages_group.command("add")
@click.argument("page_id")
@click.option("--name", help="Instead of the name that Facebook gives.")
@click.option("--user-id", help="The page's owner in your application.")
@click.option(
    "--platform",
    type=click.Choice(["messenger", "instagram"]),
    default="messenger",
    show_default=True,
)
@click.option(
    "--token-file", type=click.File(), default="-", help="Where the token is; else standard input."
)
def pages_add(
    page_id: str, name: str | None, user_id: str | None, platform: str, token_file: TextIO
) -> None:
    """Register a page, or give it a new token, which makes it active again.

    The token is checked against the API and stored encrypted.
    """
    if not page_id.isdigit():
        raise UsageError(f"{page_id} is no page id: Facebook's are digits only.")
    if token_file.isatty():
        click.echo(f"Page access token of {page_id}, ended by Enter: ", nl=False, err=True)
    token = token_file.readline().strip()
    if not token:
        raise UsageError("No token given. Pipe it in, or name its file with --token-file.")
    settings = load_settings()
    with _database() as database:
        vault = runtime.token_vault(settings)
        with runtime.graph_api(settings).client(token) as client:
            profile = client.fetch_page(page_id).content
            client.fetch_conversations(page_id, platform, limit=1, messages=0)
        page = pages.register_page(
            database,
            page_id,
            name=name or profile.get("name"),
            user_id=user_id,
            platform=platform,
            token_encrypted=vault.encrypt(token),
        )
    click.echo(f"Page {page_id} ({page.name}) is registered; its token works.")


@pages_group.command("list")
def pages_list() -> None:
    """Show the pages."""
    with _database() as database:
        found = pages.list_pages(database)
    table = Table(box=None)
    for name in ("page", "name", "platform", "status", "last synced", "next sync"):
        table.add_column(name, no_wrap=name in ("page", "platform"))
    for page in found:
        status = f"{page.status}: {page.status_reason}" if page.status_reason else page.status
        table.add_row(
            page.facebook_page_id, page.name, page.platform, status,
            _time(page.last_synced_at), _time(page.next_sync_at),
        )  # fmt: skip
    _out.print(
        table if found else "No page is registered. `messenger-pipeline pages add` adds one."
    )


@pages_group.command("remove")
@click.argument("page_id")
def pages_remove(page_id: str) -> None:
    """Stop syncing a page and forget its token. Its conversations stay."""
    with _database() as database:
        pages.set_page_status(database, page_id, "removed")
    click.echo(f"Page {page_id} is removed from the registry; its conversations are kept.")


# -- Syncing --------------------------------------------------------------------------------------


@cli.command()
@click.argument("page_id")
@click.option("--full", is_flag=True, help="Walk all threads anew, not only what is new.")
@click.option(
    "--max-conversations", type=click.IntRange(min=1), help="End after this many threads."
)
@click.option(
    "--max-seconds", type=click.FloatRange(min=0, min_open=True), help="End after this long."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def sync(
    page_id: str,
    full: bool,
    max_conversations: int | None,
    max_seconds: float | None,
    as_json: bool,
) -> None:
    """Sync a page, as a Dagster run in this process.

    Goes on with what is open, else fetches what is new. Exits with 3 if there is more to do.
    """
    try:
        with _dagster_environment() as database:
            migrate.require_current(database)
            page = pages.get_page(database, page_id)
            from messenger_pipeline.defs import launch  # seconds to import

            run_id = str(uuid.uuid4())
            with _progress(database, page.facebook_page_id, show=not as_json):
                figures = launch.sync_here(
                    page.facebook_page_id,
                    mode="full" if full else "auto",
                    max_conversations=max_conversations,
                    max_seconds=max_seconds,
                    run_id=run_id,
                )
    except PipelineError as error:
        if as_json:
            click.echo(json.dumps({"success": False, "error": str(error)}))
        raise
    if as_json:
        click.echo(json.dumps(_summary(figures)))
    else:
        click.echo(figures["summary"] + ".")
    if figures["quarantined"]:
        _say_error(
            f"Warning: {figures['quarantined']} records could not be used; they are kept in"
            " quarantined_records."
        )
    if figures["has_more"]:
        _say_error(f"Partial: {figures['stopped']}. Run it again to go on.")
        sys.exit(PARTIAL)


def _summary(figures: dict[str, Any]) -> dict[str, Any]:
    names = (
        "sync_session_id", "mode", "has_more", "fetched", "inserted", "updated", "unchanged",
        "events", "quarantined", "failed_batches", "api_calls", "duration_seconds",
        "conversations_per_second", "stopped",
    )  # fmt: skip
    return {"success": True, **{name: figures[name] for name in names}}


@contextmanager
def _progress(database: Database, page_id: str, show: bool) -> Iterator[None]:
    """A bar of the page's session while the body runs, on a terminal only."""
    if not (show and _err.is_terminal):
        yield
        return
    began, ended = datetime.now(UTC), threading.Event()
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
        TextColumn("conversations, {task.fields[events]} events"), TimeElapsedColumn(),
    )  # fmt: skip
    with Progress(*columns, console=_err, transient=True) as bar:
        task = bar.add_task(f"page {page_id}", total=None, events=0)

        def follow() -> None:
            while not ended.wait(0.5):
                for session in load.list_sessions(database, began, page_id):
                    bar.update(task, completed=session.total_synced, events=session.events_created)

        follower = threading.Thread(target=follow, daemon=True)
        follower.start()
        try:
            yield
        finally:
            ended.set()
            follower.join()


@cli.command()
def status() -> None:
    """Show the syncs that are open, and every page with what is stored of it."""
    with _database() as database, database.transaction() as connection:
        for view in ("active_syncs", "sync_statistics"):
            cursor = connection.execute(f"select * from {view} order by page_id")  # noqa: S608
            names = [column.name for column in cursor.description or ()]
            rows = cursor.fetchall()
            _out.print(f"[bold]{view}[/bold]: {len(rows)}")
            for row in rows:
                shown = {n: v for n, v in zip(names, row, strict=True) if v is not None}
                _out.print(
                    "  " + ", ".join(f"{n} {_time(v)}" for n, v in shown.items()), soft_wrap=True
                )


# -- Processes ------------------------------------------------------------------------------------


@cli.command()
@click.option("--port", default=8001, show_default=True)
@click.option("--seed", default=1, show_default=True, help="Another seed, another world.")
@click.option("--pages", "page_count", type=click.IntRange(min=1), default=3, show_default=True)
@click.option(
    "--conversations", type=click.IntRange(min=1), default=300, show_default=True,
    help="Threads of the first page; the others have fewer.",
)  # fmt: skip
@click.option(
    "--latency-ms", type=click.IntRange(min=0), default=0, help="Wait before each answer."
)
@click.option("--app-secret", help="Require appsecret_proof made with this secret.")
def simulate(
    port: int,
    seed: int,
    page_count: int,
    conversations: int,
    latency_ms: int,
    app_secret: str | None,
) -> None:
    """Serve a simulated Graph API until Ctrl-C."""
    import uvicorn

    from messenger_pipeline.simulator import World, create_app
    from messenger_pipeline.stack import require_free_port

    require_free_port(port, "--port")
    world = World(seed, page_count, conversations)
    app = create_app(world, latency=latency_ms / 1000, app_secret=app_secret)
    click.echo(f"Simulated Graph API: export MESSENGER_GRAPH_URL=http://127.0.0.1:{port}")
    for page in world.pages.values():
        click.echo(f"  echo {page.token} | messenger-pipeline pages add {page.id}")
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


@cli.command()
@click.option("--ui-port", default=3000, show_default=True, help="Dagster's UI.")
@click.option(
    "--real", is_flag=True, help="Your own settings' database and API, nothing simulated."
)
@click.option("--conversations", type=click.IntRange(min=1), default=3000, show_default=True)
@click.option("--pages", "page_count", type=click.IntRange(min=1), default=5, show_default=True)
def dev(ui_port: int, real: bool, conversations: int, page_count: int) -> None:
    """Run everything on this machine until Ctrl-C, with Dagster's UI."""
    from messenger_pipeline.demo import serve

    serve(_out, ui_port=ui_port, real=real, conversations=conversations, page_count=page_count)


@cli.command()
@click.option("--ui-port", default=3000, show_default=True, help="Dagster's UI.")
@click.option("--conversations", type=click.IntRange(min=1), default=3000, show_default=True)
@click.option("--pages", "page_count", type=click.IntRange(min=1), default=5, show_default=True)
def demo(ui_port: int, conversations: int, page_count: int) -> None:
    """Sync simulated pages through Dagster, check every message, and end."""
    from messenger_pipeline.demo import demonstrate

    demonstrate(_out, ui_port=ui_port, conversations=conversations, page_count=page_count)


@cli.command()
def key() -> None:
    """Print a new key for MESSENGER_TOKEN_KEY."""
    click.echo(new_key())


# -- Shared ---------------------------------------------------------------------------------------


@contextmanager
def _database() -> Iterator[Database]:
    with runtime.open_database(load_settings(), timeout=10) as database:
        migrate.require_current(database)
        yield database


@contextmanager
def _dagster_environment() -> Iterator[Database]:
    """The data's database, with the environment set for Dagster in this process."""
    from messenger_pipeline.stack import prepare_dagster

    settings = load_settings()
    with runtime.database_urls(settings) as (data, dagster):
        runtime.token_vault(settings)
        os.environ.update(prepare_dagster(settings, data, dagster))
        with Database(data, schema=settings.database_schema, timeout=10) as database:
            yield database


def _time(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:%Y-%m-%d %H:%M:%S}" if isinstance(value, datetime) else str(value)


def _say_error(text: str) -> None:
    click.echo(text if text.startswith(("Warning", "Partial")) else f"Error: {text}", err=True)


if __name__ == "__main__":
    main()
