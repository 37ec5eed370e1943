"""SIGKILL while the server executes the n-th statement inside a function that a run called."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.crash.databases import cloned
from tests.crash.effort import note, selection, share
from tests.crash.recovery import expire_lease, faults_after, go_on, kill, next_job
from tests.crash.stages import Stage
from tests.crash.waiting import Barrier, barrier, until
from tests.crash.zygote import Child, Zygote


def blocked(child: Child, before: Barrier) -> int:
    """The backend in which the run waits."""
    until(lambda: child.wait(0) is not None or before.waiting() != [], "the wanted statement")
    assert not child.ended, f"the wanted statement was not reached: {child.end()}"
    [backend] = before.waiting()
    return backend


@pytest.mark.parametrize("name", ["first", "incremental", "full"])
def test_a_run_killed_while_the_server_executes_any_statement_leaves_all_of_it_or_nothing(
    server: str, zygote: Zygote, stages: dict[str, Stage], name: str
) -> None:
    stage = stages[name]

    def kill_at(number: int) -> list[str]:
        with cloned(server, stage.template) as url:
            with barrier(url, number) as before:
                child = zygote.start(stage.job(url, "killed"))
                blocked(child, before)
                kill(child, "kills inside a statement")
                before.open()
            go_on(zygote, stage, url)
            return [f"firing {number}: {fault}" for fault in faults_after(stage, url)]

    first, last = stage.firings
    numbers = selection(range(first + 1, last + 1), share(0.08))
    with ThreadPoolExecutor(2) as pool:
        faults = [fault for found in pool.map(kill_at, numbers) for fault in found]
    assert faults == []


def test_a_run_waits_for_what_a_dead_one_still_has_under_way_in_the_server(
    server: str, zygote: Zygote, stages: dict[str, Stage]
) -> None:
    """The dead run's load goes on, holding its lease's row, while the next run takes the lease."""
    stage = stages["first"]

    def overlap_at(number: int) -> list[str]:
        with cloned(server, stage.template) as url:
            with barrier(url, number) as before:
                dead = zygote.start(stage.job(url, "killed"))
                blocked(dead, before)
                kill(dead, "kills inside a statement")
                expire_lease(url)
                heir = zygote.start(next_job(stage, url))
                until(lambda: before.waiting("transactionid tuple") != [], "the next run")
                note("overlaps")
                before.open()
                told = heir.end()
            assert told["result"]["outcome"] == "completed"
            return [f"firing {number}: {fault}" for fault in faults_after(stage, url)]

    first, last = stage.firings
    # Without those before the lease is taken, and those of its release.
    numbers = selection(range(first + 10, last - 8), share(0.02))
    faults = [fault for number in numbers for fault in overlap_at(number)]
    assert faults == []
