"""A run that is stopped until its lease has run out, and goes on while another has the page."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tests.crash.databases import ask, cloned
from tests.crash.effort import note, selection, share, some
from tests.crash.points import Point, last_of
from tests.crash.recovery import expire_lease, faults_after, next_job
from tests.crash.stages import Stage
from tests.crash.waiting import until
from tests.crash.zygote import Child, Zygote

NAMES = some(["first", "incremental", "full"])
LOAD = Point("load_sync_response", 2, 1, "before")
STATE = (
    "select sync_session_id, run_id, step, last_cursor, total_synced, events_created, outcome,"
    " not_before, attempts, stalls, last_error, updated_at from sync_state order by started_at"
)
PAGE = "select status, status_reason, watermark, last_synced_at, next_sync_at from facebook_pages"
LEASE = "select locked_by, token, locked_at, expires_at from sync_locks"


def stalled(zygote: Zygote, stage: Stage, url: str, run_id: str, point: Point) -> Child:
    """A run that is stopped at a point."""
    child = zygote.start(replace(stage.job(url, run_id), point=point, action="stop"))
    child.told("reached")
    until(child.is_stopped, "SIGSTOP")
    note("stops")
    return child


def woken(child: Child) -> tuple[str, str]:
    """How a run that goes on ends: its error and what that says."""
    child.resume()
    told = child.end()
    assert "error" in told, f"a run without a lease ended well: {told}"
    return told["error"], told["message"]


@pytest.mark.parametrize("name", NAMES)
def test_a_stalled_run_cannot_write_once_another_has_completed_the_walk(
    server: str, zygote: Zygote, stages: dict[str, Stage], name: str
) -> None:
    stage = stages[name]
    with cloned(server, stage.template) as url:
        slow = stalled(zygote, stage, url, "the-slow-one", LOAD)
        expire_lease(url)
        assert zygote.run(next_job(stage, url))["result"]["outcome"] == "completed"
        before = [ask(url, query) for query in (STATE, PAGE, LEASE)]

        error, message = woken(slow)

        assert error in ("LeaseLost", "SessionMoved"), message
        assert [ask(url, query) for query in (STATE, PAGE, LEASE)] == before
        assert faults_after(stage, url) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_stalled_run_cannot_write_while_another_is_in_mid_walk(
    server: str, zygote: Zygote, stages: dict[str, Stage], name: str
) -> None:
    """The other one stands right behind its first load when the stalled one goes on."""
    stage = stages[name]
    behind = last_of(stage.points, LOAD.function, 1, "after")
    with cloned(server, stage.template) as url:
        slow = stalled(zygote, stage, url, "the-slow-one", replace(LOAD, number=1))
        expire_lease(url)
        heir = zygote.start(replace(next_job(stage, url), point=behind, action="stop"))
        heir.told("reached")
        until(heir.is_stopped, "SIGSTOP")
        before = [ask(url, query) for query in (STATE, PAGE, LEASE)]

        error, message = woken(slow)

        assert error in ("LeaseLost", "SessionMoved"), message
        assert [ask(url, query) for query in (STATE, PAGE, LEASE)] == before
        heir.resume()
        assert heir.end()["result"]["outcome"] == "completed"
        assert faults_after(stage, url) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_run_changes_nothing_any_more_wherever_it_was_stalled(
    server: str, zygote: Zygote, stages: dict[str, Stage], name: str
) -> None:
    """Before each call that is made under the lease, while another completes the walk."""
    stage = stages[name]

    def stall_at(point: Point) -> list[str]:
        with cloned(server, stage.template) as url:
            slow = stalled(zygote, stage, url, "the-slow-one", point)
            expire_lease(url)
            told = zygote.run(next_job(stage, url))
            before = [ask(url, query) for query in (STATE, PAGE, LEASE)]
            slow.resume()
            slow.end()
            after = [ask(url, query) for query in (STATE, PAGE, LEASE)]
            faults = faults_after(stage, url)
            if before != after or told.get("result", {}).get("outcome") != "completed":
                faults.append(f"before {before}, after {after}; the other one: {told}")
            return [f"{point}: {fault}" for fault in faults]

    starts = [point for point in stage.points if (point.statement, point.moment) == (1, "before")]
    taken = next(at for at, point in enumerate(starts) if point.function == "take_lease")
    with ThreadPoolExecutor(2) as pool:
        found = pool.map(stall_at, selection(starts[taken + 1 :], share(0.02)))
        faults = [fault for told in found for fault in told]
    assert faults == []


def test_a_stalled_run_is_told_who_holds_the_page_though_nothing_was_loaded_meanwhile(
    server: str, zygote: Zygote, stages: dict[str, Stage]
) -> None:
    error, message = told_while_another_is(server, zygote, stages["first"], "open_sync_session")
    assert error == "LeaseLost"
    assert stages["first"].simulated.page.id in message
    assert "held by the-other-one since 20" in message


def test_a_stalled_run_is_told_who_holds_the_page_and_went_on_with_its_session(
    server: str, zygote: Zygote, stages: dict[str, Stage]
) -> None:
    error, message = told_while_another_is(server, zygote, stages["first"], "load_sync_response")
    assert error == "LeaseLost"
    assert "held by the-other-one since 20" in message


def told_while_another_is(
    server: str, zygote: Zygote, stage: Stage, function: str
) -> tuple[str, str]:
    """What a run stalled before its first load is told while another stands behind a call."""
    behind = last_of(stage.points, function, 1, "after")
    with cloned(server, stage.template) as url:
        slow = stalled(zygote, stage, url, "the-slow-one", replace(LOAD, number=1))
        expire_lease(url)
        other = replace(next_job(stage, url), run_id="the-other-one", point=behind, action="stop")
        heir = zygote.start(other)
        heir.told("reached")
        until(heir.is_stopped, "SIGSTOP")
        told = woken(slow)
        heir.resume()
        assert heir.end()["result"]["outcome"] == "completed"
        assert faults_after(stage, url) == []
        return told
