"""The PostgreSQL server stops or crashes during a walk, and comes back."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from messenger_pipeline.db import migrate
from messenger_pipeline.db.embedded import database_url
from tests.crash.barriers import barrier
from tests.crash.databases import cloned, query
from tests.crash.fork_server import Child, ForkServer
from tests.crash.interruption_counts import record, subset
from tests.crash.interruption_points import Moment, Point, last_of
from tests.crash.recovery import differences_after, finish_walk
from tests.crash.restartable_server import Mode, RestartableServer, restartable_server
from tests.crash.scenarios import Scenario, prepared_scenarios
from tests.crash.test_kills_inside_a_load import wait_until_blocked
from tests.crash.test_stalled_runs import stalled

pytestmark = pytest.mark.large

LOADS = subset([-1, 0, 1])
"""The last, the first and the second load of a walk."""
MOMENTS: Sequence[Moment] = subset(["answered", "sent", "before"])
NAMES = subset(["first", "incremental", "full"])
ENDS = {"DatabaseUnavailable", "SessionMoved", "LeaseLost"}
"""Errors with which a run may end after an outage. A later run resumes the walk."""


@pytest.fixture(scope="module")
def restartable() -> Iterator[RestartableServer]:
    with restartable_server() as restartable:
        yield restartable


@pytest.fixture(scope="module")
def outage_scenarios(
    restartable: RestartableServer, fork_server: ForkServer
) -> Iterator[dict[str, Scenario]]:
    """The scenarios, on a server that can be restarted."""
    migrate.upgrade(database_url(restartable.url, "schema"), "public")
    with prepared_scenarios(restartable.url, "schema", fork_server, NAMES) as scenarios:
        yield scenarios


def nth_load(scenario: Scenario, at: int) -> int:
    """The call number of a load, given its index in the walk."""
    return sorted({p.number for p in scenario.points if p.function == "load_sync_response"})[at]


def step_of(url: str) -> int:
    [(step,)] = query(url, "select step from sync_state where outcome is null")
    return int(step)


def is_complete(child: Child) -> bool:
    """Whether a run has completed the walk. If not, its report must say so."""
    report = child.end()
    assert "result" in report or report["error"] in ENDS, report
    return "result" in report and report["result"]["outcome"] == "completed"


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_continues_after_a_clean_restart_of_the_server(
    restartable: RestartableServer,
    fork_server: ForkServer,
    outage_scenarios: dict[str, Scenario],
    load: int,
    moment: Moment,
) -> None:
    """No commit is lost, so one run is enough, and it counts nothing twice."""
    scenario = outage_scenarios["first"]
    point = Point("load_sync_response", nth_load(scenario, load), 1, moment)
    with cloned(restartable.url, scenario.template) as url:
        child = stalled(fork_server, scenario, url, "run", point)
        restartable.restart("fast")
        record("restarts")
        child.resume()
        report = child.end()
        assert report.get("result", {}).get("outcome") == "completed", report
        assert differences_after(scenario, url, exact=True) == []


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_run_survives_a_restart_of_the_server_during_a_load(
    restartable: RestartableServer,
    fork_server: ForkServer,
    outage_scenarios: dict[str, Scenario],
    mode: Mode,
) -> None:
    scenario = outage_scenarios["first"]
    with cloned(restartable.url, scenario.template) as url:
        first, last = scenario.firings
        with barrier(url, (first + last) // 2) as before:
            child = fork_server.start(scenario.job(url, "run"))
            wait_until_blocked(child, before)
            restartable.restart(mode)
            record("restarts")
        if not is_complete(child):
            finish_walk(fork_server, scenario, url)
        assert differences_after(scenario, url) == []


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("name", NAMES)
def test_loads_that_a_server_crash_has_undone_are_read_again(
    restartable: RestartableServer,
    fork_server: ForkServer,
    outage_scenarios: dict[str, Scenario],
    name: str,
    load: int,
) -> None:
    """A crash loses the cursor, counters and rows of loads that were not durable, all together."""
    scenario = outage_scenarios[name]
    number = nth_load(scenario, load)
    point = last_of(scenario.points, "load_sync_response", number, "after")
    with cloned(restartable.url, scenario.template) as url:
        child = stalled(fork_server, scenario, url, "run", point)
        before = step_of(url)
        restartable.restart("immediate")
        record("restarts")
        assert before == number
        assert step_of(url) < number, "the crash has undone no load, so the test proves nothing"
        child.resume()
        if not is_complete(child):
            finish_walk(fork_server, scenario, url)
        assert differences_after(scenario, url) == []


def test_a_run_reports_as_partial_if_a_crash_has_undone_its_loads(
    restartable: RestartableServer, fork_server: ForkServer, outage_scenarios: dict[str, Scenario]
) -> None:
    """The run was after its last load, so that no refused load can reveal the crash to it."""
    scenario = outage_scenarios["first"]
    point = last_of(scenario.points, "load_sync_response", nth_load(scenario, -1), "after")
    with cloned(restartable.url, scenario.template) as url:
        child = stalled(fork_server, scenario, url, "run", point)
        restartable.restart("immediate")
        record("restarts")
        child.resume()
        report = child.end()
        [(rows,)] = query(url, "select count(*) from contact_interaction_events")
        assert "error" in report or (
            report["result"]["stopped"] and report["result"]["events"] == rows
        )


def test_a_run_waits_for_the_server_during_a_short_outage(
    restartable: RestartableServer, fork_server: ForkServer, outage_scenarios: dict[str, Scenario]
) -> None:
    scenario = outage_scenarios["first"]
    point = Point("load_sync_response", 2, 1, "before")
    with cloned(restartable.url, scenario.template) as url:
        child = stalled(fork_server, scenario, url, "run", point)
        restartable.stop("fast")
        try:
            record("restarts")
            child.resume()
            assert child.wait(1.0) is None, "the run did not wait"
        finally:
            restartable.start()
        assert child.end()["result"]["outcome"] == "completed"
        assert differences_after(scenario, url, exact=True) == []


def test_a_run_fails_after_a_long_outage_and_another_resumes_the_walk(
    restartable: RestartableServer, fork_server: ForkServer, outage_scenarios: dict[str, Scenario]
) -> None:
    scenario = outage_scenarios["first"]
    job = replace(
        scenario.job("", "run"),
        point=Point("load_sync_response", 2, 1, "before"),
        action="stop",
        timeout=1.0,
    )
    with cloned(restartable.url, scenario.template) as url:
        child = fork_server.start(replace(job, url=url))
        child.wait_for("reached")
        restartable.stop("fast")
        try:
            record("restarts")
            child.resume()
            report = child.end()
        finally:
            restartable.start()
        assert report["error"] == "DatabaseUnavailable"
        assert "PostgreSQL cannot be reached" in report["message"]
        finish_walk(fork_server, scenario, url)
        assert differences_after(scenario, url) == []
