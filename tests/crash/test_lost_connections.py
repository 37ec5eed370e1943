"""A run loses its backend, or the result of a statement, and continues."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tests.crash.barriers import barrier
from tests.crash.databases import cloned
from tests.crash.fork_server import ForkServer
from tests.crash.interruption_counts import case_count, record, sample
from tests.crash.interruption_points import Point, last_of, without_duplicates
from tests.crash.recovery import differences_after
from tests.crash.scenarios import Scenario
from tests.crash.test_kills_inside_a_load import wait_until_blocked

pytestmark = pytest.mark.large


@pytest.mark.parametrize("name", ["first", "incremental", "full"])
def test_a_run_repeats_the_call_when_its_backend_is_killed_at_any_statement(
    server: str, fork_server: ForkServer, scenarios: dict[str, Scenario], name: str
) -> None:
    scenario = scenarios[name]

    def terminate_at(number: int) -> list[str]:
        with cloned(server, scenario.template) as url:
            with barrier(url, number) as before:
                child = fork_server.start(scenario.job(url, "run"))
                before.terminate(wait_until_blocked(child, before))
                record("backends killed")
            report = child.end()
            if "result" not in report:
                return [f"firing {number}: {report}"]
            return [
                f"firing {number}: {difference}"
                for difference in differences_after(scenario, url, exact=True)
            ]

    first, last = scenario.firings
    numbers = sample(range(first + 1, last + 1), case_count(0.04))
    with ThreadPoolExecutor(2) as pool:
        differences = [
            difference for found in pool.map(terminate_at, numbers) for difference in found
        ]
    assert differences == []


@pytest.mark.parametrize("name", ["first", "incremental", "full"])
def test_a_run_that_loses_any_result_repeats_the_call_and_counts_nothing_twice(
    server: str, fork_server: ForkServer, scenarios: dict[str, Scenario], name: str
) -> None:
    """The result of a commit too: then the call is made twice."""
    scenario = scenarios[name]

    def lose(point: Point) -> list[str]:
        with cloned(server, scenario.template) as url:
            report = fork_server.run(replace(scenario.job(url, "run"), point=point, action="cut"))
            record("lost results")
            if "result" not in report or "reached" not in report:
                return [f"{point}: {report}"]
            return [
                f"{point}: {difference}"
                for difference in differences_after(scenario, url, exact=True)
            ]

    results = [
        point
        for point in without_duplicates(scenario.points)
        # Has a test of its own: test_a_full_sync_whose_start_…
        if point.moment == "answered" and (name, point.function) != ("full", "open_sync_session")
    ]
    loads = [point for point in results if point.function == "load_sync_response"]
    others = [point for point in results if point not in loads]
    with ThreadPoolExecutor(2) as pool:
        found = pool.map(lose, sample(loads, case_count(0.02)) + sample(others, case_count(0.02)))
        differences = [difference for case in found for difference in case]
    assert differences == []


def test_a_full_sync_whose_start_was_not_acknowledged_starts_once(
    server: str, fork_server: ForkServer, scenarios: dict[str, Scenario]
) -> None:
    scenario = scenarios["full"]
    point = last_of(scenario.points, "open_sync_session", 1, "answered")
    with cloned(server, scenario.template) as url:
        report = fork_server.run(replace(scenario.job(url, "run"), point=point, action="cut"))
        record("lost results")
        assert report["reached"]
        assert report["result"]["outcome"] == "completed"
        assert differences_after(scenario, url, exact=True) == []
