"""Takes over the tables of the application that this one replaces, while that one goes on writing.

An adoption precedes the first upgrade's one transaction. It works in many short ones, none of
which waits for a lock longer than a fraction of a second, because whoever comes behind it waits,
too. How far it is stands in adoption_steps: it can be killed at any moment, and goes on when it is
run again. What restores the tables is recorded in adoption_changes, merged_rows and adopted_values.

The SQL is in sql/adoption; docs/migration.md describes it for users.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from psycopg import sql

from messenger_pipeline.db.adoption_session import (
    LOCK_TIMEOUT,
    call,
    connected,
    define,
    forget,
    patiently,
    rows,
    texts,
    without_triggers,
)
from messenger_pipeline.db.adoption_steps import TABLES, Adoption
from messenger_pipeline.db.id_types import IdTypes
from messenger_pipeline.db.pool import own_schema, translated
from messenger_pipeline.db.server import Connection
from messenger_pipeline.errors import UpgradeRefused

_LOCK = 7_232_018_347  # an arbitrary number: one adoption of a database at a time


@dataclass(frozen=True)
class AdoptionPlan:
    """What an adoption would do, in sentences, and what it cannot be sure of."""

    sentences: list[str]
    doubts: list[str]


def is_needed(url: str, schema: str) -> bool:
    """Whether the database has tables of the replaced application that are not adopted yet, not to
    the end, or no longer protected from being written twice."""
    with translated(), Connection.connect(url) as connection:
        own = own_schema(schema)
        if _exists(connection, own, "adoption_steps"):
            steps = sql.Identifier(own, "adoption_steps")
            row = connection.execute(
                sql.SQL("select finished_at is null from {} where step = 'adoption'").format(steps)
            ).fetchone()
            if row is not None:
                return bool(row[0]) or _lacks_protection(connection, schema)
        if _exists(connection, own, "owned_objects"):
            owned = sql.Identifier(own, "owned_objects")
            if connection.execute(
                sql.SQL("select 1 from {} where kind = 'table' and name = any (%s)").format(owned),
                [list(TABLES)],
            ).fetchone():
                return False
        return any(_exists(connection, schema, name) for name in TABLES)


def is_adopted(url: str, schema: str) -> bool:
    """Whether an adoption of the database's tables has begun."""
    with translated(), Connection.connect(url) as connection:
        own = own_schema(schema)
        if not _exists(connection, own, "adoption_steps"):
            return False
        steps = sql.Identifier(own, "adoption_steps")
        return connection.execute(sql.SQL("select 1 from {}").format(steps)).fetchone() is not None


def plan(url: str, schema: str) -> AdoptionPlan:
    """What an adoption would do. Changes nothing: what it creates to find out is rolled back."""
    with connected(url, schema) as connection, connection.transaction(force_rollback=True):
        define(connection, schema)
        if connection.execute("select 1 from adoption_steps").fetchone():
            done = connection.execute(
                "select step, rows from adoption_steps where finished_at is not null order by 1"
            )
            steps = ", ".join(f"{step} ({rows} rows)" if rows else step for step, rows in done)
            return AdoptionPlan([f"An adoption was interrupted and goes on. Done: {steps}."], [])
        doubts = texts(connection, "list_doubts")
        return AdoptionPlan([] if doubts else texts(connection, "plan_adoption"), doubts)


def adopt_tokens(url: str, schema: str, encrypt: Callable[[str], str]) -> None:
    """Store encrypted the tokens that stand in the clear in an adopted registry: of pages that have
    none, and those renewed there since; the replaced application may still connect pages."""
    with _adopted(url, schema) as connection:
        if connection is not None:
            for page_id, token, digest in rows(connection, "list_plain_tokens"):
                call(connection, "adopt_token", page_id, encrypt(token), digest)


def blank_tokens(url: str, schema: str) -> int:
    """Empty the tokens that stand in the clear in an adopted registry and are stored encrypted.
    Returns how many."""
    with _adopted(url, schema) as connection:
        return int(call(connection, "blank_tokens")) if connection is not None else 0


@contextmanager
def _adopted(url: str, schema: str) -> Iterator[Connection | None]:
    """A transaction in an adopted database, with the functions of an adoption; None: it is not an
    adopted one."""
    with connected(url, schema) as connection, connection.transaction():
        found = connection.execute("select to_regclass('adoption_steps')").fetchone()
        if found == (None,) or not connection.execute("select 1 from adoption_steps").fetchone():
            yield None
            return
        define(connection, schema)
        yield connection
        forget(connection)


@contextmanager
def adopting(
    url: str, schema: str, encrypt: Callable[[str], str] | None = None
) -> Iterator[Adoption]:
    """Begin an adoption or go on with it. Raises UpgradeRefused, and changes nothing, if there is
    anything that it cannot be sure of; ConfigurationError, likewise, if there are tokens to be
    encrypted and no key."""
    with connected(url, schema) as connection:
        # Held until the connection ends. A process that was killed has let go of it.
        connection.execute("select pg_advisory_lock(%s)", [_LOCK])

        def begin() -> IdTypes:
            with connection.transaction():
                types = define(connection, schema)
                begun = connection.execute(
                    "select finished_at is not null from adoption_steps where step = 'adoption'"
                ).fetchone()
                if begun is None:
                    doubts = texts(connection, "list_doubts")
                    if doubts:
                        raise UpgradeRefused("Nothing was changed. " + " ".join(doubts))
                    if encrypt is not None and texts(connection, "list_token_columns"):
                        encrypt("")
                if begun is None or begun[0]:
                    call(connection, "begin_adoption")
                return types

        types = patiently(begin)
        connection.execute(f"set lock_timeout = '{LOCK_TIMEOUT}'".encode())
        without_triggers(connection)
        yield Adoption(connection, schema, types)
        forget(connection)


def _lacks_protection(connection: Connection, schema: str) -> bool:
    """Whether somebody dropped what keeps an adopted database from storing things twice, or the
    column `version`."""
    row = connection.execute(
        "select count(*) from unnest(%s::text[]) as i (name)"
        " where to_regclass(format('%%I.%%I', %s::text, i.name)) is null",
        [["idx_unique_event_by_message", "idx_unique_event_by_timestamp"], schema],
    ).fetchone()
    has_version = connection.execute(
        "select 1 from pg_attribute where not attisdropped and attname = 'version'"
        " and attrelid = to_regclass(format('%%I.messenger_conversations', %s::text))",
        [schema],
    ).fetchone()
    return row is None or row[0] > 0 or has_version is None


def _exists(connection: Connection, schema: str, table: str) -> bool:
    row = connection.execute(
        "select 1 from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " where n.nspname = %s and c.relname = %s and c.relkind in ('r', 'p')",
        [schema, table],
    ).fetchone()
    return row is not None
