"""webhook: apply deliveries from files, or from the inbox again."""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import BinaryIO

import click
from pydantic_core import to_json
from rich.table import Table

from messenger_pipeline.commands.console import counted, open_registry, out, print_error
from messenger_pipeline.db import inbox
from messenger_pipeline.db.pool import Database
from messenger_pipeline.errors import PipelineError, UsageError
from messenger_pipeline.settings import load_settings
from messenger_pipeline.webhook.deliveries import parse_delivery
from messenger_pipeline.webhook.drain import drain_deliveries

_PORTION = 500  # bodies read at once, so that memory does not grow with a file
_PARTIAL = 3
_STATES = ("pending", "done", "ignored", "failed")


@dataclass
class _Report:
    """The outcomes of deliveries."""

    deliveries: int = 0
    states: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    without_events: list[dict[str, str]] = field(default_factory=list)

    def add(self, label: str, settled: inbox.DeliveryOutcome) -> None:
        self.deliveries += 1
        waits = settled.waiting_for and settled.state == "pending"
        self.states["waiting" if waits else settled.state] += 1
        types: list[str] = []
        reasons: list[str] = []
        if settled.body is not None:
            # The body is returned only if all of it was applied.
            for item in parse_delivery(settled.body, settled.received_at):
                types += [event["event_type"] for event in item.events]
                self.outcomes["applied"] += 1
        for outcome in settled.outcomes or []:
            types += outcome.get("events", [])
            self.outcomes[outcome["outcome"]] += 1
            if "reason" in outcome:
                reasons.append(f"{outcome['outcome']}: {outcome['reason']}")
        self.events.update(types)
        if not types:
            why = "; ".join(dict.fromkeys(reasons)) or settled.last_error or settled.state
            self.without_events.append({"delivery": label, "why": why})


@click.group("webhook")
def webhook_group() -> None:
    """Apply webhook deliveries from files, or from the inbox again."""


@webhook_group.command("ingest")
@click.argument("files", nargs=-1, required=True, type=click.File("rb"), metavar="FILE…")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def webhook_ingest(files: tuple[BinaryIO, ...], as_json: bool) -> None:
    """Apply delivery bodies from files, as if they were received now.

    A file holds one body, or one per line (JSON lines); - is standard input. Signatures are not
    checked. A delivery that is applied twice is stored once.
    """
    report, unreadable = _Report(), 0
    with open_registry() as database:
        for file in files:
            bodies = _bodies(file)
            while portion := list(islice(bodies, _PORTION)):
                readable = [(label, body) for label, body in portion if body is not None]
                for label, _ in (one for one in portion if one[1] is None):
                    print_error(f"{label} is not JSON; it is skipped.")
                unreadable += len(portion) - len(readable)
                _ingest(database, readable, report)
    _show(report, as_json)
    if unreadable:
        sys.exit(PipelineError.exit_code)
    _exit_with(report)


@webhook_group.command("replay")
@click.argument("ids", nargs=-1, type=click.IntRange(1, 2**63 - 1))
@click.option("--state", type=click.Choice(_STATES), help="Only deliveries in this state.")
@click.option(
    "--since",
    metavar="TIME",
    help="Only deliveries received at or after this time, such as 2026-05-01T10:00.",
)
@click.option("--until", metavar="TIME", help="Only deliveries received before this time.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def webhook_replay(
    ids: tuple[int, ...], state: str | None, since: str | None, until: str | None, as_json: bool
) -> None:
    """Apply deliveries of the inbox again.

    Choose them by id, state or time (UTC). What is stored already does not change. Records that
    these deliveries left in quarantine are resolved if they can be applied now.
    """
    if not (ids or state or since or until):
        raise UsageError("Give the deliveries' ids, --state, --since or --until.")
    report = _Report()
    with open_registry() as database:
        portions = inbox.reopen(
            database,
            ids=list(ids) or None,
            state=state,
            since=_time(since, "--since"),
            until=_time(until, "--until"),
        )
        for portion in portions:
            for settled in drain_deliveries(database, portion, load_settings().app_id):
                report.add(f"delivery {settled.id}", settled)
            inbox.resolve_replayed(database, portion)
    if ids and report.deliveries < len(set(ids)):
        print_error(
            f"Warning: not in the inbox: {counted(len(set(ids)) - report.deliveries, 'id')}."
        )
    _show(report, as_json)
    _exit_with(report)


def _ingest(database: Database, bodies: list[tuple[str, bytes]], report: _Report) -> None:
    if not bodies:
        return
    ids = inbox.receive(database, [body for _, body in bodies])
    settled = {one.id: one for one in drain_deliveries(database, ids, load_settings().app_id)}
    for (label, _), one in zip(bodies, ids, strict=True):
        report.add(label, settled[one])


def _bodies(file: BinaryIO) -> Iterator[tuple[str, bytes | None]]:
    """Each body with its label: one per line if the first line is JSON, else the whole file if that
    is JSON, else one per line if any line is an object. None for a body that is not JSON."""
    name = "standard input" if file.name in ("-", "<stdin>") else file.name
    first = file.readline()
    lines: Iterable[bytes] = _lines(first, file)
    if not _is_json(first):
        body = first + file.read()
        if _is_json(body):
            yield name, body
            return
        lines = body.splitlines()
        if not any(line.lstrip().startswith(b"{") and _is_json(line) for line in lines):
            yield name, None
            return
    for number, line in enumerate(lines, 1):
        if line.strip():
            label = name if number == 1 else f"{name}, line {number}"
            yield label, line.strip() if _is_json(line) else None


def _lines(first: bytes, rest: Iterable[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _time(text: str | None, option: str) -> datetime | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option} {text} is not a time. Write it as 2026-05-01T12:30.") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _show(report: _Report, as_json: bool) -> None:
    if as_json:
        summary = {
            "deliveries": report.deliveries,
            **{name: dict(getattr(report, name)) for name in ("states", "outcomes", "events")},
            "without_events": report.without_events,
        }
        click.echo(to_json(summary))
        return
    if report.events:
        table = Table("event type", "events", box=None)
        for event_type, count in sorted(report.events.items()):
            table.add_row(event_type, f"{count:,}")
        out.print(table)
    if report.without_events:
        table = Table("without an event", "why", box=None)
        for one in report.without_events:
            table.add_row(one["delivery"], one["why"])
        out.print(table)
    states = ", ".join(f"{count:,} {state}" for state, count in sorted(report.states.items()))
    click.echo(f"{_deliveries(report.deliveries)}: {states or 'none'}.")


def _deliveries(count: int) -> str:
    return counted(count, "delivery", "deliveries")


def _exit_with(report: _Report) -> None:
    if report.outcomes["quarantined"]:
        print_error(
            f"Warning: {counted(report.outcomes['quarantined'], 'item')} could not be used."
            " To see why: `messenger-pipeline quarantine list`."
        )
    if report.states["waiting"]:
        print_error(
            f"Warning: {_deliveries(report.states['waiting'])} of pages that are not registered."
            " To see which pages: `messenger-pipeline status`."
        )
    if report.states["pending"]:
        print_error(f"Partial: {_deliveries(report.states['pending'])} will be retried.")
        sys.exit(_PARTIAL)
