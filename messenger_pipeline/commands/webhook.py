"""webhook: deliveries from files, and once more."""

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

from messenger_pipeline.commands.console import open_registry, out, say_error
from messenger_pipeline.db import inbox
from messenger_pipeline.db.pool import Database
from messenger_pipeline.errors import PipelineError, UsageError
from messenger_pipeline.webhook.deliveries import parse_delivery
from messenger_pipeline.webhook.drain import drain_deliveries

_PORTION = 500  # bodies at a time, so that a file of any length takes the same memory
_PARTIAL = 3
_STATES = ("pending", "done", "ignored", "failed")


@dataclass
class _Report:
    """What became of deliveries."""

    deliveries: int = 0
    states: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    without_events: list[dict[str, str]] = field(default_factory=list)

    def add(self, label: str, settled: inbox.Settled) -> None:
        self.deliveries += 1
        waits = settled.waiting_for and settled.state == "pending"
        self.states["waiting" if waits else settled.state] += 1
        types: list[str] = []
        reasons: list[str] = []
        if settled.body is not None:
            # All of it was applied.
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
    """Webhook deliveries: from files, and once more."""


@webhook_group.command("ingest")
@click.argument("files", nargs=-1, required=True, type=click.File("rb"), metavar="FILE…")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def webhook_ingest(files: tuple[BinaryIO, ...], as_json: bool) -> None:
    """Apply saved delivery bodies, as if they were received now.

    A file holds one body, or one a line (JSON lines); - is standard input. Their origin is not
    checked: they need no signature. What Meta sent twice is stored once.
    """
    report, unreadable = _Report(), 0
    with open_registry() as database:
        for file in files:
            bodies = _bodies(file)
            while portion := list(islice(bodies, _PORTION)):
                readable = [(label, body) for label, body in portion if body is not None]
                for label, _ in (one for one in portion if one[1] is None):
                    say_error(f"{label} is no JSON; it is left out.")
                unreadable += len(portion) - len(readable)
                _ingest(database, readable, report)
    _show(report, as_json)
    if unreadable:
        sys.exit(PipelineError.exit_code)
    _exit_with(report)


@webhook_group.command("replay")
@click.argument("ids", nargs=-1, type=click.IntRange(1, 2**63 - 1))
@click.option("--state", type=click.Choice(_STATES), help="Deliveries in this state.")
@click.option("--since", metavar="TIME", help="Received at or after, as 2026-05-01 or with time.")
@click.option("--until", metavar="TIME", help="Received before.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def webhook_replay(
    ids: tuple[int, ...], state: str | None, since: str | None, until: str | None, as_json: bool
) -> None:
    """Apply deliveries again that are still in the inbox: by id, state, or time (UTC).

    What is stored already does not change. What they left in quarantine is taken out if they can
    be applied now.
    """
    if not (ids or state or since or until):
        raise UsageError("Which deliveries? Give ids, --state, --since or --until.")
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
            for settled in drain_deliveries(database, portion):
                report.add(f"delivery {settled.id}", settled)
            inbox.resolve_replayed(database, portion)
    if ids and report.deliveries < len(set(ids)):
        say_error(f"Warning: {len(set(ids)) - report.deliveries} of the ids are not in the inbox.")
    _show(report, as_json)
    _exit_with(report)


def _ingest(database: Database, bodies: list[tuple[str, bytes]], report: _Report) -> None:
    if not bodies:
        return
    ids = inbox.receive(database, [body for _, body in bodies])
    settled = {one.id: one for one in drain_deliveries(database, ids)}
    for (label, _), one in zip(bodies, ids, strict=True):
        report.add(label, settled[one])


def _bodies(file: BinaryIO) -> Iterator[tuple[str, bytes | None]]:
    """Each body with what to call it: of each line if the first is JSON, else of the whole file if
    that is, else of each line if any is an object. None for what is no JSON."""
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
        raise UsageError(f"{option} {text} is no time: write 2026-05-01T12:30.") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _show(report: _Report, as_json: bool) -> None:
    if as_json:
        told = {
            "deliveries": report.deliveries,
            **{name: dict(getattr(report, name)) for name in ("states", "outcomes", "events")},
            "without_events": report.without_events,
        }
        click.echo(to_json(told))
        return
    if report.events:
        table = Table("event type", "events", box=None)
        for event_type, count in sorted(report.events.items()):
            table.add_row(event_type, str(count))
        out.print(table)
    if report.without_events:
        table = Table("without an event", "why", box=None)
        for one in report.without_events:
            table.add_row(one["delivery"], one["why"])
        out.print(table)
    states = ", ".join(f"{count} {state}" for state, count in sorted(report.states.items()))
    click.echo(f"{report.deliveries} deliveries: {states or 'none'}.")


def _exit_with(report: _Report) -> None:
    if report.outcomes["quarantined"]:
        say_error(
            f"Warning: {report.outcomes['quarantined']} items could not be used; they are kept:"
            " `messenger-pipeline quarantine list` shows them."
        )
    if report.states["waiting"]:
        say_error(
            f"Warning: {report.states['waiting']} deliveries wait for pages that are not"
            " registered; `messenger-pipeline status` shows which."
        )
    if report.states["pending"]:
        say_error(f"Partial: {report.states['pending']} deliveries are to be tried again.")
        sys.exit(_PARTIAL)
