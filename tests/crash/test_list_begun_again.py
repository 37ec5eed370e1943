"""Interruptions while a list begins again from the top because its cursor died."""

from dataclasses import replace

import pytest

from messenger_pipeline.db.pool import Database
from tests.crash import worlds
from tests.crash.databases import cloned
from tests.crash.effort import note, some
from tests.crash.outcome import faults_of_content, faults_of_state, figures_of
from tests.crash.points import Moment, Point, last_of
from tests.crash.recovery import go_on
from tests.crash.stages import Stage
from tests.crash.zygote import Zygote


def faults_of(stage: Stage, url: str) -> list[str]:
    with Database(url) as database:
        faults = faults_of_content(database, stage.simulated)
    return faults + faults_of_state(url)


@pytest.mark.parametrize("moment", some(["answered", "before", "sent", "after"]))
def test_a_run_killed_while_its_list_begins_again_is_taken_up(
    server: str, zygote: Zygote, stages: dict[str, Stage], moment: Moment
) -> None:
    with (
        worlds.served(worlds.first()) as simulated,
        cloned(server, stages["first"].template) as url,
    ):
        simulated.fault("cursors_expire", edge="conversations")
        stage = replace(stages["first"], simulated=simulated)
        point = Point("restart_session_list", 1, 1, moment)
        told = zygote.run(replace(stage.job(url, "killed"), point=point))
        assert told.keys() == {"pid"}, told
        note("kills between statements")
        go_on(zygote, stage, url)
        assert faults_of(stage, url) == []


def test_a_list_begun_again_is_not_truncated_because_that_was_not_acknowledged(
    server: str, zygote: Zygote, stages: dict[str, Stage]
) -> None:
    """The call is made again, and must not take itself for a second death no deeper."""
    with (
        worlds.served(worlds.first()) as simulated,
        cloned(server, stages["first"].template) as url,
    ):
        simulated.fault("cursors_expire", edge="conversations")
        stage = replace(stages["first"], simulated=simulated)
        point = replace(
            last_of(stage.points, "open_sync_session", 1, "answered"),
            function="restart_session_list",
        )
        told = zygote.run(replace(stage.job(url, "the-run"), point=point, action="cut"))
        note("answers lost")
        assert told["reached"]
        [figures] = figures_of(url)
        assert (figures["outcome"], figures["truncated"]) == ("completed", None)
        assert faults_of(stage, url) == []
