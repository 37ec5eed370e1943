"""Interruptions while a list restarts from the top because its cursor has expired."""

from dataclasses import replace

import pytest

from messenger_pipeline.db.pool import Database
from tests.crash import worlds
from tests.crash.databases import cloned
from tests.crash.final_state import content_differences, session_counters, state_leftovers
from tests.crash.fork_server import ForkServer
from tests.crash.interruption_counts import record, subset
from tests.crash.interruption_points import Moment, Point, last_of
from tests.crash.recovery import finish_walk
from tests.crash.scenarios import Scenario


def all_differences(scenario: Scenario, url: str) -> list[str]:
    with Database(url) as database:
        differences = content_differences(database, scenario.simulated)
    return differences + state_leftovers(url)


@pytest.mark.parametrize("moment", subset(["answered", "before", "sent", "after"]))
def test_a_run_killed_while_its_list_restarts_is_resumed(
    server: str, fork_server: ForkServer, scenarios: dict[str, Scenario], moment: Moment
) -> None:
    with (
        worlds.served(worlds.first()) as simulated,
        cloned(server, scenarios["first"].template) as url,
    ):
        simulated.fault("cursors_expire", edge="conversations")
        scenario = replace(scenarios["first"], simulated=simulated)
        point = Point("restart_session_list", 1, 1, moment)
        report = fork_server.run(replace(scenario.job(url, "killed"), point=point))
        assert report.keys() == {"pid"}, report
        record("kills between statements")
        finish_walk(fork_server, scenario, url)
        assert all_differences(scenario, url) == []


def test_a_repeated_list_restart_does_not_truncate_the_walk(
    server: str, fork_server: ForkServer, scenarios: dict[str, Scenario]
) -> None:
    """The call is repeated because its result was lost. It must not count as a second expired
    cursor at the same depth."""
    with (
        worlds.served(worlds.first()) as simulated,
        cloned(server, scenarios["first"].template) as url,
    ):
        simulated.fault("cursors_expire", edge="conversations")
        scenario = replace(scenarios["first"], simulated=simulated)
        point = replace(
            last_of(scenario.points, "open_sync_session", 1, "answered"),
            function="restart_session_list",
        )
        report = fork_server.run(replace(scenario.job(url, "run"), point=point, action="cut"))
        record("lost results")
        assert report["reached"]
        [counters] = session_counters(url)
        assert (counters["outcome"], counters["truncated"]) == ("completed", None)
        assert all_differences(scenario, url) == []
