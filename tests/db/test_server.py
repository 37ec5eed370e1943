"""Odd servers and poolers: our settings hold whatever is set on the database or the role."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from messenger_pipeline.db import migrate
from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.server import Facts, describe_fault
from messenger_pipeline.errors import BlindRole, UnfitServer
from tests.db.test_guest import create_role, execute
from tests.db.test_load import conversation, event, upsert
from tests.poolers import needs_pgbouncer, pooler
from tests.web.conftest import serve_receiver

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


# -- Row level security -------------------------------------------------------------------------


BLINDING = [
    (
        ["alter table messenger_conversations force row level security",
         "create policy theirs on messenger_conversations as restrictive using (false)"],
        "The policy theirs hides rows of messenger_conversations from the role blind: drop",
    ),
    (
        ["alter table facebook_pages force row level security",
         "drop policy facebook_pages_pipeline on facebook_pages"],
        r"hides rows of facebook_pages from the role blind.*create policy blind_sees_all on"
        r" facebook_pages to blind using \(true\)",
    ),
    (
        ["alter table sync_state force row level security",
         "create policy theirs on sync_state as restrictive for delete using (user_id is null)"],
        "The policy theirs hides rows of sync_state from the role blind",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("statements", "sentence"), BLINDING)
def test_an_owner_that_policies_make_blind_is_told_so(
    empty_url: str, statements: list[str], sentence: str
) -> None:
    blind = upgraded_by_a_role(empty_url)
    # What does not hide anything is no reason.
    execute(
        empty_url,
        "alter table messenger_conversations force row level security",
        "create policy harmless on messenger_conversations as restrictive using (true)",
        "create policy mine on sync_state using (user_id = 'me')",
        "create policy others on facebook_pages as restrictive to pg_monitor using (false)",
        "alter table facebook_pages force row level security",
    )
    with Database(blind, timeout=10) as database:
        migrate.require_current(database)
        execute(empty_url, *statements)
        with pytest.raises(BlindRole, match=sentence):
            migrate.require_current(database)


def upgraded_by_a_role(empty_url: str) -> str:
    """The connection string of a role without privileges beyond its schemas, which it owns."""
    create_role(empty_url, "blind")
    execute(
        empty_url,
        "grant usage, create on schema public to blind",
        "create schema messenger_pipeline authorization blind",
    )
    blind = make_conninfo(empty_url, options="-c role=blind")
    migrate.upgrade(blind, "public")
    return blind


def test_a_role_with_grants_but_no_policy_is_told_so_instead_of_seeing_no_page(url: str) -> None:
    create_role(url, "blind")
    execute(url, "grant all on all tables in schema public, messenger_pipeline to blind",
            "grant usage on schema public, messenger_pipeline to blind")  # fmt: skip
    with (
        Database(make_conninfo(url, options="-c role=blind"), timeout=10) as database,
        pytest.raises(
            BlindRole, match=r"rows of facebook_pages, .*, sync_state, .* from the role blind"
        ),
    ):
        migrate.require_current(database)


# -- Servers that cannot hold our data -----------------------------------------------------------


def test_a_database_in_another_encoding_is_refused_in_a_sentence(server: str) -> None:
    name = "other_encoding"
    execute(
        server,
        f"drop database if exists {name}",
        f"create database {name} encoding 'LATIN1' locale 'C' template template0",
    )
    address = make_conninfo(server, dbname=name)
    for attempt in (lambda: migrate.upgrade(address, "public"), Database(address).__enter__):
        with pytest.raises(UnfitServer, match=r"^The database's encoding is LATIN1.*'UTF8'.*\.$"):
            attempt()
    execute(server, f"drop database {name} with (force)")


def test_a_read_only_database_is_refused_in_a_sentence(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        [(name,)] = connection.execute("select current_database()").fetchall()
        connection.execute(f"alter database {name} set default_transaction_read_only = on")
    for attempt in (lambda: migrate.upgrade(url, "public"), Database(url).__enter__):
        with pytest.raises(UnfitServer, match=r"^The database is read only .*switch that off"):
            attempt()


def test_a_receiver_whose_database_becomes_read_only_is_not_ready_and_takes_nothing(
    url: str,
) -> None:
    with serve_receiver(url) as receiver, psycopg.connect(url, autocommit=True) as connection:
        assert receiver.post(b"{}").status_code == 200
        assert receiver.request("GET", "/readyz").status_code == 200
        [(name,)] = connection.execute("select current_database()").fetchall()
        connection.execute(f"alter database {name} set default_transaction_read_only = on")
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s and pid <>"
            " pg_backend_pid()", [name]
        )  # fmt: skip
        answer = receiver.request("GET", "/readyz")
        assert answer.status_code == 503
        assert answer.json()["error"].startswith("The database is read only")
        assert {receiver.post(b"{}").status_code for _ in range(2)} == {503}
        connection.execute(f"alter database {name} reset default_transaction_read_only")
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s and pid <>"
            " pg_backend_pid()", [name]
        )  # fmt: skip
        receiver.post(b"{}")
        assert receiver.post(b"{}").status_code == 200
        assert receiver.request("GET", "/readyz").status_code == 200


def test_what_a_server_lacks_is_said_with_the_remedy() -> None:
    fit = Facts(True, 15_00_04, "UTF8", is_replica=False, is_read_only=False)
    assert describe_fault(fit) is None
    found = [
        describe_fault(replace(fit, **fault))
        for fault in (
            {"version": 14_00_11},
            {"version": 9_06_24},
            {"encoding": "SQL_ASCII"},
            {"is_replica": True, "is_read_only": True},
        )
    ]
    assert [str(one)[:52] for one in found] == [
        "The server is PostgreSQL 14, and messenger-pipeline ",
        "The server is PostgreSQL 9.6, and messenger-pipeline",
        "The database's encoding is SQL_ASCII, which cannot h",
        "The server is a replica, which cannot be written: na",
    ]
