"""Connections that mean the same on every server, whatever is set on the database or the role.

A direct connection gets our settings when it starts. A pooler refuses or drops them: behind it each
transaction sets them for itself, and leaves nothing on the server's connection, which others share.
"""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

import psycopg
from psycopg import IsolationLevel, pq, sql
from psycopg.abc import Buffer
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import Row, RowFactory, TupleRow
from psycopg.types.datetime import TimestamptzBinaryLoader

from messenger_pipeline.errors import UnfitServer

OLDEST = 15
"""The oldest major version of PostgreSQL that has what we use."""

_SETTINGS = {
    # How values are read and written.
    "DateStyle": "ISO,MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
    "array_nulls": "on",
    "transform_null_equals": "off",
    "quote_all_identifiers": "off",
    # With it off, a policy would fail a statement that it need not concern.
    "row_security": "on",
    # Each of our calls has a limit of its own where it needs one.
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}
_OF_SESSIONS = {"idle_session_timeout": "0", "default_transaction_isolation": "read\\ committed"}
"""Only where a session is ours: a transaction states its isolation when it begins."""

_MARK = "messenger_pipeline.pinned"
_OPTIONS = " ".join(
    f"-c {name}={value}" for name, value in (_SETTINGS | _OF_SESSIONS | {_MARK: "1"}).items()
)
_REFUSED = re.compile(r"parameter|option", re.IGNORECASE)
"""In the error of a server or pooler that does not accept `options`."""

_pooled: set[str] = set()
"""Connection strings that lead to a pooler which refuses `options`."""

_KEYWORDS: dict[str, Any] = {
    "autocommit": True,  # each call is a transaction: one round trip, not four
    "prepare_threshold": None,  # prepared statements fail behind a transaction pooler
    "client_encoding": "utf8",
}


@dataclass(frozen=True)
class Facts:
    """What a connection's first query finds. `version` as server_version_num."""

    pinned: bool
    version: int
    encoding: str
    is_replica: bool
    is_read_only: bool


class Connection(psycopg.Connection[TupleRow]):
    """A connection with our settings; unless it is `pinned`, within `settled` alone."""

    facts: Facts

    @classmethod
    def connect(cls, conninfo: str = "", **kwargs: Any) -> Self:
        try:
            connection = super().connect(conninfo, **_keywords(conninfo, kwargs))
        except psycopg.OperationalError as error:
            if not _note_refusal(conninfo, error):
                raise
            connection = super().connect(conninfo, **_keywords(conninfo, kwargs))
        try:
            found = connection.execute(_look(connection.info.server_version)).fetchone()
        except BaseException:
            connection.close()
            raise
        connection.facts = _facts(connection.info.server_version, found)
        if not connection.facts.pinned:
            connection.adapters.register_loader("timestamptz", _UtcLoader)
        connection.isolation_level = IsolationLevel.READ_COMMITTED  # of explicit transactions
        return connection


class AsyncConnection(psycopg.AsyncConnection[TupleRow]):
    """As Connection."""

    facts: Facts

    @classmethod
    async def connect(cls, conninfo: str = "", **kwargs: Any) -> Self:
        try:
            connection = await super().connect(conninfo, **_keywords(conninfo, kwargs))
        except psycopg.OperationalError as error:
            if not _note_refusal(conninfo, error):
                raise
            connection = await super().connect(conninfo, **_keywords(conninfo, kwargs))
        try:
            cursor = await connection.execute(_look(connection.info.server_version))
            found = await cursor.fetchone()
        except BaseException:
            await connection.close()
            raise
        connection.facts = _facts(connection.info.server_version, found)
        await connection.set_isolation_level(IsolationLevel.READ_COMMITTED)
        return connection


class _UtcLoader(TimestamptzBinaryLoader):
    def load(self, data: Buffer) -> datetime:
        return super().load(data).astimezone(UTC)


def accepts_options(url: str) -> bool:
    """Return whether `options` reach the server. Raises psycopg.Error."""
    with Connection.connect(url, connect_timeout=10) as connection:
        return connection.facts.pinned


@contextmanager
def settled(connection: Connection) -> Iterator[None]:
    """Run one call with our settings. Behind a pooler it is a transaction."""
    if connection.facts.pinned:
        yield
        return
    with connection.pipeline(), connection.transaction():
        connection.execute(local_settings(connection))
        yield


def open_cursor(connection: Connection, row_factory: RowFactory[Row]) -> psycopg.Cursor[Row]:
    """Return a cursor that reads values by no setting of the session: behind a pooler the session's
    are not the transaction's, and the driver reads text by them."""
    return connection.cursor(row_factory=row_factory, binary=not connection.facts.pinned)


@asynccontextmanager
async def settled_async(connection: AsyncConnection) -> AsyncIterator[None]:
    """As settled."""
    if connection.facts.pinned:
        yield
        return
    async with connection.pipeline(), connection.transaction():
        await connection.execute(local_settings(connection))
        yield


def local_settings(connection: Connection | AsyncConnection, **further: str) -> sql.Composed:
    """Return the statement that makes our settings, and `further` ones, the transaction's."""
    settings = dict(further)
    if not connection.facts.pinned:
        settings = _SETTINGS | settings
        if connection.facts.version >= 17_00_00:
            settings["transaction_timeout"] = "0"
    calls = [
        sql.SQL("set_config({}, {}, true)").format(name, value) for name, value in settings.items()
    ]
    return sql.SQL("select {}").format(sql.SQL(", ").join(calls))


def require_fit(facts: Facts) -> None:
    """Raise UnfitServer, in one sentence with the remedy, unless our data can be kept there."""
    fault = describe_fault(facts)
    if fault:
        raise UnfitServer(fault)


def require_usable(connection: Connection) -> None:
    """As require_fit, and unless a pooler in between lets us have transactions."""
    require_fit(connection.facts)
    if connection.facts.pinned:
        return
    try:
        with connection.transaction():
            connection.execute("select 1")
    except psycopg.OperationalError as error:
        if "statement pooling" not in str(error):
            raise
        raise UnfitServer(
            "The pooler of MESSENGER_DATABASE_URL has the mode statement, which knows no"
            " transactions: set its pool_mode to transaction or session."
        ) from None


def require_writable(facts: Facts, setting: str) -> None:
    """Raise UnfitServer, in one sentence, unless the database of this setting can be written."""
    fault = _describe_unwritable(facts, setting)
    if fault:
        raise UnfitServer(fault)


def describe_fault(facts: Facts) -> str | None:
    """Return why a server cannot keep our data, with the remedy."""
    setting = "MESSENGER_DATABASE_URL"
    if facts.version < OLDEST * 10_000:
        return (
            f"The server is PostgreSQL {_major(facts.version)}, and messenger-pipeline needs"
            f" {OLDEST} or newer: upgrade it, or name another server in {setting}."
        )
    if facts.encoding != "UTF8":
        return (
            f"The database's encoding is {facts.encoding}, which cannot hold every message: create"
            " one with `create database … encoding 'UTF8' template template0`, and name it in"
            f" {setting}."
        )
    return _describe_unwritable(facts, setting)


def _describe_unwritable(facts: Facts, setting: str) -> str | None:
    if facts.is_replica:
        return f"The server is a replica, which cannot be written: name the primary in {setting}."
    if facts.is_read_only:
        return (
            "The database is read only (default_transaction_read_only is on): switch that off"
            " where it is set, once whoever set it agrees: a host does so when a disk is full."
        )
    return None


def _major(version: int) -> str:
    """As people name it: 9.6, 14."""
    return (
        str(version // 10_000)
        if version >= 10_00_00
        else f"{version // 10_000}.{version // 100 % 100}"
    )


def _keywords(conninfo: str, kwargs: dict[str, Any]) -> dict[str, Any]:
    keywords = _KEYWORDS | kwargs
    if conninfo not in _pooled:
        keywords["options"] = f"{_given_options(conninfo)} {_OPTIONS}".strip()
    return keywords


def _given_options(conninfo: str) -> str:
    """The `options` of the URL, else of PGOPTIONS. Ours come last, and win."""
    given = conninfo_to_dict(conninfo).get("options")
    if given is None:
        [given] = [
            (one.val or b"").decode()
            for one in pq.Conninfo.get_defaults()
            if one.keyword == b"options"
        ]
    return str(given)


def _note_refusal(conninfo: str, error: psycopg.OperationalError) -> bool:
    """Whether it is worth an attempt without our options."""
    if conninfo in _pooled or not _REFUSED.search(str(error)):
        return False
    _pooled.add(conninfo)
    return True


def _look(version: int) -> sql.SQL:
    # transaction_timeout, which no older server knows, is no startup option: it would be refused.
    timeout = (
        f", set_config('transaction_timeout', '0', current_setting('{_MARK}', true) is null)"
        if version >= 17_00_00
        else ""
    )
    return sql.SQL(
        f"select current_setting('{_MARK}', true), current_setting('server_encoding'),"
        f" pg_is_in_recovery(), current_setting('transaction_read_only'){timeout}"
    )


def _facts(version: int, found: TupleRow | None) -> Facts:
    assert found is not None
    return Facts(found[0] == "1", version, found[1], found[2], found[3] == "on")
