"""Where the contestants run: a PostgreSQL cluster of their own, an empty database with the schema
for each run, and the server of prepared answers.
"""

import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import urlopen

import psycopg

from bench.registry import register
from messenger_pipeline.db.embedded import database_url, embedded_server
from messenger_pipeline.db.migrate import upgrade
from messenger_pipeline.project import PROJECT

HOME = PROJECT / ".messenger"


@dataclass
class Stage:
    """A server with a template database, and a server of pages; `page_ids` by their number of
    threads, two of each."""

    server_url: str
    replay_url: str
    page_ids: dict[int, list[str]]
    folder: Path
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def calls(self) -> int:
        """The Graph calls since this was last asked for."""
        return int(self._control("calls"))

    def set_latency(self, milliseconds: int) -> None:
        self._control(f"latency/{milliseconds}")

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

    def _control(self, path: str) -> bytes:
        with urlopen(f"{self.replay_url}/_replay/{path}") as answer:  # noqa: S310 - our own
            told: bytes = answer.read()
        return told


@contextmanager
def open_stage(sizes: list[int]) -> Iterator[Stage]:
    """A stage with two pages of each size. Durable settings: PostgreSQL's defaults."""
    HOME.mkdir(exist_ok=True)
    page_ids = {
        threads: [f"10400000000{2 * index + one:04}" for one in (1, 2)]
        for index, threads in enumerate(sizes)
    }
    pages = {page_id: threads for threads, both in page_ids.items() for page_id in both}
    with (
        tempfile.TemporaryDirectory(prefix="bench-", dir=HOME) as folder,
        _replaying(pages) as replay_url,
    ):
        Path(folder).chmod(0o755)
        with embedded_server(Path(folder)) as server_url:
            template = database_url(server_url, "bench_template")
            upgrade(template, "public")
            register(template, list(pages))
            yield Stage(server_url, replay_url, page_ids, Path(folder))


@contextmanager
def _replaying(pages: dict[str, int]) -> Iterator[str]:
    """The URL of a server of these pages, once it has prepared them."""
    arguments = [f"{page_id}={threads}" for page_id, threads in pages.items()]
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.replay", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.stdin.close()
        process.wait()
