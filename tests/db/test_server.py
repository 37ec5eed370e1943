"""Odd servers and poolers: our settings hold whatever is set on the database or the role."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from messenger_pipeline.db import migrate
from messenger_pipeline.db.pool import Database
from tests.db.test_load import conversation, event, upsert
from tests.poolers import needs_pgbouncer, pooler

ODD = {
    "DateStyle": "SQL, DMY",
    "IntervalStyle": "sql_standard",
    "TimeZone": "Asia/Kathmandu",
    "default_transaction_isolation": "serializable",
    "bytea_output": "escape",
    "standard_conforming_strings": "off",
    "array_nulls": "off",
    "extra_float_digits": "-10",
    "quote_all_identifiers": "on",
    "row_security": "off",
    "search_path": "pg_catalog",
    "statement_timeout": "20s",
    "lock_timeout": "20s",
    "idle_in_transaction_session_timeout": "20s",
    "synchronous_commit": "off",
    "jit": "on",
}


def set_odd(url: str, **further: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        [(name,)] = connection.execute("select current_database()").fetchall()
        connection.execute("set statement_timeout = 0")
        for setting, value in (ODD | further).items():
            connection.execute(f"alter database {name} set {setting} = {value!r}")


@pytest.fixture
def direct_or_pooled(url: str, request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "direct":
        yield url
        return
    settings = {} if request.param == "refused" else {"ignore_startup_parameters": "options"}
    with pooler(url, **settings) as running:
        yield running.url()


everywhere = pytest.mark.parametrize(
    "direct_or_pooled",
    [
        "direct",
        pytest.param("refused", marks=needs_pgbouncer),
        pytest.param("dropped", marks=needs_pgbouncer),
    ],
    indirect=True,
)


@everywhere
def test_settings_of_the_database_change_nothing(url: str, direct_or_pooled: str) -> None:
    set_odd(url)
    names = "', '".join(sorted({*ODD} - {"jit", "synchronous_commit"}))
    with Database(direct_or_pooled, timeout=10) as database:
        with database.transaction() as connection:
            found = connection.execute(
                f"select name, setting from pg_settings where name in ('{names}',"
                " 'transaction_isolation')"
            ).fetchall()
            [(at, span, data)] = connection.execute(
                "select timestamptz '2026-01-02 03:04:05.678+00', interval '1 day 2:03',"
                " '\\x01ff'::bytea"
            ).fetchall()
        assert dict(found) | {"default_transaction_isolation": "-"} == {
            "DateStyle": "ISO, MDY",
            "IntervalStyle": "postgres",
            "TimeZone": "UTC",
            "default_transaction_isolation": "-",
            "transaction_isolation": "read committed",
            "bytea_output": "hex",
            "standard_conforming_strings": "on",
            "array_nulls": "on",
            "extra_float_digits": "1",
            "quote_all_identifiers": "off",
            "row_security": "on",
            "search_path": '"messenger_pipeline", "public", pg_temp',
            "statement_timeout": "0",
            "lock_timeout": "0",
            "idle_in_transaction_session_timeout": "0",
        }
        assert at == datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)
        assert span == timedelta(days=1, hours=2, minutes=3)
        assert data == b"\x01\xff"
        upsert(database, "10", conversation("20", event("m_1")))
        assert set(migrate.verify(database).values()) == {None}
