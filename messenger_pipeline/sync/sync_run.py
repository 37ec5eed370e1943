"""The state of one run: what it works with, how far it is, and when it has to end."""

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from messenger_pipeline.db import load, sessions
from messenger_pipeline.db.pages import PageRecord
from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.rate import Pacer
from messenger_pipeline.db.refusals import record_page_answer, record_page_refusal
from messenger_pipeline.db.request_sizes import list_request_sizes, save_request_size
from messenger_pipeline.errors import GraphError, Stopped, refusal_of
from messenger_pipeline.graph.client import GraphClient
from messenger_pipeline.rows import Source, ThreadState
from messenger_pipeline.sync.blame import Blame
from messenger_pipeline.sync.pending_threads import PendingThreads
from messenger_pipeline.sync.plan import Page
from messenger_pipeline.sync.request_sizes import RequestSizes


@dataclass(frozen=True)
class Limits:
    """What ends a run after a whole response, with more to do."""

    stop: threading.Event
    max_conversations: int | None = None
    max_seconds: float | None = None


@dataclass
class SyncRun:
    """The state of one run of a page's session.

    The counts are this run's, not the session's. `step` is the number of the session's next
    load. `started_at` and `progress_logged_at` are seconds of the monotonic clock. `account_ids`
    are ids of the page's account that the run found.
    """

    database: Database
    client: GraphClient
    pacer: Pacer
    page: PageRecord
    session: sessions.SyncSession
    fence: int
    limits: Limits
    started_at: float = field(default_factory=time.monotonic)
    step: int = field(init=False)
    fetched: int = 0
    quarantined: int = 0
    set_aside: int = 0
    failed_batches: int = 0
    loaded: load.Loaded = field(default_factory=load.Loaded)
    sizes: RequestSizes = field(init=False)
    account_ids: set[str] = field(default_factory=set)
    pending: PendingThreads = field(default_factory=PendingThreads)
    blame: Blame = field(init=False)
    progress_logged_at: float = field(init=False)
    _reported: "_Effort" = field(init=False)
    _is_answered: bool = False

    def __post_init__(self) -> None:
        self.step = self.session.step
        self.blame = Blame(self.client, self.page, self.record_refusal)
        page_id = self.page.facebook_page_id
        self.sizes = RequestSizes(
            list_request_sizes(self.database, page_id),
            partial(save_request_size, self.database, page_id),
        )
        self.progress_logged_at = self.started_at
        self._reported = _Effort(self.started_at)

    @property
    def is_full(self) -> bool:
        return self.session.mode == "full"

    @property
    def source_page(self) -> Page:
        """The page, with the source that this run's rows are marked with."""
        source: Source = "initial_sync" if self.is_full else "incremental_sync"
        return Page(self.page.facebook_page_id, source, self.page.ids | self.account_ids)

    def record_refusal(self, error: GraphError) -> float | None:
        """Record that Meta refuses the page. Returns the seconds for which all calls of the app
        pause if several pages meet the same error, else None."""
        page_id, kind = self.page.facebook_page_id, refusal_of(error)
        return record_page_refusal(self.database, page_id, self.pacer.app, kind, str(error))

    def record_answer(self) -> None:
        """Record, once a run, that Meta answers for the page."""
        if not self._is_answered:
            self._is_answered = True
            record_page_answer(self.database, self.page.facebook_page_id, self.pacer.app)

    def find_known_threads(self, thread_ids: list[str]) -> dict[str, ThreadState]:
        """The state of each of these threads that is stored, or will be by a pending load."""
        # Pending ones first: what is loaded meanwhile is then stored.
        pending = self.pending.find(thread_ids)
        page_id = self.page.facebook_page_id
        session = self.session.sync_session_id
        return sessions.list_thread_states(self.database, page_id, thread_ids, session) | pending

    def take_effort(self) -> dict[str, Any]:
        """What the run did since the last call: calls to Meta, their errors by code, and the
        seconds that passed and that it waited."""
        last, now = self._reported, _Effort(
            time.monotonic(), self.client.calls, self.client.errors.copy(), self.pacer.waited
        )  # fmt: skip
        self._reported = now
        return {
            "api_calls": now.calls - last.calls,
            "api_errors": dict(now.errors - last.errors),
            "seconds": round(now.at - last.at, 3),
            "waited_seconds": round(now.waited - last.waited, 3),
        }

    def check_limits(self) -> None:
        """Raise Stopped if the run has reached one of its limits."""
        limits = self.limits
        if limits.stop.is_set():
            raise Stopped("stop requested")
        if limits.max_conversations is not None and self.fetched >= limits.max_conversations:
            raise Stopped(f"max_conversations of {limits.max_conversations} reached")
        elapsed = time.monotonic() - self.started_at
        if limits.max_seconds is not None and elapsed >= limits.max_seconds:
            raise Stopped(f"max_seconds of {limits.max_seconds:g} reached")


@dataclass(frozen=True)
class _Effort:
    """What a run had done by the time `at`."""

    at: float
    calls: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    waited: float = 0.0
