"""SIGKILL while the server executes a statement inside a function that a run has called."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.crash.barriers import Barrier, barrier, until
from tests.crash.databases import cloned
from tests.crash.fork_server import Child, ForkServer
from tests.crash.interruption_counts import case_count, record, sample
from tests.crash.recovery import differences_after, expire_lease, finish_walk, kill, next_job
from tests.crash.scenarios import Scenario

pytestmark = pytest.mark.large


def wait_until_blocked(child: Child, before: Barrier) -> int:
    """Wait until the run is blocked at the barrier. Returns its backend."""
    until(lambda: child.wait(0) is not None or before.waiting() != [], "the wanted statement")
    assert not child.ended, f"the wanted statement was not reached: {child.end()}"
    [backend] = before.waiting()
    return backend


@pytest.mark.parametrize("name", ["first", "incremental", "full"])
def test_a_run_killed_during_any_statement_leaves_whole_transactions(
    server: str, fork_server: ForkServer, scenarios: dict[str, Scenario], name: str
) -> None:
    scenario = scenarios[name]

    def kill_at(number: int) -> list[str]:
        with cloned(server, scenario.template) as url:
            with barrier(url, number) as before:
                child = fork_server.start(scenario.job(url, "killed"))
                wait_until_blocked(child, before)
                kill(child, "kills inside a statement")
                before.open()
            finish_walk(fork_server, scenario, url)
            return [
                f"firing {number}: {difference}" for difference in differences_after(scenario, url)
            ]

    first, last = scenario.firings
    numbers = sample(range(first + 1, last + 1), case_count(0.08))
    with ThreadPoolExecutor(2) as pool:
        differences = [difference for found in pool.map(kill_at, numbers) for difference in found]
    assert differences == []


def test_a_run_waits_for_the_transaction_that_a_dead_one_left_in_the_server(
    server: str, fork_server: ForkServer, scenarios: dict[str, Scenario]
) -> None:
    """The dead run's load continues and locks the lease's row when the next run takes the lease."""
    scenario = scenarios["first"]

    def overlap_at(number: int) -> list[str]:
        with cloned(server, scenario.template) as url:
            with barrier(url, number) as before:
                dead = fork_server.start(scenario.job(url, "killed"))
                wait_until_blocked(dead, before)
                kill(dead, "kills inside a statement")
                expire_lease(url)
                successor = fork_server.start(next_job(scenario, url))
                until(lambda: before.waiting("transactionid tuple") != [], "the next run")
                record("overlaps")
                before.open()
                report = successor.end()
            assert report["result"]["outcome"] == "completed"
            return [
                f"firing {number}: {difference}" for difference in differences_after(scenario, url)
            ]

    first, last = scenario.firings
    # Without the firings before the lease is taken and those of its release.
    numbers = sample(range(first + 10, last - 8), case_count(0.02))
    differences = [difference for number in numbers for difference in overlap_at(number)]
    assert differences == []
