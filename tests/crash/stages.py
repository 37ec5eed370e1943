"""The walks that are interrupted, each with the database as it is before it, and what an
undisturbed one does."""

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
from tests.crash.databases import STOPS, ask, clone, name_of
from tests.crash.job import Job
from tests.crash.outcome import Figures, faults_of_content, faults_of_state, figures_of
from tests.crash.points import Point
from tests.crash.zygote import Zygote

KEY = new_key()
_WALKS: dict[str, tuple[Callable[[], World], Mode]] = {
    "first": (worlds.first, "auto"),
    "incremental": (worlds.later, "auto"),
    "full": (worlds.last, "full"),
}


@dataclass(frozen=True)
class Stage:
    """A walk: what it is asked for, the database to clone for it, what it does undisturbed."""

    name: str
    mode: Mode
    simulated: Simulated
    template: str
    sessions: int
    """How many there are before."""
    figures: Figures
    points: list[Point]
    firings: tuple[int, int]
    """Before the walk and after: of the triggers of all that it writes."""
    seconds: float

    def job(self, url: str, run_id: str) -> Job:
        return Job(url, self.simulated.url, KEY, self.simulated.page.id, run_id, self.mode)


@contextlib.contextmanager
def staged(
    server: str, template: str, zygote: Zygote, names: Iterable[str] = tuple(_WALKS)
) -> Iterator[dict[str, Stage]]:
    """A first walk, an incremental one, and a full one that misses a thread."""
    with contextlib.ExitStack() as open_worlds:
        url = clone(server, template)
        stages: dict[str, Stage] = {}
        for name in names:
            world, mode = _WALKS[name]
            simulated = open_worlds.enter_context(worlds.served(world()))
            if not stages:
                _prepare(url, simulated)
            before = name_of(url)
            url = clone(server, before)
            stages[name] = _walked(zygote, simulated, name, mode, before, url)
        yield stages


def _prepare(url: str, simulated: Simulated) -> None:
    ask(url, STOPS)
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


def _walked(
    zygote: Zygote, simulated: Simulated, name: str, mode: Mode, before: str, url: str
) -> Stage:
    """The stage of an undisturbed walk, which is right."""
    sessions, fired = len(figures_of(url)), firings(url)
    stage = Stage(name, mode, simulated, before, sessions, {}, [], (0, 0), 0.0)
    told = zygote.run(stage.job(url, "undisturbed"))
    assert told.get("result"), told
    with Database(url) as database:
        faults = faults_of_content(database, simulated)
    assert faults + faults_of_state(url) == []
    [figures] = figures_of(url, sessions)
    return replace(
        stage,
        figures=figures,
        points=[Point(**point) for point in told["points"]],
        firings=(fired, firings(url)),
        seconds=told["result"]["duration_seconds"],
    )


def firings(url: str) -> int:
    """How many firings of triggers there were so far."""
    [(last, called)] = ask(url, "select last_value, is_called from crash_firings")
    return int(last) if called else 0
