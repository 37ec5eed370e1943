"""Connections, transactions, and the driver's errors as ours."""

import dataclasses
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool, PoolTimeout

from messenger_pipeline.errors import (
    ConfigurationError,
    DatabaseConflict,
    DatabaseError,
    DatabaseUnavailable,
    LeaseLost,
    MostlyRefused,
    PipelineError,
    SchemaError,
    SessionMoved,
    UpgradeRefused,
    VerificationError,
    VersionConflict,
)

Connection = psycopg.Connection[TupleRow]

_KINDS: dict[str, type[DatabaseError]] = {
    "MPL01": LeaseLost,
    "MPS01": SessionMoved,
    "MPV01": VersionConflict,
    "MPC01": VerificationError,
    "MPQ01": MostlyRefused,
    "MPX01": UpgradeRefused,
    "3F000": SchemaError,  # undefined schema
    "42P01": SchemaError,  # undefined table
    "42883": SchemaError,  # undefined function
}

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
"""Functions that stand in the data schema: the replaced application called them, too."""


_LOADS = frozenset({"load_sync_response"})
"""Calls with connections of their own: a pool hands its connections round, and each would learn
the plans of a load anew."""
_CONFLICTS = 4  # times that a call gives way to another before it fails
_PAUSE = 0.2  # seconds between two looks whether a lost server is there again


@contextmanager
def translated() -> Iterator[None]:
    """Turn psycopg's errors into ours; none of them repeats a password."""
    try:
        yield
    except PoolTimeout as error:
        raise DatabaseUnavailable(f"PostgreSQL cannot be reached: {_words(error)}") from None
    except psycopg.Error as error:
        # Not chained: the original repeats rows, and may repeat a password.
        raise _ours(error) from None


def _ours(error: psycopg.Error) -> PipelineError:
    state = error.sqlstate
    if state in ("28P01", "28000", "3D000"):
        return ConfigurationError(
            f"PostgreSQL refuses the connection: {_words(error)}. Correct MESSENGER_DATABASE_URL."
        )
    if isinstance(error, psycopg.OperationalError) and (
        state is None or state.startswith(("08", "53", "57P"))
    ):
        return DatabaseUnavailable(f"PostgreSQL cannot be reached: {_words(error)}")
    if state is None:
        return DatabaseError(_words(error))
    kind = DatabaseConflict if state.startswith("40") else _KINDS.get(state, DatabaseError)
    text = error.diag.message_primary or state
    if state == "42501":  # insufficient privilege
        text += ". Connect as the owner of the schema, or have it grant the right"
    if state == "55P03":  # lock not available
        text += ". Another transaction holds a lock: try again when it has ended"
    # Only our own details: PostgreSQL's repeat the row that it refused.
    if state.startswith("MP") and error.diag.message_detail:
        detail = error.diag.message_detail
        text += f". {detail}" if kind is UpgradeRefused else f" ({detail})"
    if kind is SchemaError:
        text += ". Run `messenger-pipeline db upgrade`."
    return kind(text)


def _words(error: Exception) -> str:
    """An error's text on one line, without the credentials of a URL or a conninfo."""
    text = " ".join(str(error).split())
    text = re.sub(r"://[^@\s/]*@", "://***@", text)
    # What stood before an @ that was not percent-encoded, or behind a bare %.
    text = re.sub(r"'[^'\s]*@", "'***@", text)
    text = re.sub(r'token: ".*"', "token: ***", text)
    return re.sub(r"password=\S+", "password=***", text)


def check_reachable(url: str) -> None:
    """Raise DatabaseUnavailable, or ConfigurationError, unless the database lets us in."""
    with translated():
        psycopg.connect(url, connect_timeout=10).close()


def own_schema(data_schema: str) -> str:
    """The name of our own schema, which stands beside a data schema."""
    return "messenger_pipeline" if data_schema == "public" else f"{data_schema}_pipeline"


class Database:
    """A pool of connections to one database, and our two schemas in it. Use as a context manager.

    `schema` is the data schema: what people read. The rest stands in our own.
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
        # The pool retries a refused connection until its time is out; a wrong password or host
        # should be said at once.
        with translated():
            psycopg.connect(self._url, connect_timeout=max(2, int(self._timeout))).close()
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
        """A transaction in our schemas: committed at the end, rolled back on an error."""
        with translated(), self._pool.connection() as connection, connection.transaction():
            # Per transaction, not per session: connections may be shared behind a pooler.
            connection.execute("select set_config('search_path', %s, true)", [self._search_path])
            yield connection

    def call(self, function: str, row: type[Any] | None = None, **arguments: Any) -> list[Any]:
        """The rows of `select … from function(name => value, …)` in a transaction of its own. The
        function finds its tables by the schemas that it was made in.

        With `row`, a dataclass, each row is one of it, and only its fields are selected: a newer
        schema may return more. A call that met another in a deadlock or
        a serialization failure is made again, and so is one whose connection was lost, for as
        long as one waits for a connection: the server may be restarting. Whether that call was
        committed is not known, so a function must bear to be called twice.
        """
        pool = self._loading if function in _LOADS else self._pool
        conflicts, patient_until = 0, time.monotonic() + self._timeout
        while True:
            try:
                with translated(), pool.connection() as connection:
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

    def _new_pool(self, size: int) -> ConnectionPool:
        with translated():
            return ConnectionPool(
                self._url,
                min_size=0,
                max_size=size,
                timeout=self._timeout,
                open=False,
                reconnect_timeout=self._timeout,
                kwargs={
                    "autocommit": True,  # a call is a transaction: one round trip, not four
                    # They break behind a transaction pooler.
                    "prepare_threshold": None,
                    "application_name": "messenger-pipeline",
                },
            )

    def rows(self, view: str) -> list[dict[str, Any]]:
        """Every row of a view, by page."""
        statement = sql.SQL("select * from {} order by page_id").format(sql.Identifier(view))
        with (
            self.transaction() as connection,
            connection.cursor(row_factory=psycopg.rows.dict_row) as cursor,
        ):
            return cursor.execute(statement).fetchall()

    def value(self, function: str, **arguments: Any) -> Any:
        """The single value that a function returns."""
        return self.call(function, **arguments)[0][0]


def call(
    connection: Connection, function: str, row: type[Any] | None = None, **arguments: Any
) -> list[Any]:
    """Like `Database.call`, within a transaction that is open."""
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
    with connection.cursor(row_factory=factory) as cursor:
        return cursor.execute(statement, arguments).fetchall()
