"""Dagster's own database goes away while a page is walked."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import psycopg
import pytest

from messenger_pipeline.db.pool import Database
from messenger_pipeline.defs.patience import without_waiting
from tests.conftest import Simulated
from tests.db.test_load import query
from tests.defs.test_definitions import KEYS, sync
from tests.defs.test_logs import logged


@pytest.fixture
def own_instance(
    dagster_home: Path, empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    """An instance whose database no other test uses."""
    monkeypatch.setenv("DAGSTER_HOME", str(dagster_home))
    monkeypatch.setenv("DAGSTER_PG_URL", empty_url)
    with dg.DagsterInstance.get() as instance:
        yield instance


@contextmanager
def away(server: str, url: str) -> Iterator[None]:
    """The database refuses connections, and loses those that it has, while the body runs."""
    with psycopg.connect(server, autocommit=True) as connection:
        name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
        connection.execute(f"alter database {name} allow_connections false")
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", (name,)
        )
        try:
            yield
        finally:
            connection.execute(f"alter database {name} allow_connections true")


def test_a_walk_completes_and_is_recorded_although_dagsters_database_was_away(
    own_instance: dg.DagsterInstance,
    registered: Simulated,
    database: Database,
    server: str,
    empty_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MESSENGER_CALLS_PER_SECOND", "10")
    registered.fault("code_2", times=1, after=3)  # a line of another thread
    refused: list[bool] = []

    def interrupt() -> None:
        while not query(database, "select 1 from sync_state where total_synced > 0"):
            time.sleep(0.01)
        with away(server, empty_url):
            try:
                with without_waiting():
                    own_instance.get_runs()
            except Exception:  # noqa: BLE001 - of whichever layer
                refused.append(True)
            while not query(database, "select 1 from sync_state where outcome is not null"):
                time.sleep(0.01)
            # The run now waits to record its result.
            time.sleep(1)

    thread = threading.Thread(target=interrupt)
    thread.start()
    result = sync(own_instance, registered.page.id)
    thread.join()

    assert refused == [True]
    assert result.success
    run = own_instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.status == dg.DagsterRunStatus.SUCCESS
    assert query(database, "select outcome, total_synced from sync_state") == [("completed", 150)]
    for key in KEYS:
        latest = own_instance.get_latest_materialization_event(key)
        assert latest is not None
        assert latest.run_id == result.run_id
    lines = logged(own_instance, result.run_id)
    for expected in ("starting a full sync", "retrying in", "looking for threads", "complete:"):
        assert any(expected in line for line in lines), expected
    with Database(empty_url) as dagster:
        assert query(dagster, "select 1 from runs") == [(1,)]
