"""Differences and plans as text and as JSON."""

import difflib
import re
from collections.abc import Iterable, Iterator
from typing import Any

from messenger_pipeline.schema_diff.model import Catalog, Difference, Key, Server
from messenger_pipeline.schema_diff.step import Step, described

_LINES = 40  # of a long text's comparison
_CONCURRENTLY = re.compile(r"(create (unique )?|re)index concurrently ")
_HEAD = (
    "-- It is printed, not run. Read it, then run it statement by statement, not in one",
    "-- transaction: psql -v ON_ERROR_STOP=1 -f FILE. An index whose build fails is left invalid:",
    "-- drop it. After an error print the plan again, and go on with that.",
)


def as_json(
    differences: list[Difference], here: Catalog, there: Catalog, notes: list[str]
) -> dict[str, Any]:
    """Return {here, there, equal, notes, differences: [{kind, schema, table, name, change,
    within, facts: {name: {here, there}}}]}."""
    return {
        "here": _place_json(here),
        "there": _place_json(there),
        "equal": not differences,
        "notes": notes,
        "differences": [_as_json(one) for one in differences],
    }


def _place_json(catalog: Catalog) -> dict[str, Any]:
    server = catalog.server
    return {
        "database": server.database,
        "postgresql": server.version_name,
        "data_schema": server.data,
        "role": server.role,
        "revision": catalog.revision,
    }


def _as_json(one: Difference) -> dict[str, Any]:
    facts = one.facts or [f for f in one.entry.facts if not f.startswith("_")]
    return {
        "kind": one.key.kind,
        "schema": one.key.schema,
        "table": one.key.relation,
        "name": one.key.name,
        "change": one.change,
        "within": one.within.name if one.within else None,
        "facts": {
            fact: {"here": one.here and one.here[fact], "there": one.there and one.there[fact]}
            for fact in facts
        },
    }


def as_text(
    differences: list[Difference], here: Catalog, there: Catalog, notes: list[str]
) -> Iterator[str]:
    """Yield lines: the two databases, notes, and each difference under its table."""
    yield f"here   {_place(here)}"
    yield f"there  {_place(there)}"
    for note in notes:
        yield f"note: {note}"
    parts: dict[Key, list[Difference]] = {}
    for one in differences:
        if one.within:
            parts.setdefault(one.within, []).append(one)
    for one in differences:
        if not one.within:
            yield ""
            yield from _lines(one, parts.get(one.key, []))
    yield ""
    whole = sum(not one.within for one in differences)
    yield f"{whole} difference{'' if whole == 1 else 's'}." if whole else "No differences."


def _place(catalog: Catalog) -> str:
    server = catalog.server
    revision = f", revision {catalog.revision}" if catalog.revision else ""
    return (
        f"database {server.database}, schema {server.data}, PostgreSQL {server.version_name}"
        f"{revision}, as {server.role}"
    )


def _lines(one: Difference, parts: list[Difference]) -> Iterator[str]:
    name = described(one.key)
    if one.change != "changed":
        side = "here" if one.change == "extra" else "there"
        counts: dict[str, int] = {}
        for part in parts:
            counts[part.key.kind] = counts.get(part.key.kind, 0) + 1
        with_it = ", ".join(f"{_plural(kind, n)}" for kind, n in counts.items())
        yield f"{name}: only {side}{f' (with {with_it})' if with_it else ''}{_summary(one)}"
        return
    assert one.here
    assert one.there
    yield f"{name}:"
    for fact in one.facts:
        mine, theirs = _shown(one.here[fact]), _shown(one.there[fact])
        if "\n" in mine + theirs:
            yield f"  {fact} (- here, + there):"
            yield from _compared(mine, theirs)
        else:
            yield f"  {fact}: {mine} here, {theirs} there"


def _summary(one: Difference) -> str:
    """In a few words what an object is that only one side has."""
    entry = one.entry
    texts = {
        "column": [
            entry["type"], entry["nullability"],
            f"default {entry['default']}" if entry["default"] else None,
        ],
        "constraint": [entry["definition"]],
        "index": [entry["definition"], None if entry["valid"] else "invalid"],
        "function": [f"returns {entry['returns']}" if entry["returns"] else None],
        "trigger": [entry["definition"]],
        "grant": [", ".join(entry["privileges"] or [])],
        "default privilege": [", ".join(entry["privileges"] or [])],
        "policy": [f"for {entry['command']} to {', '.join(entry['roles'] or [])}"],
    }  # fmt: skip
    text = ", ".join(part for part in texts.get(one.key.kind, []) if part)
    return f": {text}" if text else ""


def _plural(kind: str, number: int) -> str:
    plurals = {"index": "indexes", "policy": "policies", "statistics": "statistics"}
    return f"{number} {kind if number == 1 else plurals.get(kind, kind + 's')}"


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value)


def _compared(mine: str, theirs: str) -> Iterator[str]:
    lines = list(difflib.unified_diff(mine.splitlines(), theirs.splitlines(), lineterm="", n=1))[2:]
    yield from (f"    {line}" for line in lines[:_LINES])
    if len(lines) > _LINES:
        yield f"    … {len(lines) - _LINES} more lines"


def write_script(
    steps: Iterable[Step], here: Server, there: Server, notes: Iterable[str]
) -> Iterator[str]:
    """Yield the lines of an SQL script. What is not to be run as it stands is a comment."""
    steps = list(steps)
    run = [step for step in steps if step.reason is None]
    yield f"-- Brings database {here.database} (here) to {there.database} (there)."
    yield from _HEAD
    yield from (f"-- Note: {' '.join(note.split())}" for note in notes)
    if run:
        yield ""
        yield "set lock_timeout = '5s';  -- a statement that waits for a lock stops all later ones"
        yield "set statement_timeout = 0;"
        yield "set check_function_bodies = off;"
    for step in run:
        yield ""
        yield f"-- {_line(step.title)}"
        # It stops nobody, and waits for every transaction that runs already.
        patient = any(_CONCURRENTLY.match(statement) for statement in step.statements)
        if patient:
            yield "set lock_timeout = 0;"
        yield from step.statements
        if patient:
            yield "set lock_timeout = '5s';"
    if len(run) < len(steps):
        yield ""
        yield "-- Not done, with the reason:"
    for step in steps:
        if step.reason is not None:
            yield ""
            yield f"-- {_line(step.title)}: {_line(step.reason)}"
            for statement in step.statements:
                yield from (f"--   {line}" for line in statement.splitlines())
    yield ""
    left = len(steps) - len(run)
    yield (
        f"-- {len(run)} to run, {left} not done." if steps else "-- Nothing to do: no differences."
    )


def _line(text: str) -> str:
    return " ".join(text.split())
