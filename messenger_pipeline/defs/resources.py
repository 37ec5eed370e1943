"""The resource of all runs and sensors: it opens the database and the engine from the settings."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.roles import require_sight
from messenger_pipeline.defs.patience import wait_for_dagster
from messenger_pipeline.defs.tags import record_cause
from messenger_pipeline.engine import Engine
from messenger_pipeline.runtime import open_database, open_engine
from messenger_pipeline.settings import load_settings


class Pipeline(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The database of the data, the Graph API, and the key of the tokens."""

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        # Every run has this resource, so this applies to every run.
        if context.instance is not None and context.run is not None:
            wait_for_dagster()
            record_cause(context.instance, context.run)

    @contextmanager
    def engine(self) -> Iterator[Engine]:
        with open_engine(load_settings()) as engine:
            require_sight(engine.database)
            yield engine

    @contextmanager
    def database(self) -> Iterator[Database]:
        with open_database(load_settings()) as database:
            # A sensor that sees no page would delete every partition.
            require_sight(database)
            yield database
