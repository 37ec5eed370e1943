"""Whether a database is what it was: checksums of rows in their old columns; its schema as text."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg

ADOPTED = ("facebook_pages", "messenger_conversations", "contact_interaction_events")
TABLES = (*ADOPTED, "tags", "notes")
BEFORE = "checksums_before"
"""A schema for checksums, apart from those of the application and ours."""
_DESCRIPTION = Path(__file__).parent / "sql" / "describe_schema.sql"


@dataclass(frozen=True)
class Compared:
    """A table's rows since checksums were kept: how many are the same, the ids of the others."""

    same: int
    changed: list[str]
    gone: list[str]
    new: list[str]


def keep_checksums(url: str, schema: str = "public", kept: str = BEFORE) -> None:
    """Keep the checksum of every row's columns of today, in the schema `kept`."""
    with psycopg.connect(url) as connection:
        connection.execute(f"drop schema if exists {kept} cascade; create schema {kept}")
        connection.execute(f"create table {kept}.columns (name text, columns text)")
        for table in TABLES:
            columns = _columns(connection, schema, table)
            connection.execute(f"insert into {kept}.columns values (%s, %s)", (table, columns))
            connection.execute(f"create table {kept}.{table} as {_digests(schema, table, columns)}")


def compare_rows(url: str, schema: str = "public", kept: str = BEFORE) -> dict[str, Compared]:
    """Compare today's rows, in the columns of then, with the checksums in the schema `kept`."""
    compared = {}
    with psycopg.connect(url) as connection:
        tables = connection.execute(f"select name, columns from {kept}.columns").fetchall()
        for table, columns in tables:
            connection.execute(
                f"create temporary table now_{table} on commit drop as"
                f" {_digests(schema, table, columns)}"
            )
            row = connection.execute(
                "select count(*) filter (where a.digest = b.digest), "
                + ", ".join(
                    f"coalesce(array_agg(key order by key) filter (where {condition}), '{{}}')"
                    for condition in (
                        "a.digest <> b.digest",
                        "b.digest is null",
                        "a.digest is null",
                    )
                )
                + f" from {kept}.{table} a full join now_{table} b using (key)"
            ).fetchone()
            assert row is not None
            compared[table] = Compared(*row)
    return compared


def find_unexplained(
    url: str, since: Mapping[str, Collection[str]], schema: str = "public"
) -> dict[str, list[str]]:
    """The rows of the application's tables that are not as they were before they were adopted, or
    gone, without a reason. Reasons: it was merged, it stands for a merged row, its conversation was
    merged, or it is in `since`, by table: what changed after the adoption."""
    found = {}
    compared = compare_rows(url, schema)
    with psycopg.connect(url) as connection:
        merged = connection.execute(
            "select table_name, merged_id, survivor_id from messenger_pipeline.merged_rows"
        ).fetchall()
        for table in ADOPTED:
            gone = {one for name, one, _ in merged if name == table}
            stands = {one for name, _, one in merged if name == table}
            moved = connection.execute(
                f"select key from {BEFORE}.{table} where parent = any (%s)",
                ([one for name, one, _ in merged if name == "messenger_conversations"],),
            ).fetchall()
            changed = {*stands, *since[table], *(key for (key,) in moved)}
            found[table] = [
                *(set(compared[table].gone) - gone - {*since[table]}),
                *(set(compared[table].changed) - changed),
            ]
    return found


def describe_schema(url: str, schema: str = "public") -> list[str]:
    """The schema's objects as sorted lines: columns, indexes, constraints, functions, views,
    triggers, policies, grants, comments."""
    with psycopg.connect(url) as connection:
        connection.execute("set search_path to pg_catalog")
        text = _DESCRIPTION.read_text().replace(":schema", schema)
        return [line for (line,) in connection.execute(text).fetchall()]


def _columns(connection: psycopg.Connection, schema: str, table: str) -> str:
    row = connection.execute(
        "select string_agg(quote_ident(attname), ', ' order by attnum) from pg_attribute"
        " where attrelid = %s::regclass and attnum > 0 and not attisdropped",
        (f'"{schema}".{table}',),
    ).fetchone()
    assert row is not None
    return str(row[0])


def _digests(schema: str, table: str, columns: str) -> str:
    """Of each row its key, which is `id` or all of it, and the digest of these columns."""
    key = "id::text" if columns.split(", ")[0] == "id" else f"row({columns})::text"
    parent = "conversation_id::text" if "conversation_id" in columns.split(", ") else "null::text"
    return (
        f"select {key} as key, md5(row({columns})::text) as digest, {parent} as parent"
        f' from "{schema}".{table}'
    )
