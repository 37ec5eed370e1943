"""The walk of one page's list of threads.

One response is fetched ahead while one is loaded; each load is one commit, with the cursor to go
on from. Memory holds two responses, however long the page is.
"""

import hashlib
import threading
import time
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar

from messenger_pipeline.db import load as sessions
from messenger_pipeline.db.pages import PageRecord
from messenger_pipeline.db.pool import Database
from messenger_pipeline.errors import UnexpectedAnswer
from messenger_pipeline.events import messages_of
from messenger_pipeline.graph.client import Answer, GraphClient
from messenger_pipeline.graph.models import Listing, Reject, Thread
from messenger_pipeline.threads import Page, Plan, plan_threads

THREADS = 100
"""Threads asked for at once; Meta cuts greater limits silently at about 200."""
FEW_THREADS = 25
"""Threads that the first response of an incremental walk is asked for; each further one twice."""
NESTED = 25
"""Messages asked for with each thread."""

Item = TypeVar("Item")


class Stopped(Exception):
    """The run ends with more to do; the text says why."""


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
    page: PageRecord
    session: sessions.SyncSession
    fence: int
    limits: Limits
    started: float = field(default_factory=time.monotonic)
    step: int = field(init=False)
    fetched: int = 0
    quarantined: int = 0
    failed_batches: int = 0
    api_calls: int = 0
    loaded: sessions.Loaded = field(default_factory=sessions.Loaded)

    def __post_init__(self) -> None:
        self.step = self.session.step

    @property
    def marked(self) -> Page:
        full = self.session.mode == "full"
        return Page(self.page.facebook_page_id, "initial_sync" if full else "incremental_sync")


# -- The list of threads ------------------------------------------------------------------------


@dataclass(frozen=True)
class _ListStep:
    """An answer of the list, and what it decides about the walk."""

    answer: Answer[Listing[Thread]]
    oldest: datetime | None
    out_of_order: bool
    listed: bool


def walk_list(walk: Walk) -> None:
    """Walk the list from where the session stands. Raises Stopped at a limit."""
    fingerprint = _fingerprint(walk)
    with closing(one_ahead(_fetch_list(walk, fingerprint))) as steps:
        for step in steps:
            _load_threads(walk, step, fingerprint)
            if not step.listed:
                check_limits(walk)


def _load_threads(walk: Walk, step: _ListStep, fingerprint: str) -> None:
    listing, answered_at = step.answer.content, step.answer.date
    threads = listing.records
    known = sessions.list_thread_states(
        walk.database, walk.page.facebook_page_id, [thread["id"] for thread in threads]
    )
    newest = max((thread["updated_time"] for thread in threads), default=None)
    load_plan(
        walk,
        plan_threads(threads, known, walk.marked, answered_at),
        step.answer.calls,
        listing.rejects,
        usable=len(threads) + sum(len(messages_of(thread)) for thread in threads),
        fetched=len(threads),
        cursor=listing.after,
        cursor_fingerprint=fingerprint,
        last_conversation_id=threads[-1]["id"] if threads else None,
        last_updated_time=step.oldest,
        # A time in the future must not hide what comes before it.
        next_watermark=min(newest, answered_at) if newest else None,
        boundary_ignored=step.out_of_order,
        listed=step.listed,
    )


def _fetch_list(walk: Walk, fingerprint: str) -> Iterator[_ListStep]:
    """The list from where the session stands, to its end or past its boundary.

    Ends early at max_conversations, asking for no thread more.
    """
    session, page = walk.session, walk.page
    after = session.last_cursor if session.cursor_fingerprint == fingerprint else None
    boundary, oldest = session.boundary, session.last_updated_time
    left = walk.limits.max_conversations
    # Mostly little is new: what is unchanged behind it need not be asked for in hundreds.
    limit = THREADS if boundary is None else FEW_THREADS
    while left is None or left > 0:
        answer = walk.client.fetch_conversations(
            page.facebook_page_id,
            page.platform,
            limit=limit if left is None else min(limit, left),
            messages=NESTED,
            after=after,
        )
        listing = answer.content
        if listing.after is not None and listing.after == after:
            raise UnexpectedAnswer(
                "The list of conversations goes on, but its cursor stands still."
            )
        times = [thread["updated_time"] for thread in listing.records]
        out_of_order = any(
            later > earlier
            for earlier, later in zip(
                [oldest or times[0], *times] if times else [], times, strict=False
            )
        )
        if out_of_order:
            boundary = None
        oldest = min(times) if times else oldest
        past = boundary is not None and bool(times) and max(times) < boundary
        listed = past or listing.after is None
        yield _ListStep(answer, oldest, out_of_order, listed)
        if listed:
            return
        after, limit = listing.after, min(2 * limit, THREADS)
        left = None if left is None else left - len(listing.records)


def _fingerprint(walk: Walk) -> str:
    """What a cursor belongs to: it is used only with the query that made it. Neither limit nor
    fields belong to it: they change what an answer holds, not where it begins."""
    query = f"{walk.page.facebook_page_id}/conversations?platform={walk.page.platform}"
    return hashlib.sha256(query.encode()).hexdigest()[:16]


# -- What the walk of the list and that of the gaps share ----------------------------------------


def load_plan(
    walk: Walk,
    plan: Plan,
    calls: int,
    rejects: list[Reject],
    usable: int = 0,
    fetched: int = 0,
    **moves: Any,
) -> None:
    """Load one response, of which `usable` threads and messages could be read.

    Raises UnexpectedAnswer, and loads nothing, if more than a fifth of it cannot be used.
    """
    rejects = rejects + plan.rejects
    if len(rejects) > max(4, (usable + len(rejects)) // 5):
        raise UnexpectedAnswer(
            f"{len(rejects)} records of one answer cannot be used, the first because of"
            f" {rejects[0].reason}. Meta changed something; nothing of the answer is loaded."
        )
    cursor = {
        "cursor": walk.session.last_cursor,
        "cursor_fingerprint": walk.session.cursor_fingerprint,
    }
    loaded = sessions.load_response(
        walk.database,
        walk.session.sync_session_id,
        walk.fence,
        walk.step,
        {
            "conversations": plan.conversations,
            "threads": plan.threads,
            "threads_seen": plan.seen,
            "gaps_opened": plan.gaps,
            "quarantined": [{"source": "sync", **asdict(reject)} for reject in rejects],
            "fetched": fetched,
            "api_calls": calls,
            **cursor,
            **moves,
        },
    )
    walk.step += 1
    walk.fetched += fetched
    walk.quarantined += len(rejects)
    walk.failed_batches += bool(rejects)
    walk.api_calls += calls
    walk.loaded += loaded
    if "cursor" in moves:
        walk.session = replace(
            walk.session,
            last_cursor=moves["cursor"],
            cursor_fingerprint=moves["cursor_fingerprint"],
        )


def check_limits(walk: Walk) -> None:
    limits = walk.limits
    if limits.stop.is_set():
        raise Stopped("told to terminate")
    if limits.max_conversations is not None and walk.fetched >= limits.max_conversations:
        raise Stopped(f"max_conversations of {limits.max_conversations} reached")
    if limits.max_seconds is not None and time.monotonic() - walk.started >= limits.max_seconds:
        raise Stopped(f"max_seconds of {limits.max_seconds:g} reached")


def one_ahead(items: Iterator[Item]) -> Generator[Item, None, None]:
    """The items, each made in a thread of its own while the one before is used."""
    with ThreadPoolExecutor(1, thread_name_prefix="fetch") as fetcher:
        coming = fetcher.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = fetcher.submit(next, items, None)
            yield item
