"""A run is stopped until its lease has expired, and continues while another run has the page."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tests.crash.barriers import until
from tests.crash.databases import cloned, query
from tests.crash.fork_server import Child, ForkServer
from tests.crash.interruption_counts import case_count, record, sample, subset
from tests.crash.interruption_points import Point, last_of
from tests.crash.recovery import differences_after, expire_lease, next_job
from tests.crash.scenarios import Scenario

pytestmark = pytest.mark.large

NAMES = subset(["first", "incremental", "full"])
LOAD = Point("load_sync_response", 2, 1, "before")
STATE = (
    "select sync_session_id, run_id, step, last_cursor, total_synced, events_created, outcome,"
    " not_before, idle_attempts, last_error, updated_at from sync_state order by started_at"
)
PAGE = "select status, status_reason, watermark, last_synced_at, next_sync_at from facebook_pages"
LEASE = "select locked_by, token, locked_at, expires_at from sync_locks"


def stalled(
    fork_server: ForkServer, scenario: Scenario, url: str, run_id: str, point: Point
) -> Child:
    """Start a run that stops at a point, and wait until it has stopped."""
    child = fork_server.start(replace(scenario.job(url, run_id), point=point, action="stop"))
    child.wait_for("reached")
    until(child.is_stopped, "SIGSTOP")
    record("stops")
    return child


def fail_after_resume(child: Child) -> tuple[str, str]:
    """Resume a run, which must fail. Returns its error and the message."""
    child.resume()
    report = child.end()
    assert "error" in report, f"a run without a lease succeeded: {report}"
    return report["error"], report["message"]


@pytest.mark.parametrize("name", NAMES)
def test_a_stalled_run_cannot_write_once_another_has_completed_the_walk(
    server: str, fork_server: ForkServer, scenarios: dict[str, Scenario], name: str
) -> None:
    scenario = scenarios[name]
    with cloned(server, scenario.template) as url:
        slow = stalled(fork_server, scenario, url, "slow", LOAD)
        expire_lease(url)
        assert fork_server.run(next_job(scenario, url))["result"]["outcome"] == "completed"
        before = [query(url, one) for one in (STATE, PAGE, LEASE)]

        error, message = fail_after_resume(slow)

        assert error in ("LeaseLost", "SessionMoved"), message
        assert [query(url, one) for one in (STATE, PAGE, LEASE)] == before
        assert differences_after(scenario, url) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_stalled_run_cannot_write_during_the_walk_of_another(
    server: str, fork_server: ForkServer, scenarios: dict[str, Scenario], name: str
) -> None:
    """The other run has just made its first load when the stalled one resumes."""
    scenario = scenarios[name]
    after_load = last_of(scenario.points, LOAD.function, 1, "after")
    with cloned(server, scenario.template) as url:
        slow = stalled(fork_server, scenario, url, "slow", replace(LOAD, number=1))
        expire_lease(url)
        successor = fork_server.start(
            replace(next_job(scenario, url), point=after_load, action="stop")
        )
        successor.wait_for("reached")
        until(successor.is_stopped, "SIGSTOP")
        before = [query(url, one) for one in (STATE, PAGE, LEASE)]

        error, message = fail_after_resume(slow)

        assert error in ("LeaseLost", "SessionMoved"), message
        assert [query(url, one) for one in (STATE, PAGE, LEASE)] == before
        successor.resume()
        assert successor.end()["result"]["outcome"] == "completed"
        assert differences_after(scenario, url) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_run_stalled_at_any_call_changes_nothing_after_its_lease_expired(
    server: str, fork_server: ForkServer, scenarios: dict[str, Scenario], name: str
) -> None:
    """It stalls before a call under the lease, while another run completes the walk."""
    scenario = scenarios[name]

    def stall_at(point: Point) -> list[str]:
        with cloned(server, scenario.template) as url:
            slow = stalled(fork_server, scenario, url, "slow", point)
            expire_lease(url)
            report = fork_server.run(next_job(scenario, url))
            before = [query(url, one) for one in (STATE, PAGE, LEASE)]
            slow.resume()
            slow.end()
            after = [query(url, one) for one in (STATE, PAGE, LEASE)]
            differences = differences_after(scenario, url)
            if before != after or report.get("result", {}).get("outcome") != "completed":
                differences.append(
                    f"before {before}, after {after}; report of the other run: {report}"
                )
            return [f"{point}: {difference}" for difference in differences]

    starts = [
        point for point in scenario.points if (point.statement, point.moment) == (1, "before")
    ]
    taken = next(at for at, point in enumerate(starts) if point.function == "take_lease")
    with ThreadPoolExecutor(2) as pool:
        found = pool.map(stall_at, sample(starts[taken + 1 :], case_count(0.02)))
        differences = [difference for case in found for difference in case]
    assert differences == []


def test_the_error_of_a_stalled_run_names_the_holder_before_the_holders_first_load(
    server: str, fork_server: ForkServer, scenarios: dict[str, Scenario]
) -> None:
    error, message = error_while_another_run_is_after(
        server, fork_server, scenarios["first"], "open_sync_session"
    )
    assert error == "LeaseLost"
    assert scenarios["first"].simulated.page.id in message
    assert "held by other since 20" in message


def test_the_error_of_a_stalled_run_names_the_holder_that_resumed_its_session(
    server: str, fork_server: ForkServer, scenarios: dict[str, Scenario]
) -> None:
    error, message = error_while_another_run_is_after(
        server, fork_server, scenarios["first"], "load_sync_response"
    )
    assert error == "LeaseLost"
    assert "held by other since 20" in message


def error_while_another_run_is_after(
    server: str, fork_server: ForkServer, scenario: Scenario, function: str
) -> tuple[str, str]:
    """The error of a run that stalled before its first load, while another is after a call."""
    after_load = last_of(scenario.points, function, 1, "after")
    with cloned(server, scenario.template) as url:
        slow = stalled(fork_server, scenario, url, "slow", replace(LOAD, number=1))
        expire_lease(url)
        other = replace(next_job(scenario, url), run_id="other", point=after_load, action="stop")
        successor = fork_server.start(other)
        successor.wait_for("reached")
        until(successor.is_stopped, "SIGSTOP")
        failure = fail_after_resume(slow)
        successor.resume()
        assert successor.end()["result"]["outcome"] == "completed"
        assert differences_after(scenario, url) == []
        return failure
