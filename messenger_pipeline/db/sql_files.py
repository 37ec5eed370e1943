"""The files of sql/, with the names of the two schemas put in for `:data` and `:own`.

The data schema holds what people read; in our own, which nobody else may look into, stands the
rest. A file of functions/ or views/ makes the one object that bears its name.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from messenger_pipeline.db.pool import own_schema
from messenger_pipeline.project import PROJECT

SQL = PROJECT / "sql"
_SCHEMA = re.compile(r"(?<!:):(data|own)\b")
_DEFINES = re.compile(r"^create or replace (function|view) :(data|own)\.(\w+)", re.MULTILINE)


def render(path: Path, data_schema: str) -> str:
    """The text of a file for a data schema."""
    names = {"data": data_schema, "own": own_schema(data_schema)}
    return _SCHEMA.sub(lambda found: f'"{names[found[1]]}"', path.read_text())


@dataclass(frozen=True)
class Definition:
    """A file that makes a function or a view, of the schema `data` or `own`."""

    path: Path
    kind: str
    schema: str
    name: str


def definitions() -> Iterator[Definition]:
    """Functions, then views, which may be built on them."""
    for path in [*sorted(SQL.glob("functions/*/*.sql")), *sorted(SQL.glob("views/*.sql"))]:
        [(kind, schema, name)] = _DEFINES.findall(path.read_text())
        assert name == path.stem, f"{path} defines {name}"
        yield Definition(path, kind, schema, name)


def setup() -> list[Path]:
    """What each upgrade runs first: the schema, then the functions that define the others."""
    schema = SQL / "setup" / "schema.sql"
    return [schema, *sorted(path for path in SQL.glob("setup/*.sql") if path != schema)]


def verifications() -> list[Path]:
    """The checks of what must always hold, one file each."""
    return sorted(SQL.glob("verify/*.sql"))
