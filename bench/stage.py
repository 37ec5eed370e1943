"""Where the contestants run: a PostgreSQL cluster of their own, an empty database with the schema
for each run, and the server of prepared answers.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from bench.cluster import Cluster, open_cluster
from messenger_pipeline.project import PROJECT


@dataclass(frozen=True)
class Stage:
    """A cluster, and a server of pages; `page_ids` by their number of threads, two of each."""

    cluster: Cluster
    replay_url: str
    page_ids: dict[int, list[str]]

    @property
    def folder(self) -> Path:
        return self.cluster.folder

    def database(self) -> AbstractContextManager[str]:
        return self.cluster.database()

    def checkpoint(self) -> None:
        self.cluster.checkpoint()

    def calls(self) -> int:
        """The Graph calls since this was last asked for."""
        return int(self._control("calls"))

    def set_latency(self, milliseconds: int) -> None:
        self._control(f"latency/{milliseconds}")

    def _control(self, path: str) -> bytes:
        with urlopen(f"{self.replay_url}/_replay/{path}") as answer:  # noqa: S310 - our own
            told: bytes = answer.read()
        return told


@contextmanager
def open_stage(sizes: list[int]) -> Iterator[Stage]:
    """A stage with two pages of each size."""
    page_ids = {
        threads: [f"10400000000{2 * index + one:04}" for one in (1, 2)]
        for index, threads in enumerate(sizes)
    }
    pages = {page_id: threads for threads, both in page_ids.items() for page_id in both}
    with _replaying(pages) as replay_url, open_cluster(list(pages)) as cluster:
        yield Stage(cluster, replay_url, page_ids)


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
