"""The budget of calls to Meta that all processes share."""

import hashlib
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from messenger_pipeline.db.pool import Database
from messenger_pipeline.errors import AppRefused, RateLimited, Stopped

PATIENCE = 30.0
"""Seconds that a run waits for a call. If the wait is longer, it ends and another run resumes."""
_REPORTED_SECONDS = (
    2.0  # shortest wait in seconds that is reported: calls are always spaced a little
)
_RECORDED_PERCENT = (
    25  # percent of the quota below which calls do not slow down, so usage is not recorded
)


@dataclass(frozen=True)
class Budget:
    """The quotas that a run's calls use, and their rate.

    `reserve_percent` is the percentage of the quotas that the run leaves to more urgent calls.
    """

    app: str
    token: str
    page: str
    calls_per_second: float
    reserve_percent: int = 0

    @property
    def scopes(self) -> dict[str, str]:
        """The keys of graph_api_budget, by kind. The page's is first: its calls are spaced."""
        fingerprint = hashlib.sha256(self.token.encode()).hexdigest()[:16]
        return {
            "page": f"page:{self.page}",
            "token": f"token:{fingerprint}",
            "app": f"app:{self.app}",
            "refused": f"refused:{self.app}",
        }

    @property
    def calls_in_a_row(self) -> tuple[int, float]:
        """How many calls may follow each other, and the seconds between the first of them and the
        one behind the last: see reserve_graph_call."""
        calls = max(1, int(self.calls_per_second))
        if self.calls_per_second < 1:
            return calls, 1 / self.calls_per_second + 0.1
        return calls, 1.1 * calls / self.calls_per_second


@dataclass(frozen=True)
class _ReservedCall:
    seconds: float
    paused_scope: str | None


class Pacer:
    """Waits before each of a run's calls, and reports usage and pauses to the shared budget.

    `on_wait` is called before each noticeable wait with its seconds and its reason.
    """

    def __init__(
        self,
        database: Database,
        budget: Budget,
        stop: threading.Event,
        on_wait: Callable[[float, str], None] = lambda _seconds, _what: None,
    ) -> None:
        self._database = database
        self._budget = budget
        self._scopes = budget.scopes
        self._stop = stop
        self._on_wait = on_wait
        self._limit: str | None = None
        self.app = budget.app
        calls, self._seconds = budget.calls_in_a_row
        self._recent: deque[float] = deque(maxlen=calls)
        self._is_connected = False
        self._recorded: dict[str, int] = {}
        self.waited = 0.0
        """Seconds waited so far because of Meta's limits."""

    def wait(self) -> None:
        """Reserve the next call and wait for it.

        Raises RateLimited if the wait is longer than PATIENCE, and Stopped if the run is to stop.
        """
        [call] = self._database.call(
            "reserve_graph_call",
            _ReservedCall,
            scopes=list(self._scopes.values()),
            calls_per_second=self._budget.calls_per_second,
            reserve_percent=self._budget.reserve_percent,
            patience=PATIENCE,
        )
        if call.paused_scope is not None:
            error = self._limited(call.paused_scope)
            error.seconds = call.seconds
            raise error
        self._wait(max(call.seconds, self._seconds_left()))
        self._recent.append(time.monotonic())

    def _limited(self, paused_scope: str) -> RateLimited:
        kind = paused_scope.partition(":")[0]
        if kind == "refused":
            reason = self._database.value("get_app_refusal", app_id=self.app)
            return AppRefused.because(reason)
        return RateLimited(f"Meta's limit of the {kind} is reached")

    def _seconds_left(self) -> float:
        """Seconds until the next call of this process. Usually less than the shared budget's, but
        an earlier call may have been sent later than its slot."""
        if len(self._recent) < (self._recent.maxlen or 1):
            return 0.0
        return self._recent[0] + self._seconds - time.monotonic()

    def _wait(self, seconds: float) -> None:
        if seconds > 0:
            self.waited += seconds
            if seconds >= _REPORTED_SECONDS:
                limit = self._limit or "quota, which is nearly used up"
                self._on_wait(seconds, f"Meta's {limit}")
            self._limit = None
            if self._stop.wait(seconds):
                raise Stopped("stop requested")

    def record_usage(self, app: int, page: int) -> None:
        """Record the used percentage of the app's and the page's quota, after each answer."""
        if self._recent and not self._is_connected:
            # The first call had to connect: Meta may have received it only a moment ago.
            self._is_connected = True
            self._recent[-1] = time.monotonic()
        changed = {
            kind: percent
            for kind, percent in (("app", app), ("page", page))
            if percent != self._recorded.get(kind, 0)
            and max(percent, self._recorded.get(kind, 0)) >= _RECORDED_PERCENT
        }
        if changed:
            self._recorded |= changed
            self._database.call(
                "record_graph_usage",
                scopes=[self._scopes[kind] for kind in changed],
                percents=list(changed.values()),
            )

    def pause(self, scope: str, seconds: float | None) -> float:
        """Pause an app, token or page for `seconds`, or a default if Meta stated no time (None), or
        none that makes sense.

        Returns the length of the pause in seconds.
        """
        stated = seconds if seconds is not None and seconds > 0 else None
        paused: float = self._database.value(
            "pause_graph_api", scope=self._scopes[scope], seconds=stated
        )
        self._limit = f"limit of the {scope}"
        return paused
