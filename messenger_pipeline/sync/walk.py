"""What every part of a page's walk shares: its state, and the way of a response into the database.

A response is prepared (planned, put into the shape of the load) while the one before it is
loaded and the one behind it is fetched. Each load is one commit, with what is needed to go on
from there. Memory holds a few responses, however long the page is.
"""

import json
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar
from uuid import uuid4

from pydantic_core import to_json

from messenger_pipeline.db import sessions
from messenger_pipeline.db.load import EncodedResponse, Loaded, encoded_response, load_response
from messenger_pipeline.db.pages import PageRecord
from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.rate import Pacer
from messenger_pipeline.errors import Stopped, UnexpectedAnswer
from messenger_pipeline.graph.client import GraphClient
from messenger_pipeline.graph.models import Reject
from messenger_pipeline.logs import in_log_context
from messenger_pipeline.rows import ThreadState
from messenger_pipeline.sync.plan import Page, Plan, states_after

_log = logging.getLogger(__name__)
_SAY_SECONDS = 10.0  # between two lines about how far a run is

Item = TypeVar("Item")


@dataclass(frozen=True)
class Limits:
    """What ends a run after a whole response, with more to do."""

    stop: threading.Event
    max_conversations: int | None = None
    max_seconds: float | None = None


@dataclass
class Walk:
    """The state of one run; figures are the run's."""

    database: Database
    client: GraphClient
    pacer: Pacer
    page: PageRecord
    session: sessions.SyncSession
    fence: int
    limits: Limits
    started: float = field(default_factory=time.monotonic)
    step: int = field(init=False)
    fetched: int = 0
    quarantined: int = 0
    failed_batches: int = 0
    loaded: Loaded = field(default_factory=Loaded)
    said_at: float = 0.0
    _counted: "_Counted" = field(init=False)
    _coming: deque[dict[str, ThreadState]] = field(default_factory=lambda: deque(maxlen=3))

    def __post_init__(self) -> None:
        self.step = self.session.step
        self.said_at = self.started
        self._counted = _Counted(self.started)

    @property
    def full(self) -> bool:
        return self.session.mode == "full"

    @property
    def marked(self) -> Page:
        return Page(self.page.facebook_page_id, "initial_sync" if self.full else "incremental_sync")

    def known_threads(self, thread_ids: list[str]) -> dict[str, ThreadState]:
        """What is known of these threads, by what is stored and by what is about to be."""
        known = sessions.list_thread_states(self.database, self.page.facebook_page_id, thread_ids)
        for coming in tuple(self._coming):
            known |= {one: coming[one] for one in thread_ids if one in coming}
        return known

    def effort_since(self) -> dict[str, Any]:
        """What the run did since this was last asked: calls to Meta, errors by code, seconds."""
        now = _Counted(
            time.monotonic(), self.client.calls, self.client.errors.copy(), self.pacer.waited
        )
        before, self._counted = self._counted, now
        return {
            "api_calls": now.calls - before.calls,
            "api_errors": dict(now.errors - before.errors),
            "seconds": round(now.at - before.at, 3),
            "waited_seconds": round(now.waited - before.waited, 3),
        }


@dataclass(frozen=True)
class _Counted:
    """What a run had done at a time."""

    at: float
    calls: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    waited: float = 0.0


@dataclass(frozen=True)
class Prepared:
    """A response in the shape of the load, with what it adds to the run's figures."""

    response: EncodedResponse
    fetched: int
    quarantined: int


def prepare(
    walk: Walk,
    plan: Plan,
    rejects: list[Reject],
    *,
    usable: int = 0,
    fetched: int = 0,
    unknown: Mapping[str, int] | None = None,
    **moves: Any,
) -> Prepared:
    """Put a response, of which `usable` threads and messages could be read, into the load's shape.

    Raises UnexpectedAnswer if more than a fifth of it cannot be used.
    """
    rejects = rejects + plan.rejects
    if len(rejects) > max(4, (usable + len(rejects)) // 5):
        raise UnexpectedAnswer(
            f"{len(rejects)} records of one answer cannot be used, the first because of"
            f" {rejects[0].reason}. Meta changed something; nothing of the answer is loaded."
        )
    walk._coming.append(states_after(plan))
    unnamed = [reject for reject in rejects if reject.kind == "thread" and not reject.identity]
    named = {reject.identity for reject in rejects if reject.kind == "thread"} - {""}
    response = {
        "load_id": str(uuid4()),
        "conversations": plan.conversations,
        "threads": plan.threads,
        "threads_seen": [*plan.seen, *sorted(named)],
        "gaps_opened": plan.gaps,
        "quarantined": [_kept(walk, reject) for reject in rejects],
        "unidentified_records": len(unnamed),
        "unknown_fields": unknown or {},
        "fetched": fetched,
        **walk.effort_since(),
        **moves,
    }
    return Prepared(encoded_response(response), fetched, len(rejects))


def load(walk: Walk, prepared: Prepared) -> None:
    """Load a response, all of it or nothing."""
    loaded = load_response(
        walk.database, walk.session.sync_session_id, walk.fence, walk.step, prepared.response
    )
    walk.step += 1
    walk.fetched += prepared.fetched
    walk.loaded += loaded
    refused = prepared.quarantined + loaded.refused
    walk.quarantined += refused
    walk.failed_batches += bool(refused)
    _say_progress(walk, refused)


def _say_progress(walk: Walk, refused: int) -> None:
    """A line now and then for whoever reads the run's log, and at once for what was refused."""
    now = time.monotonic()
    if refused:
        _log.warning("%s records cannot be used and are quarantined", refused)
    if now - walk.said_at < _SAY_SECONDS:
        return
    walk.said_at = now
    loaded = walk.loaded
    facts = {
        "conversations": walk.fetched, "inserted": loaded.inserted, "updated": loaded.updated,
        "events": loaded.events_created, "api_calls": walk.client.calls,
        "waited_seconds": round(walk.pacer.waited, 1),
    }  # fmt: skip
    _log.info(
        "%s conversations read, %s new, %s changed, %s new events; %.1f conversations a second",
        *(f"{count:,}" for count in (walk.fetched, loaded.inserted, loaded.updated)),
        f"{loaded.events_created:,}",
        walk.fetched / (now - walk.started),
        extra=facts,
    )


def check_limits(walk: Walk) -> None:
    """Raise Stopped at a limit of the run."""
    limits = walk.limits
    if limits.stop.is_set():
        raise Stopped("told to terminate")
    if limits.max_conversations is not None and walk.fetched >= limits.max_conversations:
        raise Stopped(f"max_conversations of {limits.max_conversations} reached")
    if limits.max_seconds is not None and time.monotonic() - walk.started >= limits.max_seconds:
        raise Stopped(f"max_seconds of {limits.max_seconds:g} reached")


def one_ahead(items: Iterator[Item]) -> Generator[Item, None, None]:
    """The items, each made in a thread of its own while the one before is used."""
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as maker:
        make = in_log_context(next)  # what is logged there names the page and session, too
        coming = maker.submit(make, items, None)
        while (item := coming.result()) is not None:
            coming = maker.submit(make, items, None)
            yield item


def _kept(walk: Walk, reject: Reject) -> dict[str, Any]:
    """A reject as it is kept: without secrets, and with an identity that can be indexed."""
    record = json.loads(walk.client.redact(to_json(reject.record, inf_nan_mode="strings").decode()))
    return {
        "source": "sync",
        **asdict(reject),
        "identity": reject.identity[:200],
        "reason": walk.client.redact(reject.reason)[:500],
        "record": record,
    }
