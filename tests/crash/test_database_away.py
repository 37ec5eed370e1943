"""The server goes away while a run is in mid-walk, and comes back."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from messenger_pipeline.db import migrate
from messenger_pipeline.db.embedded import database_url
from tests.crash.databases import ask, cloned
from tests.crash.effort import note, some
from tests.crash.own_server import Mode, OwnServer, own_server
from tests.crash.points import Moment, Point, last_of
from tests.crash.recovery import faults_after, go_on
from tests.crash.stages import Stage, staged
from tests.crash.test_kills_inside_a_load import blocked
from tests.crash.test_stalled import stalled
from tests.crash.waiting import barrier
from tests.crash.zygote import Child, Zygote

LOADS = some([-1, 0, 1])
"""The last load of a walk, its first and its second."""
MOMENTS: Sequence[Moment] = some(["answered", "sent", "before"])
NAMES = some(["first", "incremental", "full"])
ENDS = {"DatabaseUnavailable", "SessionMoved", "LeaseLost"}
"""Errors that may end a run whose server was away: a later one goes on."""


@pytest.fixture(scope="module")
def own() -> Iterator[OwnServer]:
    with own_server() as own:
        yield own


@pytest.fixture(scope="module")
def here(own: OwnServer, zygote: Zygote) -> Iterator[dict[str, Stage]]:
    """The stages, on a server that can be restarted."""
    migrate.upgrade(database_url(own.url, "schema"), "public")
    with staged(own.url, "schema", zygote, NAMES) as stages:
        yield stages


def nth_load(stage: Stage, at: int) -> int:
    """The number of the load that stands there in the order of a walk."""
    return sorted({p.number for p in stage.points if p.function == "load_sync_response"})[at]


def step_of(url: str) -> int:
    [(step,)] = ask(url, "select step from sync_state where outcome is null")
    return int(step)


def is_complete(child: Child) -> bool:
    """Whether a run came to the end of the walk. If not it says so."""
    told = child.end()
    assert "result" in told or told["error"] in ENDS, told
    return "result" in told and told["result"]["outcome"] == "completed"


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_goes_on_when_the_server_was_restarted_orderly(
    own: OwnServer, zygote: Zygote, here: dict[str, Stage], load: int, moment: Moment
) -> None:
    """Nothing that was committed is lost, so one run is enough, and it counts nothing twice."""
    stage = here["first"]
    point = Point("load_sync_response", nth_load(stage, load), 1, moment)
    with cloned(own.url, stage.template) as url:
        child = stalled(zygote, stage, url, "the-run", point)
        own.restart("fast")
        note("restarts")
        child.resume()
        told = child.end()
        assert told.get("result", {}).get("outcome") == "completed", told
        assert faults_after(stage, url, exact=True) == []


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_run_goes_on_when_the_server_was_restarted_while_it_executed_a_load(
    own: OwnServer, zygote: Zygote, here: dict[str, Stage], mode: Mode
) -> None:
    stage = here["first"]
    with cloned(own.url, stage.template) as url:
        first, last = stage.firings
        with barrier(url, (first + last) // 2) as before:
            child = zygote.start(stage.job(url, "the-run"))
            blocked(child, before)
            own.restart(mode)
            note("restarts")
        if not is_complete(child):
            go_on(zygote, stage, url)
        assert faults_after(stage, url) == []


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("name", NAMES)
def test_what_a_crash_of_the_server_undid_is_read_again(
    own: OwnServer, zygote: Zygote, here: dict[str, Stage], name: str, load: int
) -> None:
    """Cursor, counters and rows of the loads that were not yet durable are lost together."""
    stage = here[name]
    number = nth_load(stage, load)
    point = last_of(stage.points, "load_sync_response", number, "after")
    with cloned(own.url, stage.template) as url:
        child = stalled(zygote, stage, url, "the-run", point)
        before = step_of(url)
        own.restart("immediate")
        note("restarts")
        assert before == number
        assert step_of(url) < number, "the crash undid nothing: it proves nothing"
        child.resume()
        if not is_complete(child):
            go_on(zygote, stage, url)
        assert faults_after(stage, url) == []


def test_a_run_whose_loads_a_crash_undid_says_why_it_is_partial_and_claims_no_rows(
    own: OwnServer, zygote: Zygote, here: dict[str, Stage]
) -> None:
    """It meets no load any more that would be refused, as it stood behind its last."""
    stage = here["first"]
    point = last_of(stage.points, "load_sync_response", nth_load(stage, -1), "after")
    with cloned(own.url, stage.template) as url:
        child = stalled(zygote, stage, url, "the-run", point)
        own.restart("immediate")
        note("restarts")
        child.resume()
        told = child.end()
        [(rows,)] = ask(url, "select count(*) from contact_interaction_events")
        assert "error" in told or (told["result"]["stopped"] and told["result"]["events"] == rows)


def test_a_run_waits_for_a_server_that_is_away_for_a_while(
    own: OwnServer, zygote: Zygote, here: dict[str, Stage]
) -> None:
    stage = here["first"]
    point = Point("load_sync_response", 2, 1, "before")
    with cloned(own.url, stage.template) as url:
        child = stalled(zygote, stage, url, "the-run", point)
        own.stop("fast")
        try:
            note("restarts")
            child.resume()
            assert child.wait(1.0) is None, "it did not wait"
        finally:
            own.start()
        assert child.end()["result"]["outcome"] == "completed"
        assert faults_after(stage, url, exact=True) == []


def test_a_run_that_waited_too_long_says_that_the_server_is_away_and_another_goes_on(
    own: OwnServer, zygote: Zygote, here: dict[str, Stage]
) -> None:
    stage = here["first"]
    job = replace(
        stage.job("", "the-run"),
        point=Point("load_sync_response", 2, 1, "before"),
        action="stop",
        timeout=1.0,
    )
    with cloned(own.url, stage.template) as url:
        child = zygote.start(replace(job, url=url))
        child.told("reached")
        own.stop("fast")
        try:
            note("restarts")
            child.resume()
            told = child.end()
        finally:
            own.start()
        assert told["error"] == "DatabaseUnavailable"
        assert "PostgreSQL cannot be reached" in told["message"]
        go_on(zygote, stage, url)
        assert faults_after(stage, url) == []
