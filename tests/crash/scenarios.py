"""The walks that the tests interrupt, each with a template of the database before it, and the
result of an uninterrupted one."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from graph_simulator import World
from messenger_pipeline.db import pages
from messenger_pipeline.db.pool import Database
from messenger_pipeline.sync.run import Mode
from messenger_pipeline.vault import TokenVault, new_key
from tests.conftest import Simulated
from tests.crash import worlds
from tests.crash.databases import STOPS, clone, name_of, query
from tests.crash.final_state import Counters, content_differences, session_counters, state_leftovers
from tests.crash.fork_server import ForkServer
from tests.crash.interruption_points import Point
from tests.crash.run_job import Job

KEY = new_key()
_WALKS: dict[str, tuple[Callable[[], World], Mode]] = {
    "first": (worlds.first, "auto"),
    "incremental": (worlds.later, "auto"),
    "full": (worlds.last, "full"),
}


@dataclass(frozen=True)
class Scenario:
    """A walk: its mode, the database to clone for it, and what an uninterrupted run does."""

    name: str
    mode: Mode
    simulated: Simulated
    template: str
    sessions: int
    """The number of sessions before."""
    counters: Counters
    points: list[Point]
    firings: tuple[int, int]
    """The number of trigger firings before the walk and after it."""
    seconds: float

    def job(self, url: str, run_id: str) -> Job:
        return Job(url, self.simulated.url, KEY, self.simulated.page.id, run_id, self.mode)


@contextlib.contextmanager
def prepared_scenarios(
    server: str, template: str, fork_server: ForkServer, names: Iterable[str] = tuple(_WALKS)
) -> Iterator[dict[str, Scenario]]:
    """A first walk, an incremental one, and a full one that misses a thread."""
    with contextlib.ExitStack() as open_worlds:
        url = clone(server, template)
        scenarios: dict[str, Scenario] = {}
        for name in names:
            world, mode = _WALKS[name]
            simulated = open_worlds.enter_context(worlds.served(world()))
            if not scenarios:
                _prepare(url, simulated)
            before = name_of(url)
            url = clone(server, before)
            scenarios[name] = _recorded(fork_server, simulated, name, mode, before, url)
        yield scenarios


def _prepare(url: str, simulated: Simulated) -> None:
    query(url, STOPS)
    page = simulated.page
    with Database(url) as database:
        pages.register_page(
            database,
            page.id,
            name=page.name,
            user_id="owner-1",
            platform="messenger",
            token_encrypted=TokenVault([KEY]).encrypt(page.token),
        )


def _recorded(
    fork_server: ForkServer, simulated: Simulated, name: str, mode: Mode, before: str, url: str
) -> Scenario:
    """Run the walk without interruption, check its result, and record it."""
    sessions, fired = len(session_counters(url)), trigger_firings(url)
    scenario = Scenario(name, mode, simulated, before, sessions, {}, [], (0, 0), 0.0)
    report = fork_server.run(scenario.job(url, "uninterrupted"))
    assert report.get("result"), report
    with Database(url) as database:
        differences = content_differences(database, simulated)
    assert differences + state_leftovers(url) == []
    [counters] = session_counters(url, sessions)
    return replace(
        scenario,
        counters=counters,
        points=[Point(**point) for point in report["points"]],
        firings=(fired, trigger_firings(url)),
        seconds=report["result"]["duration_seconds"],
    )


def trigger_firings(url: str) -> int:
    """The number of trigger firings so far."""
    [(last, called)] = query(url, "select last_value, is_called from crash_firings")
    return int(last) if called else 0
