"""A PostgreSQL cluster of the bench's own, and an empty database with the schema for each run.
Durable settings: PostgreSQL's defaults.
"""

import itertools
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from bench.registry import register
from messenger_pipeline.db.embedded import database_url, embedded_server
from messenger_pipeline.db.migrate import upgrade
from messenger_pipeline.project import PROJECT

HOME = PROJECT / ".messenger"


@dataclass
class Cluster:
    """A server with a template database, in a folder that ends with it."""

    server_url: str
    folder: Path
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count, init=False)

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of an empty database with the schema, and all pages registered."""
        name = f"bench_{next(self._numbers)}"
        self._execute(f"create database {name} template bench_template")
        yield database_url(self.server_url, name)
        self._execute(f"drop database {name} with (force)")

    def checkpoint(self) -> None:
        """Write out what was done before, so that nobody pays for somebody else's pages."""
        self._execute("checkpoint")

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self.server_url, autocommit=True) as connection:
            connection.execute(statement.encode())


@contextmanager
def open_cluster(page_ids: list[str]) -> Iterator[Cluster]:
    """A cluster with these pages in the registry of each database."""
    HOME.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=HOME) as folder:
        Path(folder).chmod(0o755)
        with embedded_server(Path(folder)) as server_url:
            template = database_url(server_url, "bench_template")
            upgrade(template, "public")
            register(template, page_ids)
            yield Cluster(server_url, Path(folder))
