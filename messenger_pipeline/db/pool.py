"""Connections, transactions, and the translation of the driver's errors."""

import dataclasses
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import psycopg
from psycopg import sql
from psycopg_pool import ConnectionPool, PoolTimeout

from messenger_pipeline.db import server
from messenger_pipeline.db.server import Connection
from messenger_pipeline.errors import (
    ConfigurationError,
    DatabaseBusy,
    DatabaseConflict,
    DatabaseError,
    DatabaseUnavailable,
    LeaseLost,
    MostlyRefused,
    PageRemoved,
    PipelineError,
    SchemaError,
    SessionMoved,
    UpgradeRefused,
    VerificationError,
    VersionConflict,
)

_KINDS: dict[str, type[DatabaseError]] = {
    "MPL01": LeaseLost,
    "MPS01": SessionMoved,
    "MPV01": VersionConflict,
    "MPC01": VerificationError,
    "MPQ01": MostlyRefused,
    "MPG01": PageRemoved,
    "MPX01": UpgradeRefused,
    "2BP01": UpgradeRefused,  # dependent objects still exist
    "3F000": SchemaError,  # undefined schema
    "55P03": DatabaseBusy,  # lock not available
    "42P01": SchemaError,  # undefined table
    "42883": SchemaError,  # undefined function
    "42P07": UpgradeRefused,  # a relation of that name exists
    "42710": UpgradeRefused,  # a type, policy or constraint of that name exists
    "42723": UpgradeRefused,  # a function of that name exists
}

_OF_URL = (
    r"invalid (URI|connection option|integer value|percent|port|\w+ value:)|in URI|URI query"
    r"|missing \"=\" after|could not match \d+ "
)
"""Texts of libpq about a connection string."""

_REFUSED = r'(database|role) ".*" does not exist|authentication failed|no pg_hba.conf entry'
"""Texts of a server that refuses an account or database; libpq gives no SQLSTATE for them."""

_TAKEN = frozenset({"42P07", "42710", "42723"})
"""A name that an upgrade needs is somebody else's."""

_CONTRACT = frozenset(
    {
        "acquire_sync_lock",
        "release_sync_lock",
        "extend_sync_lock",
        "cleanup_expired_locks",
        "upsert_conversation_with_events",
        "bulk_upsert_conversations_with_events",
    }
)
"""Functions in the data schema: clients of the replaced application call them too."""

_LOADS = frozenset({"load_sync_response", "count_webhook_claim"})
"""Functions with a pool of their own. In a shared one each connection would plan the loads again; a
claim, whose caller holds a connection of the other pool, would wait for another such caller's."""
_CONFLICTS = 4  # retries of a call that conflicts with another before it fails
_PAUSE = 0.2  # seconds between attempts to reach a lost server
_UPGRADE = "Run `messenger-pipeline db upgrade`."


@contextmanager
def translated(
    *, setting: str = "MESSENGER_DATABASE_URL", remedy: str = _UPGRADE
) -> Iterator[None]:
    """Translate psycopg's errors into ours, without passwords. `setting` names the URL of the
    database; `remedy` says what to do if an object is missing."""
    try:
        yield
    except PoolTimeout as error:
        raise DatabaseUnavailable(f"PostgreSQL cannot be reached: {_words(error)}") from None
    except psycopg.Error as error:
        # Not chained: the original quotes rows, and may quote a password.
        raise _ours(error, setting, remedy) from None


def _ours(error: psycopg.Error, setting: str, remedy: str) -> PipelineError:
    state = error.sqlstate
    # libpq does not accept the URL, or the server its account or database.
    if state in ("28P01", "28000", "3D000") or (state is None and re.search(_OF_URL, str(error))):
        return ConfigurationError(
            f"PostgreSQL refuses the connection: {_words(error)}. Correct {setting}."
        )
    if _is_away(error):
        done = "written" if state == "25006" else "reached"
        text = f"PostgreSQL cannot be {done}: {_words(error)}"
        # Retried all the same: a password may be changing at this moment.
        return DatabaseUnavailable(
            f"{text}. Correct {setting}." if re.search(_REFUSED, text) else text
        )
    if state is None:
        return DatabaseError(_words(error))
    kind = _kind(state, remedy)
    text = error.diag.message_primary or state
    if state == "42501":  # insufficient privilege
        text += ". Connect as its owner, or as a role to which the owner granted it (sql/roles.sql)"
    if state == "55P03":  # lock not available
        text += ". Another transaction holds a lock: retry when it has ended"
    # Our own details, and those that name objects: PostgreSQL's others quote the rejected row.
    detail = error.diag.message_detail
    if detail and (state.startswith("MP") or kind is UpgradeRefused):
        text += f". {detail.rstrip('.')}"
    if state == "2BP01":
        text += ". Drop what is built on it, run the command again, and create it again"
    if state in _TAKEN:
        text += ". Rename or drop that object, or choose another MESSENGER_DATABASE_SCHEMA"
    if kind is SchemaError:
        text += f". {remedy}"
    return kind(text)


def _is_away(error: psycopg.Error) -> bool:
    state = error.sqlstate
    # A read-only transaction: the server has become a replica.
    return state == "25006" or (
        isinstance(error, psycopg.OperationalError)
        and (state is None or state.startswith(("08", "53", "57P")))
    )


def _kind(state: str, remedy: str) -> type[DatabaseError]:
    if state.startswith("40"):
        return DatabaseConflict
    # An undefined column: outside of an upgrade it may be a mistake in a trigger of the owner's.
    if state == "42703" and remedy != _UPGRADE:
        return SchemaError
    return _KINDS.get(state, DatabaseError)


def _words(error: Exception) -> str:
    """Return an error's text on one line, without the credentials of a URL or a conninfo."""
    text = " ".join(str(error).split())
    text = re.sub(r"://[^@\s/]*@", "://***@", text)
    # What precedes an @ that is not percent-encoded, or follows a bare %.
    text = re.sub(r"'[^'\s]*@", "'***@", text)
    text = re.sub(r'token: ".*"', "token: ***", text)
    return re.sub(r"password=\S+", "password=***", text)


def check_reachable(url: str, setting: str) -> None:
    """Raise PipelineError, which names the URL's setting, unless the database can be written."""
    with translated(setting=setting), Connection.connect(url, connect_timeout=10) as connection:
        server.require_writable(connection.facts, setting)


def own_schema(data_schema: str) -> str:
    """Return the name of our own schema for a data schema."""
    return "messenger_pipeline" if data_schema == "public" else f"{data_schema}_pipeline"


class Database:
    """A pool of connections to one database, for our two schemas. Use it as a context manager.

    `schema` is the data schema, which holds what users read. Our own schema holds the rest.
    """

    def __init__(
        self, url: str, *, schema: str = "public", timeout: float = 30.0, size: int = 4
    ) -> None:
        self.schema = schema
        self._timeout = timeout
        self._own = own_schema(schema)
        self._search_path = f'"{self._own}", "{schema}", pg_temp'
        self._url = url
        self._pool = self._new_pool(size)
        self._loading = self._new_pool(size)

    def __enter__(self) -> "Database":
        # The pool would retry a refused connection until its timeout; a wrong password or host
        # should fail at once.
        with translated():
            seconds = max(2, int(self._timeout))
            with Connection.connect(self._url, connect_timeout=seconds) as connection:
                server.require_usable(connection)
            self._pool.open()
            self._loading.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.close(timeout=5)
        self._loading.close(timeout=5)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Open a transaction in our schemas. It commits at the end and rolls back on an error."""
        with translated(), self._pool.connection() as connection, connection.transaction():
            # Per transaction, not per session: a pooler may share connections.
            connection.execute(server.local_settings(connection, search_path=self._search_path))
            yield connection

    def call(self, function: str, row: type[Any] | None = None, **arguments: Any) -> list[Any]:
        """Return the rows of `select … from function(name => value, …)`, in its own transaction.

        With `row`, a dataclass, each row is an instance of it. Only its fields are selected, since
        a newer schema may return more.

        Retries a call after a deadlock or a serialization failure, and after a lost connection
        until the pool's timeout, since the server may be restarting. A call whose connection was
        lost may have committed, so every function must tolerate a repeated call.
        """
        pool = self._loading if function in _LOADS else self._pool
        conflicts, patient_until = 0, time.monotonic() + self._timeout
        while True:
            try:
                with translated(), pool.connection() as connection, server.settled(connection):
                    schema = self.schema if function in _CONTRACT else self._own
                    name = sql.Identifier(schema, function)
                    return _call(connection, name, row, arguments)
            except DatabaseConflict:
                conflicts += 1
                if conflicts > _CONFLICTS:
                    raise
            except DatabaseUnavailable:
                if time.monotonic() > patient_until:
                    raise
                time.sleep(_PAUSE)
                pool.check()

    def _new_pool(self, size: int) -> ConnectionPool[Connection]:
        with translated():
            return ConnectionPool(
                self._url,
                connection_class=Connection,
                min_size=0,
                max_size=size,
                timeout=self._timeout,
                open=False,
                reconnect_timeout=self._timeout,
                kwargs={"application_name": "messenger-pipeline"},
            )

    def rows(self, view: str) -> list[dict[str, Any]]:
        """Return all rows of a view, ordered by page."""
        statement = sql.SQL("select * from {} order by page_id").format(sql.Identifier(view))
        with (
            self.transaction() as connection,
            server.open_cursor(connection, psycopg.rows.dict_row) as cursor,
        ):
            return cursor.execute(statement).fetchall()

    def value(self, function: str, **arguments: Any) -> Any:
        """Return the single value that a function returns."""
        return self.call(function, **arguments)[0][0]


def call(
    connection: Connection, function: str, row: type[Any] | None = None, **arguments: Any
) -> list[Any]:
    """Call a function like `Database.call`, within an open transaction and without retries."""
    return _call(connection, sql.Identifier(function), row, arguments)


def _call(
    connection: Connection,
    function: sql.Identifier,
    row: type[Any] | None,
    arguments: dict[str, Any],
) -> list[Any]:
    columns: sql.Composable = sql.SQL("*")
    if row:
        fields = [sql.Identifier(field.name) for field in dataclasses.fields(row)]
        columns = sql.SQL(", ").join(fields)
    statement = sql.SQL("select {} from {}({})").format(
        columns,
        function,
        sql.SQL(", ").join(
            sql.SQL("{} => {}").format(sql.Identifier(f"p_{name}"), sql.Placeholder(name))
            for name in arguments
        ),
    )
    factory = psycopg.rows.class_row(row) if row else psycopg.rows.tuple_row
    with server.open_cursor(connection, factory) as cursor:
        return cursor.execute(statement, arguments).fetchall()
