"""One contestant loads a page: a fresh process, a fresh database, a first and an unchanged pass."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.request import urlopen

import psycopg

from bench import replay
from bench.asgi import uvicorn
from bench.cluster import HOME, Cluster, open_cluster
from bench.payloads import MESSAGES
from bench.processes import Failed, ask, listening, started
from bench.results import Key, Pass

CONTESTANTS = ("ours", "floor", "dlt")
DLT_PYTHON = HOME / "bench-venv" / "bin" / "python"
SHARE = "% latency"
"""Title of the share of the seconds that the latency of the calls alone takes."""


@dataclass(frozen=True)
class Case:
    """A contestant loads a page of so many threads."""

    contestant: str
    threads: int
    latency_ms: int = 0

    def key(self, name: str) -> Key:
        """The contestant and the scenario of its `fresh` or `unchanged` pass."""
        latency = f", {self.latency_ms} ms a call" if self.latency_ms else ""
        return self.contestant, f"{self.threads:,} threads{latency}, {name}"


@dataclass(frozen=True)
class Stage:
    """A cluster, and a Graph API with a page of each size."""

    cluster: Cluster
    graph_url: str

    def take_calls(self, latency_ms: int) -> int:
        """The number of Graph calls since the last time; sets the latency of the next ones."""
        with urlopen(f"{self.graph_url}/_replay/{latency_ms}") as response:  # noqa: S310 - our own
            return int(response.read())


@contextmanager
def open_stage(sizes: list[int]) -> Iterator[Stage]:
    pages = {page_of(threads): threads for threads in sizes}
    environment = {replay.PAGES: json.dumps(pages)}
    with (
        open_cluster(list(pages)) as cluster,
        listening(cluster.folder, uvicorn("bench.replay:create_app"), environment) as (port, _),
    ):
        yield Stage(cluster, f"http://127.0.0.1:{port}")


def page_of(threads: int) -> str:
    """The id of the page with so many threads."""
    return str(104 * 10**12 + threads)


def run_case(stage: Stage, case: Case) -> Iterator[Pass]:
    """The passes of a case. Raises Failed if one did not load exactly what there is."""
    python = str(DLT_PYTHON) if case.contestant == "dlt" else sys.executable
    with stage.cluster.database() as url:
        module = f"bench.contestants.{case.contestant}"
        command = module, stage.graph_url, url, page_of(case.threads)
        with started(stage.cluster.folder, command, python) as process:
            ask(process, "ready?")
            for name in ("fresh", "unchanged"):
                stage.cluster.checkpoint()
                stage.take_calls(case.latency_ms)
                measured = json.loads(ask(process, "go"))
                yield _pass(case, name, stage.take_calls(0), **measured)
                _check_rows(url, case)


def _pass(case: Case, name: str, calls: int, seconds: float, peak_mb: float) -> Pass:
    figures = {"calls": float(calls), "max MB": peak_mb}
    if case.latency_ms:
        figures[SHARE] = 100 * calls * case.latency_ms / 1000 / seconds
    return Pass(*case.key(name), case.threads, seconds, figures)


def _check_rows(url: str, case: Case) -> None:
    tables = "messenger_conversations", "contact_interaction_events"
    if case.contestant == "dlt":
        tables = "bench.conversations", "bench.messages"
    counts = ", ".join(f"(select count(*) from {table})" for table in tables)  # noqa: S608
    with psycopg.connect(url) as connection:
        found = connection.execute(f"select {counts}".encode()).fetchall()
    if found != [(case.threads, case.threads * MESSAGES)]:
        raise Failed(f"{case}: the conversations and messages loaded are {found}")
