"""Dagster's storage: the PostgreSQL database at DAGSTER_PG_URL.

Dagster's own class fails without that setting, too, but behind a traceback and without a remedy.
"""

import atexit
import shutil
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

import click
from dagster._core.storage.base_storage import DagsterStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage

from messenger_pipeline.defs.patience import EventLogStorage, RunStorage
from messenger_pipeline.errors import ConfigurationError
from messenger_pipeline.settings import load_settings

_MISSING = (
    "The setting DAGSTER_PG_URL is missing: set it to the URL of Dagster's PostgreSQL database, or"
    " run `messenger-pipeline dev`, which starts one."
)
_CONNECT_SECONDS = 10  # without it, libpq waits for minutes for a server that does not answer
_OFFLINE_COMMANDS = ({"check", "defs"}, {"list", "defs"}, {"definitions", "validate"})
"""Of `dg` and `dagster`: they only load the definitions, and need no database for that."""


class PostgresStorage(DagsterPostgresStorage):
    """Reads its URL from the settings, so dagster.yaml needs no config for it. A run outlasts an
    outage of the database: see patience.py."""

    def __init__(
        self,
        postgres_url: str,
        should_autocreate_tables: bool = True,
        inst_data: ConfigurableClassData | None = None,
    ) -> None:
        super().__init__(postgres_url, should_autocreate_tables, inst_data)
        self._run_storage = RunStorage(postgres_url, should_autocreate_tables=False)
        self._event_log_storage = EventLogStorage(postgres_url, should_autocreate_tables=False)

    @classmethod
    def config_type(cls) -> Any:
        return {}

    @classmethod
    def from_config_value(  # type: ignore[override]  # Dagster takes any storage here
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> DagsterStorage:
        """Raises click.ClickException, which Dagster's commands print as one sentence."""
        try:
            url = load_settings().dagster_pg_url
        except ConfigurationError as error:
            raise click.ClickException(str(error)) from None
        if url is None and _only_loads_definitions():
            folder = tempfile.mkdtemp(prefix="dagster-")
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
            return DagsterSqliteStorage(folder)
        if url is None:
            raise click.ClickException(_MISSING)
        # The driver that Dagster's storage uses; SQLAlchemy 2.1 would choose another.
        address = url.get_secret_value().replace("postgresql://", "postgresql+psycopg2://", 1)
        if "connect_timeout" not in address:
            address += f"{'&' if '?' in address else '?'}connect_timeout={_CONNECT_SECONDS}"
        return cls(address, should_autocreate_tables=True, inst_data=inst_data)


def _only_loads_definitions() -> bool:
    words = set(sys.argv[1:])
    return any(command <= words for command in _OFFLINE_COMMANDS)
