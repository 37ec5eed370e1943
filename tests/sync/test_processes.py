"""Syncs in several processes at the same time."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from threading import Event
from time import monotonic
from typing import Any

import pytest

from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.rate import Budget, Pacer
from messenger_pipeline.engine import Engine
from messenger_pipeline.graph.client import GraphApi
from messenger_pipeline.vault import TokenVault, new_key
from tests.conftest import register
from tests.walking import Connect, Simulate, stored, truth, walk

RATE = 20.0


def sync_in_a_process(url: str, graph: str, key: str, page_id: str, results: Any) -> None:
    with Database(url, timeout=10) as database:
        engine = Engine(database, GraphApi(graph, "v26.0"), TokenVault([key]), RATE)
        attempts = 1
        result = walk(engine, page_id, run_id=f"{page_id}-{attempts}")
        while result.has_more:
            attempts += 1
            result = walk(engine, page_id, run_id=f"{page_id}-{attempts}")
        results.put((page_id, result.outcome))


@pytest.fixture
def start(url: str) -> Callable[..., list[tuple[str, str]]]:
    """Syncs each page in a process of its own; returns each page's outcome."""
    context = multiprocessing.get_context("spawn")

    def start(graph: str, key: str, page_ids: list[str]) -> list[tuple[str, str]]:
        results = context.Queue()
        processes = [
            context.Process(target=sync_in_a_process, args=(url, graph, key, page_id, results))
            for page_id in page_ids
        ]
        for process in processes:
            process.start()
        ended = [results.get(timeout=120) for _ in processes]
        for process in processes:
            process.join()
        return sorted(ended)

    return start


def test_meta_sees_no_second_with_more_than_two_calls_of_a_page(
    simulate: Simulate, database: Database, connect: Connect
) -> None:
    """With the usual rate, and two runs one after the other."""
    simulated = simulate(conversations=150)
    engine = replace(connect(simulated), calls_per_second=2)
    simulated.fault("call_rate_limit", calls_per_second=2, slack=0)
    for _ in range(2):
        assert walk(engine, simulated.page.id).outcome == "completed"
    assert len(simulated.calls()) >= 5
    assert simulated.hits("call_rate_limit") == 0


def test_several_pages_in_several_processes_stay_within_every_limit(
    simulate: Simulate, database: Database, start: Callable[..., list[tuple[str, str]]]
) -> None:
    """Each page has its own limit per second, and the app's limit pauses all of them."""
    simulated = simulate(conversations=230, pages=3)
    key = new_key()
    register(database, TokenVault([key]), simulated)
    simulated.fault("call_rate_limit", calls_per_second=RATE, slack=2)
    simulated.fault("app_limit", seconds=1, after=12)

    ended = start(simulated.url, key, [page.id for page in simulated.pages])

    assert ended == [(page.id, "completed") for page in simulated.pages]
    assert simulated.hits("app_limit") >= 1
    assert simulated.hits("call_rate_limit") == 0
    # Calls in progress when the app's limit was reached could not know of it.
    assert simulated.violations() <= 2
    assert stored(database) == truth(simulated)
    for times in simulated.admin("GET", "calls")["times"].values():
        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert sum(gap > 0.9 for gap in gaps) <= 2, "one pause, not one after another"


def test_processes_that_call_for_one_page_share_its_rate(
    simulate: Simulate, database: Database, url: str
) -> None:
    """Only one walks, but other callers for the page wait in the same queue."""

    def take(number: int) -> list[float]:
        with Database(url) as own:
            pacer = Pacer(own, Budget("1", f"token {number}", "10", RATE), Event())
            times = []
            for _ in range(8):
                pacer.wait()
                times.append(monotonic())
            return times

    with ThreadPoolExecutor(3) as workers:
        times = sorted(time for times in workers.map(take, range(3)) for time in times)
    for first, later in zip(times, times[int(RATE) :], strict=False):
        assert later - first > 0.9
