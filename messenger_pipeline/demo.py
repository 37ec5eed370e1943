"""The demonstration: simulated pages synced by a real Dagster, and checked to the last message."""

import io
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pandas as pd
from rich.console import Console
from rich.table import Table

from messenger_pipeline import runtime
from messenger_pipeline.db import load, pages
from messenger_pipeline.db.pool import Database
from messenger_pipeline.errors import PipelineError
from messenger_pipeline.settings import Settings, load_settings
from messenger_pipeline.stack import Stack, running_stack

_PATIENCE_SECONDS = 600.0
_MARK = "simulated"  # a file in a home whose pages are simulated


@dataclass(frozen=True)
class PageSummary:
    """What one page's syncs did since a time, and what is stored of it now."""

    page_id: str
    name: str
    conversations: int
    events: int
    new_conversations: int
    new_events: int
    updated: int
    seconds: float
    fetched: int


def demonstrate(console: Console, *, ui_port: int, conversations: int, page_count: int) -> None:
    """Sync every simulated page once and compare what landed with the simulator's truth.

    Raises PipelineError if a run fails or a message is missing, doubled or wrong.
    """
    settings = _simulated_settings()
    console.print("Starting PostgreSQL, the simulated Graph API and Dagster …")
    began = time.monotonic()
    with (
        running_stack(
            settings,
            ui_port=ui_port,
            simulated=_simulator_arguments(conversations, page_count),
            prepared=lambda data, graph: _register_pages(settings, data, graph, console),
        ) as stack,
        Database(stack.data, schema=settings.database_schema) as database,
    ):
        console.print(f"Up after {time.monotonic() - began:.0f} s: http://127.0.0.1:{ui_port}")
        since = datetime.now(UTC)
        page_ids = [page["id"] for page in _simulated_pages(stack.graph_url)]
        _sync_all(console, stack, database, ui_port, page_ids, since)
        summaries = [_summary(database, page_id, since) for page_id in page_ids]
        console.print(_table(summaries))
        for page_id in page_ids:
            _compare(database, stack.graph_url, page_id)
        total = sum(one.events for one in summaries)
        console.print(
            f"[green]Every one of the simulator's {total:,} messages is in PostgreSQL"
            " exactly once.[/]"
        )
        if not any(one.new_conversations or one.new_events or one.updated for one in summaries):
            console.print(
                "Nothing had changed since the last sync: no conversation and no event was written."
            )
    console.print(
        f"Ended after {time.monotonic() - began:.0f} s. {_where_next(settings)}", soft_wrap=True
    )


def serve(
    console: Console, *, ui_port: int, real: bool, conversations: int, page_count: int
) -> None:
    """Keep the stack up until Ctrl-C."""
    settings = load_settings() if real else _simulated_settings()

    def prepared(data: str, graph: str) -> None:
        if real:
            runtime.token_vault(settings)
        else:
            _register_pages(settings, data, graph, console)
        _fail_dead_runs(settings, data, console)

    console.print("Starting …")
    with running_stack(
        settings,
        ui_port=ui_port,
        simulated=None if real else _simulator_arguments(conversations, page_count),
        prepared=prepared,
    ) as stack:
        console.print(f"Dagster: http://127.0.0.1:{ui_port}. Ctrl-C ends everything.")
        if not real:
            console.print(
                "For commands in another terminal:\n"
                f"  export MESSENGER_HOME={settings.home.resolve()}\n"
                f"  export MESSENGER_GRAPH_URL={stack.graph_url}\n"
                "  export MESSENGER_CALLS_PER_SECOND=1000",
                soft_wrap=True,
            )
        try:
            while True:
                stack.check()
                time.sleep(1)
        except KeyboardInterrupt:
            console.print("Ending …")


def _simulated_settings() -> Settings:
    """Settings apart from the user's own: simulated pages must not meet real ones."""
    settings = load_settings()
    # Whoever follows what `dev` says for other terminals has named this home already.
    own = (settings.home / _MARK).exists()
    home = settings.home if own else settings.home / "demo"
    home.mkdir(parents=True, exist_ok=True)
    (home / _MARK).touch()
    return settings.model_copy(
        update={
            "home": home,
            "database_url": None,
            "database_schema": "public",
            "token_key": [],
            "dagster_home": None,
            "dagster_pg_url": None,
        }
    )


def _simulator_arguments(conversations: int, page_count: int) -> list[str]:
    return ["--pages", str(page_count), "--conversations", str(conversations)]


def _simulated_pages(graph_url: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(_read(f"{graph_url}/_simulator/pages"))
    return found


def _read(address: str) -> bytes:
    """What the simulator, started here, tells outside the Graph API."""
    with urlopen(address, timeout=120) as answer:  # noqa: S310 - an address of our own
        body: bytes = answer.read()
    return body


def _register_pages(settings: Settings, data: str, graph_url: str, console: Console) -> None:
    vault = runtime.token_vault(settings)
    found = _simulated_pages(graph_url)
    with Database(data, schema=settings.database_schema) as database:
        for page in found:
            pages.register_page(
                database,
                page["id"],
                name=page["name"],
                user_id=None,
                platform="messenger",
                token_encrypted=vault.encrypt(page["token"]),
            )
    largest = max(found, key=lambda page: page["messages"])
    console.print(
        f"{len(found)} pages registered, the largest with {largest['conversations']:,}"
        f" conversations and {largest['messages']:,} messages."
    )


def _fail_dead_runs(settings: Settings, data: str, console: Console) -> None:
    from messenger_pipeline.defs import launch  # seconds to import

    with Database(data, schema=settings.database_schema) as database:
        if dead := launch.fail_runs_of_dead_stack(database):
            console.print(
                f"{dead} runs that an earlier stack left unfinished are marked as failed."
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
        sessions = load.list_sessions(database, since)
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


def _until(stack: Stack, done: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not done():
        stack.check()
        if time.monotonic() > deadline:
            raise PipelineError(f"Waited {_PATIENCE_SECONDS:.0f} s for {what} in vain.")
        time.sleep(0.5)


def _summary(database: Database, page_id: str, since: datetime) -> PageSummary:
    sessions = load.list_sessions(database, since, page_id)
    [stored] = [row for row in database.rows("sync_statistics") if row["page_id"] == page_id]
    return PageSummary(
        page_id,
        stored["page_name"],
        conversations=stored["conversations"],
        events=stored["messages"],
        new_conversations=sum(session.inserted for session in sessions),
        new_events=sum(session.events_created for session in sessions),
        updated=sum(session.updated for session in sessions),
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


def _compare(database: Database, graph_url: str, page_id: str) -> None:
    """Raise PipelineError unless the page's rows are the simulator's messages, each once."""
    lines = _read(f"{graph_url}/_simulator/truth?page={page_id}")
    truth = pd.read_json(io.BytesIO(lines), lines=True, dtype=False, convert_dates=False)
    truth["event_timestamp"] = pd.to_datetime(truth.pop("created_time"), utc=True)
    with database.transaction() as connection:
        cursor = connection.execute(
            "select page_id, sender_id, message_id, event_timestamp, event_type,"
            " metadata ->> 'text' as text from contact_interaction_events"
            " join messenger_conversations c using (page_id) where page_id = %s"
            " and c.id = conversation_id",
            [page_id],
        )
        stored = pd.DataFrame(
            cursor.fetchall(), columns=[column.name for column in cursor.description or ()]
        )
    stored["event_timestamp"] = pd.to_datetime(stored["event_timestamp"], utc=True)
    both = truth.merge(stored, how="outer", indicator=True)
    wrong = both[both["_merge"] != "both"]
    if len(wrong) or len(both) != len(truth) or stored["message_id"].duplicated().any():
        raise PipelineError(
            f"Page {page_id}: {len(truth)} messages at the simulator, {len(stored)} stored,"
            f" {len(wrong)} differ:\n{wrong.head(5).to_string()}"
        )


def _where_next(settings: Settings) -> str:
    home = Path(os.path.relpath(settings.home))
    return (
        f"The data stays in {home}. Next: `make dev` keeps everything up, with Dagster's pages;"
        " the README tells how to sync pages of your own."
    )
