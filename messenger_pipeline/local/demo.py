"""The demonstration: simulated pages synced by a real Dagster, and checked to the last message."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

from messenger_pipeline.db import inbox
from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.sessions import SyncSession, list_sessions
from messenger_pipeline.errors import PipelineError
from messenger_pipeline.local.simulated import (
    compare,
    live,
    register_pages,
    simulated_pages,
    simulated_settings,
    simulator_arguments,
)
from messenger_pipeline.local.stack import Stack, free_port, running_stack
from messenger_pipeline.settings import Settings

_PATIENCE_SECONDS = 600.0
_LIVE_PER_SECOND = 20.0  # messages, reactions, edits … while the demonstration lasts
_LIVE_SECONDS = 6.0  # that they go on after the syncs


@dataclass(frozen=True)
class PageSummary:
    """What one page's syncs did since a time, and what is stored of it now."""

    page_id: str
    name: str
    conversations: int
    events: int
    new_events: int
    seconds: float
    fetched: int


def demonstrate(console: Console, *, ui_port: int, conversations: int, page_count: int) -> None:
    """Sync every simulated page once while webhooks tell what happens there, and compare what
    landed with the simulator's truth.

    Raises PipelineError if a run fails or a message is missing, doubled or wrong.
    """
    settings = simulated_settings()
    console.print("Starting PostgreSQL, the simulated Graph API, the receiver and Dagster …")
    began = time.monotonic()
    with (
        running_stack(
            settings,
            ui_port=ui_port,
            receiver_port=free_port(),
            simulated=simulator_arguments(conversations, page_count),
            prepared=lambda data, graph: register_pages(settings, data, graph, console),
        ) as stack,
        Database(stack.data, schema=settings.database_schema) as database,
    ):
        console.print(f"Up after {time.monotonic() - began:.0f} s: http://127.0.0.1:{ui_port}")
        since = datetime.now(UTC)
        page_ids = [page["id"] for page in simulated_pages(stack.graph_url)]
        live(stack.graph_url, _LIVE_PER_SECOND)
        _sync_all(console, stack, database, ui_port, page_ids, since)
        _go_on_live(console, stack, database, since)
        # A thread that got a message moved to the head, perhaps past the walk: its webhook brought
        # the message, and the next sync brings what is older.
        _sync_all(console, stack, database, ui_port, page_ids, datetime.now(UTC))
        summaries = [_summary(database, page_id, since) for page_id in page_ids]
        console.print(_table(summaries))
        found = [compare(database, stack.graph_url, page_id, since) for page_id in page_ids]
        messages, others = (sum(one) for one in zip(*found, strict=True))
        console.print(
            f"[green]Every one of the simulator's {messages:,} messages is in PostgreSQL"
            f" exactly once, as it was last told, and so is each of {others:,} reactions, edits,"
            " reads and other events.[/]"
        )
        again = datetime.now(UTC)
        _sync_all(console, stack, database, ui_port, page_ids, again)
        if any(_wrote(one) for one in list_sessions(database, again)):
            raise PipelineError("A further sync wrote, although nothing had changed.")
        console.print(
            "Nothing had changed since: one more sync wrote no conversation and no event."
        )
    console.print(
        f"Ended after {time.monotonic() - began:.0f} s. {_where_next(settings)}", soft_wrap=True
    )


def _sync_all(
    console: Console,
    stack: Stack,
    database: Database,
    ui_port: int,
    page_ids: list[str],
    since: datetime,
) -> None:
    """One run of each page through the run queue; shows progress until all are complete."""
    from messenger_pipeline.defs import launch  # seconds to import

    _until(stack, lambda: set(page_ids) <= launch.list_partitions(), "the partitions")
    # A schedule's tick may have been first: one run a page is enough.
    launch.submit_syncs(ui_port, sorted(set(page_ids) - launch.unfinished_pages()))
    console.print(f"{len(page_ids)} runs are in Dagster's queue, one for each page.")
    shown = time.monotonic()

    def done() -> bool:
        nonlocal shown
        for run in launch.list_page_runs(since):
            if run.status in ("FAILURE", "CANCELED"):
                raise PipelineError(f"The run of page {run.page_id} failed: {run.failure}")
        sessions = list_sessions(database, since)
        if time.monotonic() - shown >= 3:
            shown = time.monotonic()
            complete = sum(1 for session in sessions if session.is_complete)
            console.print(
                f"  {sum(s.total_synced for s in sessions):,} conversations,"
                f" {sum(s.events_created for s in sessions):,} events; {complete} of"
                f" {len(page_ids)} pages complete"
            )
        finished = {session.page_id for session in sessions if session.is_complete}
        return finished >= set(page_ids) and not launch.unfinished_pages() & set(page_ids)

    _until(stack, done, "the syncs")


def _wrote(session: SyncSession) -> bool:
    return bool(session.inserted or session.updated or session.events_created)


def _go_on_live(console: Console, stack: Stack, database: Database, since: datetime) -> None:
    """Show deliveries coming in for a while, then wait until the last is applied."""
    ends = time.monotonic() + _LIVE_SECONDS
    while time.monotonic() < ends:
        stack.check()
        time.sleep(2)
        console.print(_live_line(stack, database, since))
    live(stack.graph_url, 0)

    def drained() -> bool:
        return not live(stack.graph_url).waiting and not inbox.waiting(database).deliveries

    _until(stack, drained, "the last deliveries")
    console.print(_live_line(stack, database, since))


def _live_line(stack: Stack, database: Database, since: datetime) -> str:
    told = live(stack.graph_url)
    span = datetime.now(UTC) - since + timedelta(seconds=1)
    applied = inbox.figures(database, span)
    return (
        f"  live: {told.happened:,} things happened, {told.acknowledged:,} deliveries"
        f" acknowledged, {applied.done:,} applied; from received to applied"
        f" {(applied.lag_median or 0) * 1000:.0f} ms in the median,"
        f" {(applied.lag_max or 0) * 1000:.0f} ms at most"
    )


def _until(stack: Stack, done: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not done():
        stack.check()
        if time.monotonic() > deadline:
            raise PipelineError(f"Waited {_PATIENCE_SECONDS:.0f} s for {what} in vain.")
        time.sleep(0.5)


def _summary(database: Database, page_id: str, since: datetime) -> PageSummary:
    sessions = list_sessions(database, since, page_id)
    [stored] = [row for row in database.rows("sync_statistics") if row["page_id"] == page_id]
    return PageSummary(
        page_id,
        stored["page_name"],
        conversations=stored["conversations"],
        events=stored["messages"],
        new_events=sum(session.events_created for session in sessions),
        seconds=sum(
            ((session.ended_at or session.updated_at) - session.started_at).total_seconds()
            for session in sessions
        ),
        fetched=sum(session.total_synced for session in sessions),
    )


def _table(summaries: list[PageSummary]) -> Table:
    table = Table(title="What landed", box=None, title_justify="left")
    for name in ("page", "name"):
        table.add_column(name, no_wrap=True)
    for name in ("conversations", "events", "new", "seconds", "conv./s"):
        table.add_column(name, justify="right")
    for one in summaries:
        table.add_row(
            one.page_id,
            one.name,
            f"{one.conversations:,}",
            f"{one.events:,}",
            f"{one.new_events:,}",
            f"{one.seconds:.1f}",
            f"{one.fetched / one.seconds:,.0f}" if one.seconds else "",
        )
    return table


def _where_next(settings: Settings) -> str:
    home = Path(os.path.relpath(settings.home))
    return (
        f"The data stays in {home}. Next: `make dev` keeps everything up, with Dagster's pages;"
        " the README tells how to sync pages of your own."
    )
