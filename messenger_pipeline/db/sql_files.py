"""The files of sql/, with `:data` and `:own` replaced by the names of the two schemas.

The data schema holds what users read. Our own schema, which is closed to other roles, holds the
rest. A file of functions/ or views/ defines one object, which has the file's name. The types of ids
(`:conversation_id_type`, …) are those that the tables have: see id_types.py.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from messenger_pipeline.db.id_types import IdTypes, with_id_types
from messenger_pipeline.db.pool import own_schema
from messenger_pipeline.project import PROJECT

SQL = PROJECT / "sql"
_SCHEMA = re.compile(r"(?<!:):(data|own)\b")
_POLYMORPHIC = re.compile(
    r"(?<![.\w])(array_agg|cardinality|count|format|jsonb_agg|jsonb_array_length|jsonb_build_array"
    r"|jsonb_build_object|jsonb_object_agg|max|min|percentile_cont|quote_ident|string_agg)(?=\()"
)
"""Functions of PostgreSQL that take arguments of any type: a namesake in the data schema whose
types match better would be called instead, so that the schema is put in front."""
_DEFINES = re.compile(r"^create or replace (function|view) :(data|own)\.(\w+)", re.MULTILINE)


def render(path: Path, data_schema: str, types: IdTypes | None = None) -> str:
    """Return the text of a file for a data schema whose tables have these types of ids; None: those
    of tables that we create."""
    names = {"data": data_schema, "own": own_schema(data_schema)}
    text = with_id_types(path.read_text(), types or IdTypes())
    text = _SCHEMA.sub(lambda found: f'"{names[found[1]]}"', text)
    return _POLYMORPHIC.sub(r"pg_catalog.\1", text)


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
