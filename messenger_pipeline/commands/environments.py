"""db diff, db align: two databases, such as production and staging."""

import dataclasses
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click

from messenger_pipeline import runtime, schema_diff
from messenger_pipeline.commands.schema import db
from messenger_pipeline.db.catalog import CatalogReader, known_objects
from messenger_pipeline.errors import UsageError
from messenger_pipeline.postgres_url import clean_postgres_url
from messenger_pipeline.redaction import remember_secret
from messenger_pipeline.schema_diff import Catalog, Difference
from messenger_pipeline.settings import load_settings

__all__ = ["db"]

_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,49}")


def _options(command: Callable[..., None]) -> Callable[..., None]:
    """The arguments that both commands take."""
    for decorate in (
        click.option("--comments", is_flag=True, help="Compare comments, too."),
        click.option(
            "--schema",
            metavar="NAME",
            help="The data schema of URL, if it is not MESSENGER_DATABASE_SCHEMA.",
        ),
        click.option(
            "--all",
            "whole",
            is_flag=True,
            help="Compare the whole data schema, and not only what messenger-pipeline made.",
        ),
        click.argument("url"),
    ):
        command = decorate(command)
    return command


@db.command("diff")
@_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def db_diff(url: str, whole: bool, schema: str | None, comments: bool, as_json: bool) -> None:
    """Compare this database's schema with that of URL. Exits with 1 if they differ.

    Both are read in a read-only transaction, and neither is changed. In the output, here is the
    database of the settings, and there is that of URL.
    """
    with _compared(url, schema, whole, comments) as found:
        arguments = (found.differences, found.here, found.there, found.notes)
    if as_json:
        click.echo(json.dumps(schema_diff.as_json(*arguments), ensure_ascii=False, indent=2))
    else:
        for line in schema_diff.as_text(*arguments):
            click.echo(line)
    if found.differences:
        raise click.exceptions.Exit(1)


@db.command("align")
@_options
@click.option("--plan", "as_plan", is_flag=True, help="Print the SQL. Nothing else is done.")
def db_align(url: str, whole: bool, schema: str | None, comments: bool, as_plan: bool) -> None:
    """Print the SQL that brings this database's schema to that of URL.

    Steps that can lose nothing and stop nobody are statements. The rest are comments with the
    reason. Nothing is executed.
    """
    if not as_plan:
        raise UsageError(
            "`db align` changes nothing: it prints the SQL that you run. Add --plan to print it."
        )
    with _compared(url, schema, whole, comments) as found:
        here, there = found.here, found.there
        queries = schema_diff.checks_of(found.differences, here, there)
        counts = {query: found.reader.count(query) for query in queries}
    steps = schema_diff.plan(found.differences, here, there, counts)
    for line in schema_diff.write_script(steps, here.server, there.server, found.notes):
        click.echo(line)


@dataclass(frozen=True)
class _Comparison:
    """The result, and the reader of this database, whose transaction is still open."""

    differences: list[Difference]
    here: Catalog
    there: Catalog
    notes: list[str]
    reader: CatalogReader


@contextmanager
def _compared(url: str, schema: str | None, whole: bool, comments: bool) -> Iterator[_Comparison]:
    settings = load_settings()
    data = settings.database_schema
    if schema is not None and not _SCHEMA.fullmatch(schema):
        raise UsageError(
            "--schema: give a name such as messenger, of at most 50 lower-case letters."
        )
    other = schema or data
    remember_secret(url)
    try:
        address = clean_postgres_url(url, other)
    except ValueError as error:
        raise UsageError(f"The URL is wrong: {error}.") from None
    with (
        runtime.data_url(settings) as mine,
        CatalogReader(mine, data, "MESSENGER_DATABASE_URL") as reader,
        CatalogReader(address, other, "the URL") as other_reader,
    ):
        here, there = reader.read(), other_reader.read(as_schema=data)
        here, there, notes = _completed(here, there, whole)
        differences = schema_diff.compare(here, there, whole=whole, comments=comments)
        yield _Comparison(differences, here, there, notes, reader)


def _completed(here: Catalog, there: Catalog, whole: bool) -> tuple[Catalog, Catalog, list[str]]:
    """The catalogs with what a role may not see taken from what this release makes; and what the
    reader of the result has to know."""
    notes = []
    for side, catalog in (("here", here), ("there", there)):
        server = catalog.server
        if not server.has_data_schema:
            raise UsageError(
                f"The database {server.database} ({side}) has no schema {server.data}."
                f" {'--schema' if side == 'there' else 'MESSENGER_DATABASE_SCHEMA'} names it."
            )
        if catalog.owned is None:
            notes.append(
                f"role {server.role} ({side}) may not read the record of what messenger-pipeline"
                f" made, {server.own}.owned_objects: its objects are those of this release."
            )
        if server.record != "absent" and not server.revision_readable:
            notes.append(f"role {server.role} ({side}) may not read the revision of the schema.")
    if not whole and here.owned == there.owned == frozenset():
        raise UsageError(
            "Neither database has objects of messenger-pipeline."
            " With --all the whole data schema is compared."
        )
    notes += _notes_of_servers(here, there)
    here, there = (
        dataclasses.replace(one, owned=known_objects()) if one.owned is None else one
        for one in (here, there)
    )
    return here, there, notes


def _notes_of_servers(here: Catalog, there: Catalog) -> Iterator[str]:
    mine, theirs = here.server, there.server
    if mine.identity == theirs.identity and mine.data == theirs.data:
        yield "both are the same database."
    if mine.major != theirs.major:
        yield (
            f"PostgreSQL {mine.major} and {theirs.major} write expressions and queries differently:"
            " they are compared without white space, parentheses, and the tables before columns."
        )
    for name in ("encoding", "collation"):
        values: list[Any] = [getattr(one, name) for one in (mine, theirs)]
        if values[0] != values[1]:
            yield f"the {name} of the databases is {values[0]} here and {values[1]} there."
