"""The demo: simulated pages, synced by a real Dagster and compared to the last message."""

import os
import shlex
import shutil
import sys
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
from messenger_pipeline.local.comparison import Compared, compare
from messenger_pipeline.local.rounds import Round, stored_table
from messenger_pipeline.local.simulation import (
    get_live_traffic,
    register_pages,
    set_live_traffic,
    simulated_pages,
    simulated_settings,
    simulator_arguments,
)
from messenger_pipeline.local.stack import Stack, free_port, running_stack

_PATIENCE_SECONDS = 600.0
_PROGRESS_SECONDS = 3.0
_LIVE_PER_SECOND = 20.0  # messages, reactions, edits … during the first two rounds
_LIVE_SECONDS = 6.0  # of the second round
_QUERY = "select page_id, page_name, conversations, messages from sync_statistics"


@dataclass(frozen=True)
class _Demo:
    """What the rounds share."""

    console: Console
    stack: Stack
    database: Database
    ui_port: int
    pages: dict[str, str]  # the simulated pages' names by their ids

    def show(self, text: str | Table) -> None:
        self.console.print(text, soft_wrap=isinstance(text, str))

    def until(self, done: Callable[[], bool], what: str) -> None:
        """Wait until `done`. Raises PipelineError after ten minutes, or if a process ended."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not done():
            self.stack.check()
            if time.monotonic() > deadline:
                raise PipelineError(f"Waited {_PATIENCE_SECONDS:.0f} s for {what}. Giving up.")
            time.sleep(0.5)


def demonstrate(console: Console, *, ui_port: int, conversations: int, page_count: int) -> None:
    """Sync every simulated page while webhooks deliver what happens there, and compare what is
    stored with what happened at the simulator.

    Raises PipelineError if a run fails or a message is missing, doubled or wrong.
    """
    settings = simulated_settings()
    console.print("The demo takes one to three minutes on two cores. It needs no network.")
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
        pages = {page["id"]: page["name"] for page in simulated_pages(stack.graph_url)}
        demo = _Demo(console, stack, database, ui_port, pages)
        demo.show(
            f"Started after {time.monotonic() - began:.0f} s."
            f" Dagster's pages, until the demo ends: http://127.0.0.1:{ui_port}"
        )
        _play(demo)
    console.print(f"\nThe demo took {time.monotonic() - began:.0f} s. Every process has ended.")
    console.print(_where_next(settings.home), soft_wrap=True)


def _play(demo: _Demo) -> None:
    """The four rounds, with live traffic during the first two."""
    since = datetime.now(UTC)
    before = sum(row["messages"] for row in demo.database.rows("sync_statistics"))
    set_live_traffic(demo.stack.graph_url, _LIVE_PER_SECOND)
    demo.show(
        f"\n[bold]1. First sync: {_what_is_read_first(demo)}[/]\n"
        f"Meanwhile {_LIVE_PER_SECOND:.0f} events a second (messages, reactions, edits, reads …)"
        " happen on the pages, and webhooks deliver them.\n"
        "A conversation that a webhook brought first counts as changed. A conversation that moves"
        " to the head of the list meanwhile may be read by the second sync only."
    )
    _sync_all(demo, since)

    demo.show(
        "\n[bold]2. Live webhooks: no sync, deliveries alone[/]\n"
        "A delivery can carry several events, and some are sent twice, as Meta does."
    )
    _receive_live(demo, since)

    # A thread that gets a message moves to the head of the list, perhaps past the walk: its webhook
    # brings the message, and the next sync brings what is older.
    demo.show(
        "\n[bold]3. Second sync: threads that were updated since the first[/]\n"
        "It reads them from ten minutes before the first sync on, with what that did not reach."
    )
    _sync_all(demo, datetime.now(UTC))

    demo.show(
        "\n[bold]4. Third sync: nothing has happened since the second[/]\n"
        "It reads recently updated threads again, and should write nothing."
    )
    again = datetime.now(UTC)
    _sync_all(demo, again)
    if any(_wrote(one) for one in list_sessions(demo.database, again)):
        raise PipelineError("The third sync wrote rows, although nothing had happened.")
    demo.show("[green]It wrote no conversation and no event.[/]")

    demo.show("\n[bold]What is stored now[/]")
    found = {
        page_id: compare(demo.database, demo.stack.graph_url, page_id, since)
        for page_id in demo.pages
    }
    demo.show(stored_table(demo.database, demo.pages, found))
    synced = sum(one.events_created for one in list_sessions(demo.database, since))
    demo.show(_verdict(found, before, synced))


def _what_is_read_first(demo: _Demo) -> str:
    if any(row["last_synced_at"] for row in demo.database.rows("sync_statistics")):
        return "what is new since an earlier demo (delete its folder to begin with nothing)"
    return "every conversation of every page"


def _sync_all(demo: _Demo, since: datetime) -> None:
    """One run of each page through Dagster's queue; shows progress, and what each page brought."""
    from messenger_pipeline.defs import launch  # seconds to import

    page_ids = set(demo.pages)
    demo.until(lambda: page_ids <= launch.list_partitions(), "the pages' partitions")
    # The schedule may have started some already: one run a page is enough.
    launch.submit_syncs(demo.ui_port, sorted(page_ids - launch.unfinished_pages()))
    progress = _Progress(demo)

    def done() -> bool:
        for run in launch.list_page_runs(since):
            if run.status in ("FAILURE", "CANCELED"):
                raise PipelineError(f"The run of page {run.page_id} failed: {run.failure}")
        now = Round.of(demo.database, demo.pages, since)
        complete = now.is_complete and not launch.unfinished_pages() & page_ids
        progress.report(now.progress, at_once=complete)
        return complete

    demo.until(done, "the syncs")
    demo.show(Round.of(demo.database, demo.pages, since).table())


class _Progress:
    """Shows how far a round is, when that has changed and at most every three seconds."""

    def __init__(self, demo: _Demo) -> None:
        self._demo = demo
        self._began = self._shown_at = time.monotonic()
        self._shown = ""

    def report(self, text: str, *, at_once: bool) -> None:
        now = time.monotonic()
        due = at_once or now - self._shown_at >= _PROGRESS_SECONDS
        if due and text != self._shown:
            self._shown, self._shown_at = text, now
            self._demo.show(f"  {text} ({now - self._began:.0f} s)")


def _wrote(session: SyncSession) -> bool:
    return bool(session.inserted or session.updated or session.events_created)


def _receive_live(demo: _Demo, since: datetime) -> None:
    """Show deliveries coming in for a while, then wait until the last is applied."""
    ends = time.monotonic() + _LIVE_SECONDS
    while time.monotonic() < ends:
        demo.stack.check()
        time.sleep(2)
        demo.show(_live_line(demo, since))
    set_live_traffic(demo.stack.graph_url, 0)

    def drained() -> bool:
        sent = get_live_traffic(demo.stack.graph_url).waiting == 0
        return sent and not inbox.count_due(demo.database).deliveries

    demo.until(drained, "the last deliveries")
    demo.show(_live_line(demo, since))


def _live_line(demo: _Demo, since: datetime) -> str:
    traffic = get_live_traffic(demo.stack.graph_url)
    applied = inbox.get_figures(demo.database, datetime.now(UTC) - since + timedelta(seconds=1))
    return (
        f"  since the start: {traffic.events:,} events happened,"
        f" {traffic.acknowledged:,} deliveries acknowledged, {applied.done:,} applied;"
        " from received to applied"
        f" {(applied.lag_median or 0) * 1000:,.0f} ms (median),"
        f" {(applied.lag_max or 0) * 1000:,.0f} ms (longest)"
    )


def _verdict(found: dict[str, Compared], before: int, synced: int) -> str:
    """What is stored, and its sum: messages of an earlier demo, of the syncs, of webhooks."""
    messages = sum(one.messages for one in found.values())
    others = sum(one.other_events for one in found.values())
    earlier = f"{before:,} of an earlier demo + " if before else ""
    return (
        f"[green]Each of the simulator's {messages:,} messages is stored exactly once, with its"
        f" latest text, and so is each of its {others:,} reactions, edits, reads and other"
        " events.[/]\n"
        f"{messages:,} messages = {earlier}{synced:,} that the syncs stored +"
        f" {messages - before - synced:,} that webhooks brought first."
    )


def _where_next(home: Path) -> str:
    """How to look at the data, and what to do next, in lines to be typed."""
    psql = f"{shlex.quote(_own_command())} psql --demo"
    return (
        f"The data stays in {os.path.relpath(home)}. To look at it:\n"
        f"  {psql} -c '{_QUERY}'\n"
        f"  {psql}\n"
        "Next: `make dev` keeps everything running, with Dagster's pages and the status page."
        " The README shows how to sync your own pages."
    )


def _own_command() -> str:
    """What to type for `messenger-pipeline` in this shell."""
    name = "messenger-pipeline"
    started = Path(sys.argv[0])
    if started.name != name or shutil.which(name) == str(started):
        return name
    return os.path.relpath(started)
