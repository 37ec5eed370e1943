"""SIGKILL at every statement of a run: before it, when it is sent, when its result arrives."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tests.crash.databases import cloned
from tests.crash.fork_server import ForkServer
from tests.crash.interruption_counts import case_count, record, sample
from tests.crash.interruption_points import Point, without_duplicates
from tests.crash.recovery import differences_after, finish_walk
from tests.crash.scenarios import Scenario

# Functions of the call budget write nothing of the page.
_BUDGET_FUNCTIONS = ("reserve_graph_call", "record_graph_usage")


def relevant(points: list[Point]) -> list[Point]:
    """The points of functions that read or write the page, and a few of the others."""
    return [
        point
        for point in without_duplicates(points)
        if point.function not in _BUDGET_FUNCTIONS
        or (point.number < 3 and point.moment == "answered")
    ]


@pytest.mark.parametrize("name", ["first", "incremental", "full"])
def test_a_run_killed_at_any_statement_is_resumed_without_loss_or_double_count(
    server: str, fork_server: ForkServer, scenarios: dict[str, Scenario], name: str
) -> None:
    scenario = scenarios[name]

    def kill_at(point: Point) -> list[str]:
        with cloned(server, scenario.template) as url:
            report = fork_server.run(replace(scenario.job(url, "killed"), point=point))
            if "result" in report or "error" in report:
                return [f"{point}: not reached"]
            record("kills between statements")
            finish_walk(fork_server, scenario, url)
            return [f"{point}: {difference}" for difference in differences_after(scenario, url)]

    points = sample(relevant(scenario.points), case_count(0.10))
    with ThreadPoolExecutor(2) as pool:
        differences = [difference for found in pool.map(kill_at, points) for difference in found]
    assert differences == []
