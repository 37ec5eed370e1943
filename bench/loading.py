"""One contestant loads a page: a fresh process, a fresh database, a first and an unchanged pass."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from urllib.request import urlopen

import psycopg

from bench.cluster import HOME, Cluster, open_cluster
from bench.payloads import MESSAGES
from bench.processes import UVICORN, Failed, ask, listening, started
from bench.replay import PAGES
from bench.results import Key, Pass

CONTESTANTS = ("ours", "floor", "dlt")
DLT_PYTHON = HOME / "bench-venv" / "bin" / "python"
SHARE = "% latency"  # of the seconds, what the latency of the calls alone takes


@dataclass(frozen=True)
class Case:
    """A contestant loads a page of so many threads."""

    contestant: str
    threads: int
    latency_ms: int = 0
    stored: int = 0  # events of other pages, in the same tables

    def key(self, name: str) -> Key:
        """The contestant and the scenario of its `fresh` or `unchanged` pass."""
        latency = f", {self.latency_ms} ms a call" if self.latency_ms else ""
        stored = f" into {self.stored:,} events" if self.stored else ""
        return self.contestant, f"{self.threads:,} threads{stored}{latency}, {name}"


@contextmanager
def open_stage(sizes: list[int], rounds: int) -> Iterator[tuple[Cluster, str]]:
    """A cluster, and the URL of a Graph API with a page of each size for each round."""
    pages = {page_of(threads, number): threads for threads in sizes for number in range(rounds)}
    command, environment = (*UVICORN, "bench.replay:create_app"), {PAGES: json.dumps(pages)}
    with (
        open_cluster(list(pages)) as cluster,
        listening(cluster.folder, command, environment) as (port, _),
    ):
        yield cluster, f"http://127.0.0.1:{port}"


def page_of(threads: int, number: int) -> str:
    """The id of the page with so many threads that round `number` loads."""
    return str(104 * 10**12 + 10**8 * number + threads)


def run_case(cluster: Cluster, graph_url: str, case: Case, number: int) -> Iterator[Pass]:
    """The passes of a case in round `number`. Raises Failed if one did not load exactly what there
    is."""
    python = str(DLT_PYTHON) if case.contestant == "dlt" else sys.executable
    # The filled database is too large to be cloned: each round loads another page into it.
    opened = nullcontext(cluster.filled_url) if case.stored else cluster.database()
    with opened as url:
        module, page_id = f"bench.contestants.{case.contestant}", page_of(case.threads, number)
        command = module, graph_url, url, page_id
        with started(cluster.folder, command, python) as process:
            ask(process, "ready?")
            for name in ("fresh", "unchanged"):
                cluster.execute("checkpoint")  # no pass pays for the changes of another
                _take_calls(graph_url, case.latency_ms)
                measured = json.loads(ask(process, "go"))
                yield _pass(case, name, _take_calls(graph_url, 0), **measured)
                _check_rows(url, case, page_id)


def _take_calls(graph_url: str, latency_ms: int) -> int:
    """The number of Graph calls since the last time; sets the latency of the next ones."""
    with urlopen(f"{graph_url}/_replay/{latency_ms}") as response:  # noqa: S310 - our own
        return int(response.read())


def _pass(case: Case, name: str, calls: int, seconds: float, peak_mb: float) -> Pass:
    figures = {"calls": float(calls), "max MB": peak_mb}
    if case.latency_ms:
        figures[SHARE] = 100 * calls * case.latency_ms / 1000 / seconds
    return Pass(*case.key(name), case.threads, seconds, figures)


def _check_rows(url: str, case: Case, page_id: str) -> None:
    ours = "messenger_conversations", "contact_interaction_events"
    tables = ("bench.conversations", "bench.messages") if case.contestant == "dlt" else ours
    only = f" where page_id = '{page_id}'" if case.stored else ""
    counts = ", ".join(f"(select count(*) from {table}{only})" for table in tables)  # noqa: S608
    with psycopg.connect(url) as connection:
        found = connection.execute(f"select {counts}".encode()).fetchall()
    if found != [(case.threads, case.threads * MESSAGES)]:
        raise Failed(f"{case}: the conversations and messages loaded are {found}")
