"""The files of sql/, with `:data` and `:own` replaced by the names of the two schemas.

The data schema holds what users read. Our own schema, which is closed to other roles, holds the
rest. A file of functions/ or views/ defines one object, which has the file's name.
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
    """Return the text of a file for a data schema."""
    names = {"data": data_schema, "own": own_schema(data_schema)}
    return _SCHEMA.sub(lambda found: f'"{names[found[1]]}"', path.read_text())


@dataclass(frozen=True)
class Definition:
    """A file that defines a function or a view, in the schema `data` or `own`."""

    path: Path
    kind: str
    schema: str
    name: str


def definitions() -> Iterator[Definition]:
    """Yield the functions, then the views, which may call them."""
    for path in [*sorted(SQL.glob("functions/*/*.sql")), *sorted(SQL.glob("views/*.sql"))]:
        [(kind, schema, name)] = _DEFINES.findall(path.read_text())
        assert name == path.stem, f"{path} defines {name}"
        yield Definition(path, kind, schema, name)


def setup() -> list[Path]:
    """Return the files that each upgrade runs first: the schema, then the functions that define the
    other objects."""
    schema = SQL / "setup" / "schema.sql"
    return [schema, *sorted(path for path in SQL.glob("setup/*.sql") if path != schema)]


def verifications() -> list[Path]:
    """Return the verification files, one for each invariant."""
    return sorted(SQL.glob("verify/*.sql"))
