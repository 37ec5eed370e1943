"""A PostgreSQL cluster with default, durable settings: an empty database for each contestant."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from bench.contestants.program import KEY, TOKEN
from messenger_pipeline.db.embedded import database_url, embedded_server
from messenger_pipeline.db.migrate import upgrade
from messenger_pipeline.db.pages import register_page
from messenger_pipeline.db.pool import Database
from messenger_pipeline.project import PROJECT
from messenger_pipeline.vault import TokenVault

HOME = PROJECT / ".messenger"
_FILL = Path(__file__).with_name("fill.sql").read_bytes()
_EVENTS = 250_000  # of one statement


@dataclass(frozen=True)
class Cluster:
    """A server with a template database. Its folder is deleted at the end."""

    server_url: str
    folder: Path

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of a database with the schema and the registered pages, and no other rows."""
        self.execute("create database bench template bench_template")
        yield database_url(self.server_url, "bench")
        self.execute("drop database bench with (force)")

    def fill(self, events: int) -> None:
        """Make the database `bench_filled`, whose tables hold so many events of other pages."""
        self.execute("create database bench_filled template bench_template")
        with psycopg.connect(self.filled_url, autocommit=True) as connection:
            connection.execute("set synchronous_commit = off")
            for first in range(1, events + 1, _EVENTS):
                last = min(first + _EVENTS - 1, events)
                connection.execute(_FILL, {"first": first, "last": last})
            connection.execute("vacuum analyze")

    @property
    def filled_url(self) -> str:
        return database_url(self.server_url, "bench_filled")

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.server_url, autocommit=True) as connection:
            connection.execute(statement.encode())


@contextmanager
def open_cluster(page_ids: list[str]) -> Iterator[Cluster]:
    """A cluster whose databases have these pages in the registry."""
    HOME.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=HOME) as folder:
        Path(folder).chmod(0o755)  # the server may run as another user
        with embedded_server(Path(folder)) as server_url:
            template = database_url(server_url, "bench_template")
            upgrade(template, "public")
            token = TokenVault([KEY]).encrypt(TOKEN)
            about = {"user_id": "owner-1", "platform": "messenger", "token_encrypted": token}
            with Database(template) as database:
                for page_id in page_ids:
                    register_page(database, page_id, name="Acme Store", **about)
            yield Cluster(server_url, Path(folder))
