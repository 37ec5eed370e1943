"""A Dagster instance with its storage in PostgreSQL, and the settings for a test's own database."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy

from messenger_pipeline.db import pages
from messenger_pipeline.db.embedded import database_url
from messenger_pipeline.db.pool import Database
from messenger_pipeline.project import PROJECT
from messenger_pipeline.vault import TokenVault, new_key
from tests.conftest import Simulated


@pytest.fixture(scope="session")
def dagster_home(server: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("dagster")
    (home / "dagster.yaml").write_text((PROJECT / "dagster.yaml").read_text())
    (home / "url").write_text("postgresql+psycopg2://" + database_url(server, "dagster_tests")[13:])
    return home


@pytest.fixture
def instance(dagster_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("DAGSTER_HOME", str(dagster_home))
    monkeypatch.setenv("DAGSTER_PG_URL", (dagster_home / "url").read_text())
    with dg.DagsterInstance.get() as instance, _pooled(instance):
        yield instance
        instance.wipe()
        for run in instance.get_runs():
            instance.delete_run(run.run_id)


@contextmanager
def _pooled(instance: dg.DagsterInstance) -> Iterator[None]:
    """Let its storages keep their connections. Dagster's connect for each statement, some hundred
    times a run, which costs most of a test."""
    storages: Any = (instance.run_storage, instance.event_log_storage, instance.schedule_storage)
    for storage in storages:
        storage._engine = sqlalchemy.create_engine(
            storage.postgres_url, isolation_level="AUTOCOMMIT", max_overflow=-1
        )
    yield
    for storage in storages:
        storage._engine.dispose()


@pytest.fixture
def registered(
    url: str,
    database: Database,
    simulate: Callable[..., Simulated],
    monkeypatch: pytest.MonkeyPatch,
) -> Simulated:
    """A simulator with two registered pages, and the settings for it."""
    simulated = simulate(conversations=150, pages=2)
    key = new_key()
    monkeypatch.setenv("MESSENGER_DATABASE_URL", url)
    monkeypatch.setenv("MESSENGER_TOKEN_KEY", key)
    monkeypatch.setenv("MESSENGER_GRAPH_URL", simulated.url)
    monkeypatch.setenv("MESSENGER_CALLS_PER_SECOND", "1000")
    for page in simulated.pages:
        pages.register_page(
            database,
            page.id,
            name=page.name,
            user_id=None,
            platform="messenger",
            token_encrypted=TokenVault([key]).encrypt(page.token),
        )
    return simulated
