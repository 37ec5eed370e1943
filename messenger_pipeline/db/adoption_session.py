"""The session of an adoption: its connection, its functions, and its patience with locks."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from psycopg import sql

from messenger_pipeline.db.adopted_migrations import part_migrations
from messenger_pipeline.db.id_types import IdTypes
from messenger_pipeline.db.pool import own_schema, translated
from messenger_pipeline.db.server import Connection, require_usable
from messenger_pipeline.db.sql_files import SQL, render, setup
from messenger_pipeline.errors import DatabaseBusy, DatabaseConflict, UpgradeRefused

LOCK_TIMEOUT = "250ms"
_PATIENCE = 3600.0  # seconds in which a lock must be had: a vacuum of a large table holds one
_REMINDER = 30.0  # seconds after which a wait is logged, and between two such lines
_PAUSE = 0.3  # seconds between two attempts to get one
_log = logging.getLogger(__name__)
T = TypeVar("T")

_BUSY = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
    DatabaseBusy,
    DatabaseConflict,
)


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


def definitions(schema: str, types: IdTypes) -> Iterator[str]:
    """The statements that define what an adoption, or undoing one, needs of our schema."""
    for path in _files():
        yield render(path, schema, types)


def define(connection: Connection, schema: str) -> IdTypes:
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


def _files() -> list[Path]:
    """What an adoption needs of our schema, in the order in which it is created."""
    identity = SQL / "functions"
    return [
        *sorted(SQL.glob("migrations/*.up.1_adoption.sql")),
        *sorted(identity.glob("adoption/*.sql")),
        *sorted(SQL.glob("adoption/*.sql")),
    ]


def forget(connection: Connection) -> None:
    """Drop the functions that only an adoption needs."""
    with connection.transaction():
        for path in sorted(SQL.glob("adoption/*.sql")):
            connection.execute(
                sql.SQL("drop function if exists {}").format(sql.Identifier(path.stem))
            )


def without_triggers(connection: Connection) -> None:
    """Fire none of the owner's triggers for our changes, and have a vacuum make room sooner than
    our lock time-out, where the role may say so."""
    for setting in ("session_replication_role = replica", "deadlock_timeout = '100ms'"):
        try:
            connection.execute(f"set {setting}".encode())
        except psycopg.errors.InsufficientPrivilege:
            _log.info("this role may not set %s", setting)


@contextmanager
def connected(url: str, schema: str) -> Iterator[Connection]:
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


def call(connection: Connection, function: str, *arguments: Any) -> Any:
    """Call a function of an adoption. Returns its value."""
    statement = sql.SQL("select {}({})").format(
        sql.Identifier(function), sql.SQL(", ").join([sql.Placeholder()] * len(arguments))
    )
    row = connection.execute(statement, arguments).fetchone()
    return row[0] if row else None


def rows(connection: Connection, function: str) -> list[Any]:
    statement = sql.SQL("select * from {}()").format(sql.Identifier(function))
    return connection.execute(statement).fetchall()


def texts(connection: Connection, function: str) -> list[str]:
    return [text for (text,) in rows(connection, function)]
