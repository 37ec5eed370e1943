"""Takes over the tables of the application that this one replaces, while that one goes on writing.

An adoption precedes the first upgrade's one transaction. It works in many short ones, none of
which waits for a lock longer than a fraction of a second, because whoever comes behind it waits,
too. How far it is stands in adoption_steps: it can be killed at any moment, and goes on when it is
run again. What restores the tables is recorded in adoption_changes, merged_rows and adopted_values.

The SQL is in sql/adoption; docs/migration.md describes it for users.
"""

import contextlib
import hashlib
import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import psycopg
from psycopg import sql

from messenger_pipeline.db.adopted_migrations import Parted, part_migrations
from messenger_pipeline.db.id_types import IdTypes
from messenger_pipeline.db.pool import own_schema, translated
from messenger_pipeline.db.server import Connection, require_usable
from messenger_pipeline.db.sql_files import SQL, render, setup
from messenger_pipeline.errors import (
    DatabaseBusy,
    DatabaseConflict,
    DatabaseError,
    UpgradeRefused,
)

TABLES = ("facebook_pages", "messenger_conversations", "contact_interaction_events")
LOCK_TIMEOUT = "250ms"
_LOCK = 7_232_018_347  # an arbitrary number: one adoption of a database at a time
_PATIENCE = 3600.0  # seconds in which a lock must be had: a vacuum of a large table holds one
_REMINDER = 30.0  # seconds after which a wait is logged, and between two such lines
_PAUSE = 0.3  # seconds between two attempts to get one
_BATCH = 0.2  # seconds that a batch should take
_ROUNDS = 20  # how often rows that were written twice meanwhile are merged again
_log = logging.getLogger(__name__)
T = TypeVar("T")

_BUSY = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
    DatabaseBusy,
    DatabaseConflict,
)


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


def definitions(schema: str, types: IdTypes) -> Iterator[str]:
    """The statements that define what an adoption, or undoing one, needs of our schema."""
    for path in _files():
        yield render(path, schema, types)


def plan(url: str, schema: str) -> AdoptionPlan:
    """What an adoption would do. Changes nothing: it creates what tells it and rolls that back."""
    with _connected(url, schema) as connection, connection.transaction(force_rollback=True):
        _define(connection, schema)
        if connection.execute("select 1 from adoption_steps").fetchone():
            done = connection.execute(
                "select step, rows from adoption_steps where finished_at is not null order by 1"
            )
            steps = ", ".join(f"{step} ({rows} rows)" if rows else step for step, rows in done)
            return AdoptionPlan([f"An adoption was interrupted and goes on. Done: {steps}."], [])
        doubts = _texts(connection, "list_doubts")
        return AdoptionPlan([] if doubts else _texts(connection, "plan_adoption"), doubts)


class Adoption:
    """One adoption, on a connection of its own."""

    def __init__(self, connection: Connection, schema: str, types: IdTypes) -> None:
        self._connection = connection
        self._schema = schema
        self.migrations: Parted = part_migrations(schema, types)

    def prepare(self) -> None:
        """Make the tables what the migrations would have made them."""
        for table in TABLES:
            self._once(f"columns of {table}", "adopt_columns", table)
        self._once("triggers", "adopt_triggers")
        self._once("pages", "merge_pages")
        self._sweep("page ids", "convert_page_ids", "messenger_conversations", self._converts())
        self._sweep("events", "fill_events", "contact_interaction_events")
        self._once("replaced indexes", "drop_replaced_indexes")
        self._once("constraints", "add_constraints")
        for table, statement in self.migrations.tables:
            name = hashlib.sha256(statement.encode()).hexdigest()[:8]
            step = f"migration of {table} {name}"
            self._once(step, "change_schema", statement, _undo_of(statement))
        self._without_duplicates(
            partial(self._merge, "conversation"), self._indexes_of("messenger_conversations")
        )
        self._without_duplicates(partial(self._merge, "event"), self._migrated_indexes())
        self._without_duplicates(
            partial(self._run, "merge_pages"), self._indexes_of("facebook_pages")
        )
        for statement in _texts(self._connection, "list_invalid_constraints"):
            # What breaks one stays, and the constraint holds for new rows.
            with contextlib.suppress(psycopg.errors.IntegrityError):
                self._outside(statement)
        self._sweep("counts", "recount_adopted", "messenger_conversations")
        self._once("conversion", "finish_conversion")
        self._once("tables", "adopt_tables")
        self._once("last syncs", "adopt_pages")

    def finish(self) -> None:
        """Add the foreign keys of ours on adopted tables."""
        for statement in self.migrations.references:
            self._once(statement.split()[5], "change_schema", statement, "select")
        self._run("finish_adoption")

    def _converts(self) -> bool:
        return bool(self._value("account_column") == "page_id_after")

    def _indexes_of(self, table: str) -> list[tuple[str, str]]:
        rows = self._connection.execute(
            "select index_name, definition from list_unique_indexes() where table_name = %s",
            [table],
        )
        return list(rows.fetchall())

    def _migrated_indexes(self) -> list[tuple[str, str]]:
        converts = self._converts()
        return [
            (name, re.sub(r"\bpage_id\b", "page_id_after", definition)
             if converts and ".messenger_conversations" in definition else definition)
            for name, definition in self.migrations.indexes
        ]  # fmt: skip

    def _once(self, step: str, function: str, *arguments: Any) -> None:
        """Run a step that is one short transaction, unless it is done."""
        if self._position(step) is None:
            return

        def run() -> None:
            with self._connection.transaction():
                self._call(function, *arguments)
                self._call("advance_adoption", step, 0, 0, True)

        self._patiently(run)

    def _run(self, function: str, *arguments: Any) -> Any:
        def run() -> Any:
            with self._connection.transaction():
                return self._call(function, *arguments)

        return self._patiently(run)

    def _sweep(self, step: str, function: str, table: str, is_needed: bool = True) -> None:
        """Run a step over a table's blocks, a batch in each transaction."""
        position = self._position(step)
        if position is None or not is_needed:
            return
        size = int(self._value("count_blocks", table))
        blocks, began = 8, time.monotonic()
        while position < size:
            until, batch = min(position + blocks, size), time.monotonic()
            self._patiently(partial(self._batch, step, function, position, until))
            position = until
            took = time.monotonic() - batch
            blocks = max(1, min(int(blocks * min(2.0, max(0.25, _BATCH / took))), 2_000))
        self._run("advance_adoption", step, size, 0, True)
        _log.info("%s: %d blocks in %.1f s", step, size, time.monotonic() - began)

    def _batch(self, step: str, function: str, position: int, until: int) -> int:
        with self._connection.transaction():
            # The batch and its position commit together, so a crash of the server undoes both.
            self._connection.execute("set local synchronous_commit = off")
            rows = int(self._call(function, position, until))
            self._call("advance_adoption", step, until, rows, False)
        return rows

    def _without_duplicates(
        self, merge: Callable[[], object], indexes: list[tuple[str, str]]
    ) -> None:
        """Merge what is there twice and build the unique indexes, until nothing was written twice
        meanwhile."""
        for _ in range(_ROUNDS):
            if not all(self._value("find_index", name) for name, _ in indexes):
                merge()
            try:
                for name, definition in indexes:
                    self._build(name, definition)
                return
            except psycopg.errors.UniqueViolation:
                _log.info("something was written twice meanwhile, and is merged")
        raise DatabaseError(
            "Rows are written twice faster than they are merged. Switch the replaced application"
            " off, and run `messenger-pipeline db upgrade` again."
        )

    def _merge(self, kind: str) -> None:
        """Find what is there twice and merge it, a batch in each transaction, until there is no
        more."""
        while self._run(f"find_{kind}_merges"):
            limit, done = 50, 1
            while done:
                batch = time.monotonic()
                done = self._run(f"merge_{kind}_batch", limit)
                took = time.monotonic() - batch
                limit = max(5, min(int(limit * min(2.0, max(0.25, _BATCH / took))), 5_000))

    def _build(self, name: str, definition: str) -> None:
        """Build an index beside readers and writers. Of an interrupted attempt an invalid one is
        left."""
        found = self._value("find_index", name)
        if not found:
            table = definition.partition("index ")[2]
            if found is not None:
                self._outside(f'drop index concurrently "{self._schema}".{name}')
            self._outside(
                f"create {definition.partition('index ')[0]}index concurrently {name} on {table}"
            )
        self._run("record_index", name)

    def _outside(self, statement: str) -> None:
        """Run a statement that cannot be in a transaction. It may wait: nobody waits behind it."""
        self._connection.execute("set lock_timeout = 0")
        try:
            self._connection.execute(statement.encode())
        finally:
            self._connection.execute(f"set lock_timeout = '{LOCK_TIMEOUT}'".encode())

    def _position(self, step: str) -> int | None:
        """Where a step goes on; None: it is done."""
        row = self._connection.execute(
            "select position, finished_at from adoption_steps where step = %s", [step]
        ).fetchone()
        return 0 if row is None else None if row[1] is not None else int(row[0])

    def _value(self, function: str, *arguments: Any) -> Any:
        return self._call(function, *arguments)

    def _call(self, function: str, *arguments: Any) -> Any:
        return _call(self._connection, function, *arguments)

    def _patiently(self, run: Callable[[], Any]) -> Any:
        return patiently(run)


def patiently(run: Callable[[], T]) -> T:
    """Run a short transaction, again and again while another one holds a lock that it needs."""
    began = reminded = time.monotonic()
    while True:
        try:
            return run()
        except _BUSY:
            now = time.monotonic()
            if now > began + _PATIENCE:
                raise
            if now > reminded + _REMINDER:
                reminded = now
                _log.info("waiting for a lock that another transaction holds, or a vacuum")
            time.sleep(_PAUSE)


def adopt_tokens(url: str, schema: str, encrypt: Callable[[str], str]) -> None:
    """Store encrypted the tokens that stand in the clear in an adopted registry: of pages that have
    none, and those renewed there since; the replaced application may still connect pages."""
    with _adopted(url, schema) as connection:
        if connection is not None:
            for page_id, token, digest in _rows(connection, "list_plain_tokens"):
                _call(connection, "adopt_token", page_id, encrypt(token), digest)


def blank_tokens(url: str, schema: str) -> int:
    """Empty the tokens that stand in the clear in an adopted registry and are stored encrypted.
    Returns how many."""
    with _adopted(url, schema) as connection:
        return int(_call(connection, "blank_tokens")) if connection is not None else 0


@contextmanager
def _adopted(url: str, schema: str) -> Iterator[Connection | None]:
    """A transaction in an adopted database, with the functions of an adoption; None: it is not an
    adopted one."""
    with _connected(url, schema) as connection, connection.transaction():
        found = connection.execute("select to_regclass('adoption_steps')").fetchone()
        if found == (None,) or not connection.execute("select 1 from adoption_steps").fetchone():
            yield None
            return
        _define(connection, schema)
        yield connection
        _forget(connection)


@contextmanager
def adopting(
    url: str, schema: str, encrypt: Callable[[str], str] | None = None
) -> Iterator[Adoption]:
    """Begin an adoption or go on with it. Raises UpgradeRefused, and changes nothing, if there is
    anything that it cannot be sure of; ConfigurationError, likewise, if there are tokens to be
    encrypted and no key."""
    with _connected(url, schema) as connection:
        # Held until the connection ends. A process that was killed has let go of it.
        connection.execute("select pg_advisory_lock(%s)", [_LOCK])

        def begin() -> IdTypes:
            with connection.transaction():
                types = _define(connection, schema)
                begun = connection.execute(
                    "select finished_at is not null from adoption_steps where step = 'adoption'"
                ).fetchone()
                if begun is None:
                    doubts = _texts(connection, "list_doubts")
                    if doubts:
                        raise UpgradeRefused("Nothing was changed. " + " ".join(doubts))
                    if encrypt is not None and _texts(connection, "list_token_columns"):
                        encrypt("")
                if begun is None or begun[0]:
                    _call(connection, "begin_adoption")
                return types

        types = patiently(begin)
        connection.execute(f"set lock_timeout = '{LOCK_TIMEOUT}'".encode())
        _without_triggers(connection)
        yield Adoption(connection, schema, types)
        _forget(connection)


def _define(connection: Connection, schema: str) -> IdTypes:
    """Create our schema with what an adoption needs of it. Returns the types of the tables' ids."""
    for path in setup():
        connection.execute(render(path, schema).encode())
    row = connection.execute("select * from list_id_types()")
    names = [column.name for column in row.description or ()]
    found = dict(zip(names, row.fetchone() or (), strict=True))
    types = IdTypes(**{name: value for name, value in found.items() if value is not None})
    for statement in definitions(schema, types):
        connection.execute(statement.encode())
    for statement in part_migrations(schema, types).functions:
        connection.execute(statement.encode())
    return types


def _files() -> list[Any]:
    """What an adoption needs of our schema, in the order in which it is created."""
    identity = SQL / "functions"
    return [
        *sorted(SQL.glob("migrations/*.up.1_adoption.sql")),
        *sorted(identity.glob("adoption/*.sql")),
        *sorted(SQL.glob("adoption/*.sql")),
    ]


def _forget(connection: Connection) -> None:
    """Drop the functions that only an adoption needs."""
    with connection.transaction():
        for path in sorted(SQL.glob("adoption/*.sql")):
            connection.execute(
                sql.SQL("drop function if exists {}").format(sql.Identifier(path.stem))
            )


def _without_triggers(connection: Connection) -> None:
    """Fire none of the owner's triggers for our changes, and have a vacuum make room sooner than
    our lock time-out, where the role may say so."""
    for setting in ("session_replication_role = replica", "deadlock_timeout = '100ms'"):
        try:
            connection.execute(f"set {setting}".encode())
        except psycopg.errors.InsufficientPrivilege:
            _log.info("this role may not set %s", setting)


@contextmanager
def _connected(url: str, schema: str) -> Iterator[Connection]:
    with (
        translated(),
        Connection.connect(url, application_name="messenger-pipeline adoption") as connection,
    ):
        require_usable(connection)
        if not connection.facts.pinned:
            raise UpgradeRefused(
                "Nothing was changed. An adoption needs a session of its own, and"
                " MESSENGER_DATABASE_URL leads to a pooler: name the server itself there for this"
                " command."
            )
        for name, value in (
            ("search_path", f'"{own_schema(schema)}", "{schema}", pg_temp'),
            ("check_function_bodies", "off"),
            ("client_min_messages", "warning"),
            ("client_connection_check_interval", "2s"),
            ("jit", "off"),  # compiling takes longer than running a batch
        ):
            connection.execute("select set_config(%s, %s, false)", [name, value])
        yield connection


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


def _call(connection: Connection, function: str, *arguments: Any) -> Any:
    """Call a function of an adoption. Returns its value."""
    statement = sql.SQL("select {}({})").format(
        sql.Identifier(function), sql.SQL(", ").join([sql.Placeholder()] * len(arguments))
    )
    row = connection.execute(statement, arguments).fetchone()
    return row[0] if row else None


def _rows(connection: Connection, function: str) -> list[Any]:
    statement = sql.SQL("select * from {}()").format(sql.Identifier(function))
    return connection.execute(statement).fetchall()


def _texts(connection: Connection, function: str) -> list[str]:
    return [text for (text,) in _rows(connection, function)]


def _undo_of(statement: str) -> str:
    """The statement that takes back what a migration adds to a table; `select` does nothing."""
    table = statement.split()[2]
    parts = []
    for line in statement.splitlines():
        words = line.split()
        if "add" in words:
            kind, name = words[words.index("add") + 1 : words.index("add") + 3]
            parts.append(f"drop {kind} {name}")
    return f"alter table {table} {', '.join(parts)}" if parts else "select"
