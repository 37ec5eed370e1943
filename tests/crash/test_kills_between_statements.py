"""SIGKILL at every statement that a run sends: before it, once it is sent, once it is answered."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tests.crash.databases import cloned
from tests.crash.effort import note, selection, share
from tests.crash.points import Point, without_twins
from tests.crash.recovery import faults_after, go_on
from tests.crash.stages import Stage
from tests.crash.zygote import Zygote

# Calls that ask for a place in the queue of calls write nothing of the page.
_QUIET = ("reserve_graph_call", "note_graph_usage")


def worth_it(points: list[Point]) -> list[Point]:
    """Every place of what reads or writes the page, and a few of the others."""
    return [
        point
        for point in without_twins(points)
        if point.function not in _QUIET or (point.number < 3 and point.moment == "answered")
    ]


@pytest.mark.parametrize("name", ["first", "incremental", "full"])
def test_a_run_killed_at_any_statement_is_taken_up_without_loss_or_double_count(
    server: str, zygote: Zygote, stages: dict[str, Stage], name: str
) -> None:
    stage = stages[name]

    def kill_at(point: Point) -> list[str]:
        with cloned(server, stage.template) as url:
            told = zygote.run(replace(stage.job(url, "killed"), point=point))
            if "result" in told or "error" in told:
                return [f"{point}: not reached"]
            note("kills between statements")
            go_on(zygote, stage, url)
            return [f"{point}: {fault}" for fault in faults_after(stage, url)]

    points = selection(worth_it(stage.points), share(0.10))
    with ThreadPoolExecutor(2) as pool:
        faults = [fault for found in pool.map(kill_at, points) for fault in found]
    assert faults == []
