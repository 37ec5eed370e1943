"""What runs and sensors share: the engine, opened from the settings when it is needed."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from messenger_pipeline.db.pool import Database
from messenger_pipeline.defs.causes import note_cause
from messenger_pipeline.engine import Engine
from messenger_pipeline.runtime import open_database, open_engine
from messenger_pipeline.settings import load_settings


class Pipeline(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The data's database, the Graph API and the key to the tokens."""

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        # Every run of ours has this resource: each says why it runs.
        if context.instance is not None and context.run is not None:
            note_cause(context.instance, context.run)

    @contextmanager
    def engine(self) -> Iterator[Engine]:
        with open_engine(load_settings()) as engine:
            yield engine

    @contextmanager
    def database(self) -> Iterator[Database]:
        with open_database(load_settings()) as database:
            yield database
