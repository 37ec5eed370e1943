"""SIGKILL at random moments, several times per walk."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.crash.databases import cloned
from tests.crash.fork_server import ForkServer
from tests.crash.interruption_counts import case_count
from tests.crash.recovery import differences_after, expire_lease, finish_walk, kill, next_job
from tests.crash.scenarios import Scenario

_KILLS = 5  # per walk


@pytest.mark.parametrize("name", ["first", "incremental", "full"])
def test_a_walk_killed_repeatedly_gives_the_same_result(
    server: str, fork_server: ForkServer, scenarios: dict[str, Scenario], name: str
) -> None:
    scenario = scenarios[name]

    def kill_repeatedly(seed: int) -> list[str]:
        chance = random.Random(f"{name}:{seed}")
        with cloned(server, scenario.template) as url:
            for _ in range(_KILLS):
                child = fork_server.start(next_job(scenario, url))
                child.wait(chance.uniform(0.02, 0.05 + scenario.seconds))
                kill(child, "kills at random")
                expire_lease(url)
            finish_walk(fork_server, scenario, url)
            return [f"seed {seed}: {difference}" for difference in differences_after(scenario, url)]

    with ThreadPoolExecutor(2) as pool:
        found = pool.map(kill_repeatedly, range(max(1, case_count(0.06) // _KILLS)))
        differences = [difference for case in found for difference in case]
    assert differences == []
