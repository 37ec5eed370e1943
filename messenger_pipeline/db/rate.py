"""The budget of calls to Meta that all processes share."""

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass

from messenger_pipeline.db.pool import Database
from messenger_pipeline.errors import RateLimited, Stopped

PATIENCE = 30.0
"""Seconds that a run waits for its turn; for a longer pause it ends, and another goes on."""
_NOTICED = 2.0  # seconds of a wait that is worth telling: calls are spaced anyway
_TELLING = 25  # percent of use below which nothing slows down, so nothing need be noted


@dataclass(frozen=True)
class Budget:
    """Whose quotas a run's calls use up, and how fast.

    `reserve_percent` is the percentage of them that it leaves to what is more urgent.
    """

    app: str
    token: str
    page: str
    calls_per_second: float
    reserve_percent: int = 0

    @property
    def scopes(self) -> dict[str, str]:
        """The keys of graph_api_budget, by kind; the page's, whose calls are spaced, first."""
        fingerprint = hashlib.sha256(self.token.encode()).hexdigest()[:16]
        return {
            "page": f"page:{self.page}",
            "token": f"token:{fingerprint}",
            "app": f"app:{self.app}",
        }


class Pacer:
    """Waits for a run's turns, and keeps the shared budget told.

    `say` is told of each wait that somebody would notice: for how many seconds, and for what.
    """

    def __init__(
        self,
        database: Database,
        budget: Budget,
        stop: threading.Event,
        say: Callable[[float, str], None] = lambda _seconds, _what: None,
    ) -> None:
        self._database = database
        self._budget = budget
        self._scopes = budget.scopes
        self._stop = stop
        self._say = say
        self._limit: str | None = None
        self._told: dict[str, int] = {}
        self.waited = 0.0
        """Seconds waited so far because of Meta's limits."""

    def wait(self) -> None:
        """Take the next turn and wait for it. Raises RateLimited where that is long, Stopped."""
        [(seconds, paused)] = self._database.call(
            "reserve_graph_call",
            scopes=list(self._scopes.values()),
            calls_per_second=self._budget.calls_per_second,
            reserve_percent=self._budget.reserve_percent,
            patience=PATIENCE,
        )
        if paused is not None:
            error = RateLimited(f"Meta's limit of {paused.partition(':')[0]} is reached")
            error.seconds = seconds
            raise error
        if seconds > 0:
            self.waited += seconds
            if seconds >= _NOTICED:
                limit = self._limit or "quota, which is nearly used up"
                self._say(seconds, f"Meta's {limit}")
            self._limit = None
            if self._stop.wait(seconds):
                raise Stopped("told to terminate")

    def tell(self, app: int, page: int) -> None:
        """Note how many percent of the app's and the page's quota are used up."""
        news = {
            kind: percent
            for kind, percent in (("app", app), ("page", page))
            if percent != self._told.get(kind, 0)
            and max(percent, self._told.get(kind, 0)) >= _TELLING
        }
        if news:
            self._told |= news
            self._database.call(
                "note_graph_usage",
                scopes=[self._scopes[kind] for kind in news],
                percents=list(news.values()),
            )

    def pause(self, scope: str, seconds: float | None) -> float:
        """Pause an app, token or page for as long as Meta told; for how many seconds that is."""
        paused: float = self._database.value(
            "pause_graph_api", scope=self._scopes[scope], seconds=seconds
        )
        self._limit = f"limit of the {scope}"
        return paused
