"""SIGKILL at random moments, several times in one walk."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.crash.databases import cloned
from tests.crash.effort import share
from tests.crash.recovery import expire_lease, faults_after, go_on, kill, next_job
from tests.crash.stages import Stage
from tests.crash.zygote import Zygote

_KILLS = 5  # of one walk


@pytest.mark.parametrize("name", ["first", "incremental", "full"])
def test_a_walk_killed_again_and_again_comes_to_the_same_end(
    server: str, zygote: Zygote, stages: dict[str, Stage], name: str
) -> None:
    stage = stages[name]

    def kill_often(seed: int) -> list[str]:
        chance = random.Random(f"{name}:{seed}")
        with cloned(server, stage.template) as url:
            for _ in range(_KILLS):
                child = zygote.start(next_job(stage, url))
                child.wait(chance.uniform(0.02, 0.05 + stage.seconds))
                kill(child, "kills at random")
                expire_lease(url)
            go_on(zygote, stage, url)
            return [f"seed {seed}: {fault}" for fault in faults_after(stage, url)]

    with ThreadPoolExecutor(2) as pool:
        found = pool.map(kill_often, range(max(1, share(0.06) // _KILLS)))
        faults = [fault for told in found for fault in told]
    assert faults == []
