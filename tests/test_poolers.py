"""Everything through PgBouncer in transaction mode, with three connections to the server."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import quote

import dagster as dg
import pytest

from messenger_pipeline.db import inbox, migrate, notifications
from messenger_pipeline.db.notifications import listen
from messenger_pipeline.db.pool import Database
from messenger_pipeline.engine import Engine
from messenger_pipeline.errors import (
    ConfigurationError,
    PipelineError,
    UnfitServer,
    VersionConflict,
)
from messenger_pipeline.graph.client import GraphApi
from messenger_pipeline.postgres_url import clean_postgres_url
from messenger_pipeline.project import PROJECT
from messenger_pipeline.vault import TokenVault, new_key
from messenger_pipeline.webhook.drain import drain_batch
from tests.conftest import register
from tests.db.test_guest import execute
from tests.db.test_load import query
from tests.db.test_server import set_odd
from tests.poolers import Pooler, connections_of_servers, needs_pgbouncer, pooler
from tests.walking import Simulate, stored, truth, walk
from tests.web.conftest import serve_receiver
from tests.webhook.bodies import body, text

pytestmark = needs_pgbouncer

STEPS = "select sum(step) from public.sync_state"


@pytest.fixture
def pooled(empty_url: str) -> Iterator[Pooler]:
    """Before a database without the schema, on which odd settings are set."""
    set_odd(empty_url)
    with pooler(empty_url) as running:
        yield running


def test_syncs_deliveries_and_the_status_page_share_three_connections(
    empty_url: str, pooled: Pooler, simulate: Simulate, vault: TokenVault
) -> None:
    url = pooled.url()
    migrate.upgrade(url, "public")
    assert migrate.upgrade(url, "public") == []
    simulated = simulate(conversations=40, pages=3)
    with Database(url, timeout=60) as database, serve_receiver(url) as receiver:
        register(database, vault, simulated)
        engine = Engine(database, GraphApi(simulated.url, "v26.0"), vault, 10_000)
        with ThreadPoolExecutor(20) as pool:
            walks = [pool.submit(walk, engine, page.id) for page in simulated.pages]
            posts = [
                pool.submit(receiver.post, body(text(n, f"wh-{n}", "hi"), page=simulated.page.id))
                for n in range(60)
            ]
            looks = [
                pool.submit(receiver.request, "GET", path)
                for path in ("/", "/readyz", "/metrics") * 7
            ]
            assert {post.result().status_code for post in posts} == {200}
            assert {look.result().status_code for look in looks} == {200}
            assert [one.result().outcome for one in walks] == ["completed"] * 3
        assert connections_of_servers(empty_url) <= 3
        while drain_batch(database).deliveries:
            pass
        assert inbox.count_due(database).deliveries == 0
        webhooks = "select count(*) from contact_interaction_events where message_id like 'wh-%'"
        assert query(database, webhooks) == [(60,)]
        execute(empty_url, "set search_path = public; set statement_timeout = 0;"
                " delete from contact_interaction_events where message_id like 'wh-%'")  # fmt: skip
        assert stored(database) == truth(simulated)


def test_nothing_of_a_transaction_is_left_on_the_servers_connection(
    empty_url: str, pooled: Pooler
) -> None:
    """Another client of the pool gets the connection with the database's own settings."""
    migrate.upgrade(pooled.url(), "public")
    with Database(pooled.url(), timeout=10) as database:
        database.call("list_pages")
        # An error of a function is the one that the caller gets.
        with pytest.raises(VersionConflict, match="is at version 0, not 5"):
            database.call(
                "upsert_conversation_with_events",
                page_id="10",
                conversation='{"sender_id": "20"}',
                events="[]",
                expected_version=5,
            )
        with database.transaction() as connection:
            [(pid,)] = connection.execute("select pg_backend_pid()").fetchall()
    found = execute(
        pooled.url(),
        "select pg_backend_pid(), current_setting('timezone'), current_setting('search_path'),"
        " current_setting('statement_timeout'), current_setting('datestyle'),"
        " (select count(*) from pg_prepared_statements), (select count(*) from pg_locks where"
        " locktype = 'advisory'), (select count(*) from pg_listening_channels())",
    )
    assert found == [(pid, "Asia/Kathmandu", "pg_catalog", "20s", "SQL, DMY", 0, 0, 0)]


def test_a_pooler_that_restarts_in_mid_walk_ends_no_walk(
    empty_url: str, pooled: Pooler, simulate: Simulate, vault: TokenVault
) -> None:
    migrate.upgrade(pooled.url(), "public")
    simulated = simulate(conversations=120, latency=0.05)
    with Database(pooled.url(), timeout=60) as database:
        register(database, vault, simulated)
        engine = Engine(database, GraphApi(simulated.url, "v26.0"), vault, 10_000)
        with ThreadPoolExecutor(1) as pool:
            walking = pool.submit(walk, engine, simulated.page.id)
            for how in (signal.SIGKILL, signal.SIGTERM):
                while not execute(empty_url, STEPS)[0][0] and not walking.done():
                    pass
                pooled.stop(how)
                pooled.start()
            assert walking.result().outcome == "completed"
        assert stored(database) == truth(simulated)


def test_a_listener_says_once_that_a_transaction_pooler_passes_no_notifications(
    url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications, "_HEARING_SECONDS", 0.5)

    async def first(address: str, seconds: float) -> Any:
        async with aclosing(listen(address, "a_channel")) as heard, asyncio.timeout(seconds):
            return await anext(heard)

    with pooler(url) as running:
        with pytest.raises(TimeoutError):
            asyncio.run(first(running.url(), 3))
        assert [record.getMessage() for record in caplog.records] == [
            "Notifications do not pass the pooler of MESSENGER_LISTEN_URL, or"
            " MESSENGER_DATABASE_URL if that is unset, so progress is read every few seconds: set"
            " MESSENGER_LISTEN_URL to the database's own address."
        ]
    for settings in ({"pool_mode": "session"}, None):
        if settings is None:
            assert asyncio.run(first(url, 60)) is None
            continue
        with pooler(url, **settings) as running:
            assert asyncio.run(first(running.url(), 60)) is None


def test_a_pooler_without_transactions_is_named(url: str) -> None:
    with pooler(url, pool_mode="statement") as running:
        for attempt in (
            Database(running.url(), timeout=5).__enter__,
            lambda: migrate.upgrade(running.url(), "public"),
        ):
            with pytest.raises(UnfitServer, match="set its pool_mode to transaction"):
                attempt()


@pytest.mark.parametrize("parameter", ["options=-c%20geqo=off", "options=-csearch_path=x"])
def test_options_that_a_pooler_refuses_are_named(url: str, parameter: str) -> None:
    with pooler(url) as running:
        address = f"{running.url()}?{parameter}"
        with (
            pytest.raises(ConfigurationError, match=r"options.*Correct MESSENGER_DATABASE_URL"),
            Database(address, timeout=5),
        ):
            pass


def test_dagsters_storage_works_behind_a_pooler(
    empty_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dagster.yaml").write_text((PROJECT / "dagster.yaml").read_text())
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with pooler(empty_url) as running:
        monkeypatch.setenv("DAGSTER_PG_URL", running.url(pgbouncer="true"))
        with dg.DagsterInstance.get() as instance:
            instance.optimize_for_webserver(statement_timeout=5000, pool_recycle=60, max_overflow=2)
            with ThreadPoolExecutor(8) as pool:
                partitions = [
                    pool.submit(instance.add_dynamic_partitions, "pages", [str(n)])
                    for n in range(20)
                ]
                for one in partitions:
                    one.result()
            assert {*instance.get_dynamic_partitions("pages")} == {str(n) for n in range(20)}
        assert connections_of_servers(empty_url) <= 3


@pytest.mark.large
def test_the_commands_and_dagsters_storage_work_behind_a_pooler(
    empty_url: str, pooled: Pooler, simulate: Simulate, tmp_path: Path
) -> None:
    """Each as a process of its own, with the parameters that a pooler's URL carries."""
    # Dagster's tables go wherever the database's search path leads.
    execute(empty_url, f"alter database {pooled.database} reset search_path")
    simulated = simulate(conversations=20)
    settings = {
        "MESSENGER_DATABASE_URL": pooled.url(pgbouncer="true", connection_limit="1"),
        "DAGSTER_PG_URL": pooled.url(pgbouncer="true", pool_timeout="10"),
        "MESSENGER_GRAPH_URL": simulated.url,
        "MESSENGER_TOKEN_KEY": new_key(),
        "MESSENGER_HOME": str(tmp_path),
    }

    def run(*arguments: str, token: str | None = None) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "messenger_pipeline.cli", *arguments],
            env=os.environ | settings, input=token, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done.stdout

    page = simulated.page.id
    assert "functions and views are current" in run("db", "upgrade")
    run("pages", "add", page, token=simulated.page.token)
    for fetched in (20, 0):
        figures = json.loads(run("sync", page, "--json"))
        assert (figures["success"], figures["inserted"]) == (True, fetched)
    assert page in run("status")
    assert "ok" in run("db", "verify")
    assert run("psql", "-Atc", "select count(*) from public.sync_state") == "2\n"
    [(runs,)] = execute(empty_url, "select count(*) from public.runs where status = 'SUCCESS'")
    assert runs == 2


def test_a_certificate_that_a_url_asks_for_is_checked(url: str, tmp_path: Path) -> None:
    """sslmode and sslrootcert reach the driver, also from the names of other tools."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", tmp_path / "key", "-out", tmp_path / "certificate"],
        check=True, capture_output=True,
    )  # fmt: skip
    for name in ("key", "certificate"):
        (tmp_path / name).chmod(0o644)
    for folder in (tmp_path, *tmp_path.parents[:3]):
        if folder.owner() == tmp_path.owner() and folder != Path("/tmp"):  # noqa: S108
            folder.chmod(0o755)
    with pooler(
        url,
        client_tls_sslmode="require",
        client_tls_key_file=str(tmp_path / "key"),
        client_tls_cert_file=str(tmp_path / "certificate"),
    ) as running:
        root = quote(str(tmp_path / "certificate"), safe="")
        named = running.url().replace("127.0.0.1", "localhost")
        for query_, works in {
            "?sslmode=disable": False,
            "?sslmode=require": True,
            "?ssl=true": True,
            "?sslmode=no-verify": True,
            f"?sslmode=verify-full&sslrootcert={root}": True,
            "?sslmode=verify-full&sslrootcert=system": False,
        }.items():
            address = clean_postgres_url(named + query_, "public")
            outcome = nullcontext() if works else pytest.raises(PipelineError, match=r"TLS|SSL")
            with outcome, Database(address, timeout=10) as database:
                database.call("list_pages")
        other = clean_postgres_url(
            running.url() + f"?sslmode=verify-full&sslrootcert={root}", "public"
        )
        with pytest.raises(PipelineError, match="does not match"), Database(other, timeout=5):
            pass
