"""A run lives, and the backend that it talks to, or the answer of it, is lost."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tests.crash.databases import cloned
from tests.crash.effort import note, selection, share
from tests.crash.points import Point, last_of, without_twins
from tests.crash.recovery import faults_after
from tests.crash.stages import Stage
from tests.crash.test_kills_inside_a_load import blocked
from tests.crash.waiting import barrier
from tests.crash.zygote import Zygote


@pytest.mark.parametrize("name", ["first", "incremental", "full"])
def test_a_run_whose_backend_is_killed_at_any_statement_makes_the_call_again(
    server: str, zygote: Zygote, stages: dict[str, Stage], name: str
) -> None:
    stage = stages[name]

    def terminate_at(number: int) -> list[str]:
        with cloned(server, stage.template) as url:
            with barrier(url, number) as before:
                child = zygote.start(stage.job(url, "the-run"))
                before.terminate(blocked(child, before))
                note("backends killed")
            told = child.end()
            if "result" not in told:
                return [f"firing {number}: {told}"]
            return [f"firing {number}: {fault}" for fault in faults_after(stage, url, exact=True)]

    first, last = stage.firings
    numbers = selection(range(first + 1, last + 1), share(0.04))
    with ThreadPoolExecutor(2) as pool:
        faults = [fault for found in pool.map(terminate_at, numbers) for fault in found]
    assert faults == []


@pytest.mark.parametrize("name", ["first", "incremental", "full"])
def test_a_run_that_loses_any_answer_makes_the_call_again_and_counts_nothing_twice(
    server: str, zygote: Zygote, stages: dict[str, Stage], name: str
) -> None:
    """Also that of a commit: then the call is made twice."""
    stage = stages[name]

    def lose(point: Point) -> list[str]:
        with cloned(server, stage.template) as url:
            told = zygote.run(replace(stage.job(url, "the-run"), point=point, action="cut"))
            note("answers lost")
            if "result" not in told or "reached" not in told:
                return [f"{point}: {told}"]
            return [f"{point}: {fault}" for fault in faults_after(stage, url, exact=True)]

    answers = [
        point
        for point in without_twins(stage.points)
        # Tested for itself: test_a_full_sync_whose_begin_…
        if point.moment == "answered" and (name, point.function) != ("full", "open_sync_session")
    ]
    loads = [point for point in answers if point.function == "load_sync_response"]
    others = [point for point in answers if point not in loads]
    with ThreadPoolExecutor(2) as pool:
        found = pool.map(lose, selection(loads, share(0.02)) + selection(others, share(0.02)))
        faults = [fault for told in found for fault in told]
    assert faults == []


def test_a_full_sync_whose_begin_was_not_acknowledged_begins_once(
    server: str, zygote: Zygote, stages: dict[str, Stage]
) -> None:
    stage = stages["full"]
    point = last_of(stage.points, "open_sync_session", 1, "answered")
    with cloned(server, stage.template) as url:
        told = zygote.run(replace(stage.job(url, "the-run"), point=point, action="cut"))
        note("answers lost")
        assert told["reached"]
        assert told["result"]["outcome"] == "completed"
        assert faults_after(stage, url, exact=True) == []
