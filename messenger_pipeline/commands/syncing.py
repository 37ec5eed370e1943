"""sync: one page, now, in this process."""

import json
import os
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column

from messenger_pipeline.commands.console import (
    counted,
    dagster_environment,
    err,
    platform_option,
    print_error,
)
from messenger_pipeline.db import lease, migrate, pages, sessions
from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.progress import list_progress
from messenger_pipeline.errors import DatabaseUnavailable, PipelineError
from messenger_pipeline.progress import describe, fraction_done

PARTIAL = 3
_LOOK_SECONDS = 0.5


@click.command()
@click.argument("page_id")
@platform_option
@click.option("--full", is_flag=True, help="Read every message again, not only what is new.")
@click.option(
    "--accept-deletions", is_flag=True,
    help="Look for conversations that Meta no longer has, and mark them as deleted, however many.",
)  # fmt: skip
@click.option(
    "--max-conversations",
    type=click.IntRange(min=1),
    help="Stop after this many conversations, at the end of an answer.",
)
@click.option(
    "--max-seconds",
    type=click.FloatRange(min=0, min_open=True),
    help="Stop after this many seconds, at the end of an answer.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object with the run's figures."
)
def sync(
    page_id: str,
    platform: str | None,
    full: bool,
    accept_deletions: bool,
    max_conversations: int | None,
    max_seconds: float | None,
    as_json: bool,
) -> None:
    """Sync a page now, as a Dagster run in this process.

    Resumes the page's open sync, or fetches what is new. Exits with 3 if there is more to do.
    """
    try:
        with dagster_environment() as database:
            migrate.require_current(database)
            page = pages.find_page(database, page_id, platform)
            # Checked before the run, so that Dagster records no failed run for it.
            page_id = page.facebook_page_id
            lease.require_free(database, page_id)
            from messenger_pipeline.defs import launch  # seconds to import

            if accept_deletions:
                sessions.accept_deletions(database, page_id)
            run_id = str(uuid.uuid4())
            with _progress(database, page_id, show=not as_json):
                figures = launch.run_sync(
                    page_id,
                    mode="full" if full else "sweep" if accept_deletions else "auto",
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
        click.echo(figures["summary"].rstrip(".") + ".")
    if figures["quarantined"]:
        print_error(
            f"Warning: {counted(figures['quarantined'], 'record')} could not be used."
            f" To see why: `messenger-pipeline quarantine list --page {page_id}`."
        )
    if figures["set_aside"]:
        print_error(
            f"Warning: {counted(figures['set_aside'], 'gap')} could not be read, and"
            f" {'is' if figures['set_aside'] == 1 else 'are'} tried again later. To see why:"
            f" `messenger-pipeline gaps list --page {page_id}`."
        )
    if figures["warning"]:
        print_error(f"Warning: {figures['warning']}")
    if figures["outcome"] == "truncated":
        sys.exit(PipelineError.exit_code)
    if figures["has_more"]:
        # A second --full would start over.
        again = "Run it again without --full to continue." if full else "Run it again to continue."
        print_error(f"Partial: {figures['stopped']}. {again}")
        sys.exit(PARTIAL)


def _summary(figures: dict[str, Any]) -> dict[str, Any]:
    names = (
        "sync_session_id", "mode", "outcome", "has_more", "fetched", "inserted", "updated",
        "unchanged", "events", "quarantined", "failed_batches", "api_calls", "duration_seconds",
        "conversations_per_second", "deleted", "waited_seconds", "stopped", "warning",
    )  # fmt: skip
    return {"success": figures["outcome"] != "truncated", **{name: figures[name] for name in names}}


@contextmanager
def _progress(database: Database, page_id: str, show: bool) -> Iterator[None]:
    """A progress bar of the page's session while the body runs, on a terminal only."""
    if not (show and err.is_terminal):
        yield
        return
    started, ended = datetime.now(UTC), threading.Event()
    # On a narrow terminal only the sentence is cut short.
    columns = (
        TextColumn("page {task.fields[page]}", table_column=Column(no_wrap=True)),
        BarColumn(20, table_column=Column(min_width=20)),
        TimeElapsedColumn(table_column=Column(no_wrap=True, min_width=7)),
        TextColumn("{task.description}", table_column=Column(no_wrap=True, ratio=1)),
    )
    with (
        _terminal() as console,
        Progress(*columns, console=console, transient=True, expand=True) as bar,
    ):
        task = bar.add_task("starting", total=None, page=escape(page_id))

        def follow() -> None:
            while not ended.wait(_LOOK_SECONDS):
                with suppress(
                    DatabaseUnavailable
                ):  # the run waits for the database; so does the bar
                    _show(bar, task, database, page_id, started)

        follower = threading.Thread(target=follow, daemon=True)
        follower.start()
        try:
            yield
        finally:
            ended.set()
            follower.join()


@contextmanager
def _terminal() -> Iterator[Console]:
    """The terminal that standard error is now: during the run Dagster redirects standard error
    into the run's log."""
    with os.fdopen(os.dup(sys.stderr.fileno()), "w") as terminal:
        yield Console(file=terminal)


def _show(bar: Progress, task: TaskID, database: Database, page_id: str, started: datetime) -> None:
    """Show the state that the session's events report."""
    moved = [one.sync_session_id for one in sessions.list_sessions(database, started, page_id)]
    if not moved:
        return
    now = datetime.now(UTC)
    session = max(list_progress(database, moved).values(), key=lambda one: one.updated_at)
    fraction = fraction_done(session)
    bar.update(
        task,
        total=None if fraction is None else 1.0,
        completed=fraction or 0.0,
        description=escape(describe(session, now)),
    )
