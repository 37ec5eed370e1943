"""The walk of one page: fetch, validate, dedupe, load, response by response.

A run holds the page's lease, resumes the open session or begins one, and walks the list of
threads newest first, down to the session's boundary. While one response is loaded the next is
fetched. What a thread's share of a response does not reach becomes a gap, and the gaps are
walked after the list. Whatever ends the run, what is loaded stays, and the session says where
to go on.
"""

import hashlib
import threading
import time
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, TypeVar
from uuid import UUID

from messenger_pipeline.db import load
from messenger_pipeline.db.lease import held_lease
from messenger_pipeline.db.pages import PageRecord, get_page, set_page_status
from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.rate import pacer
from messenger_pipeline.errors import (
    DatabaseError,
    ObjectRefused,
    PageOwnerMustAct,
    PipelineError,
    RateLimited,
    UnexpectedAnswer,
)
from messenger_pipeline.graph.client import Answer, GraphApi, GraphClient
from messenger_pipeline.graph.models import Listing, Message, Reject, Thread
from messenger_pipeline.threads import Page, Plan, parse_history, plan_threads, reaches
from messenger_pipeline.vault import TokenVault

Mode = Literal["auto", "incremental", "full"]

THREADS = 100
"""Threads asked for at once; Meta cuts greater limits silently at about 200."""
NESTED = 25
"""Messages asked for with each thread."""
HISTORY = 100
"""Messages asked for at once of one thread's history."""
_GAPS = 50  # read from the database at once, so that memory stays flat
_RATE_LIMIT_WAIT = 900.0  # seconds, where Meta does not say how long

Item = TypeVar("Item")


@dataclass(frozen=True)
class SyncRequest:
    """What a run is asked for. max_… end it after a whole response, with more to do."""

    page_id: str
    run_id: str
    mode: Mode = "auto"
    session: UUID | None = None
    max_conversations: int | None = None
    max_seconds: float | None = None


@dataclass(frozen=True)
class SyncResult:
    """What one run did; figures are the run's, not the session's.

    `failed_batches` counts responses that did not load whole. `stopped` says why there is more.
    """

    success: bool
    sync_session_id: str | None
    mode: str
    has_more: bool
    fetched: int
    inserted: int
    updated: int
    unchanged: int
    events: int
    quarantined: int
    failed_batches: int
    api_calls: int
    duration_seconds: float
    conversations_per_second: float
    watermark: datetime | None
    stopped: str | None


@dataclass(frozen=True)
class Engine:
    """What every walk needs: where from, where to, how fast, and the key to the tokens."""

    database: Database
    graph: GraphApi
    vault: TokenVault
    calls_per_second: float


def sync_page(engine: Engine, request: SyncRequest, stop: threading.Event) -> SyncResult:
    """Walk a page until its session is complete, or until told to stop.

    Raises SyncInProgress while another run walks the page, PageOwnerMustAct when its token or
    permissions are gone (the page is then marked), and whatever else ended the run; what was
    loaded stays.
    """
    page = get_page(engine.database, request.page_id)
    token = _token_of(engine, page)
    database = engine.database
    with held_lease(database, page.facebook_page_id, request.run_id) as fence:
        session = load.open_session(
            database, page.facebook_page_id, fence, request.mode, request.run_id, request.session
        )
        if session is None:
            return _nothing_to_do(request)
        scope = f"page:{page.facebook_page_id}"
        pace = pacer(database, scope, engine.calls_per_second, stop)
        with engine.graph.client(token, pace) as client:
            walk = _Walk(database, client, page, session, fence, request, stop)
            return _run(walk)


class _Stopped(Exception):
    """The run ends with more to do; the text says why."""


@dataclass
class _Walk:
    """The state of one run."""

    database: Database
    client: GraphClient
    page: PageRecord
    session: load.SyncSession
    fence: int
    request: SyncRequest
    stop: threading.Event
    started: float = field(default_factory=time.monotonic)
    step: int = field(init=False)
    fetched: int = 0
    unchanged: int = 0
    quarantined: int = 0
    failed_batches: int = 0
    api_calls: int = 0
    loaded: load.Loaded = field(default_factory=lambda: load.Loaded(0, 0, 0))

    def __post_init__(self) -> None:
        self.step = self.session.step

    @property
    def marked(self) -> Page:
        source = "initial_sync" if self.session.mode == "full" else "incremental_sync"
        return Page(self.page.facebook_page_id, source)  # type: ignore[arg-type]


def _run(walk: _Walk) -> SyncResult:
    """The walk, with each way that it can end written down where the next run finds it."""
    database, session_id, fence = walk.database, walk.session.sync_session_id, walk.fence
    try:
        if walk.session.listed_at is None:
            _walk_list(walk)
        _walk_gaps(walk)
    except _Stopped as stopped:
        load.suspend_session(database, session_id, fence, 0)
        return _result(walk, str(stopped))
    except RateLimited as limited:
        seconds = limited.seconds or _RATE_LIMIT_WAIT
        load.suspend_session(database, session_id, fence, seconds, str(limited))
        return _result(walk, f"rate limit, to be continued in {seconds:.0f} s: {limited}")
    except PageOwnerMustAct as error:
        set_page_status(database, walk.page.facebook_page_id, "needs_reauthorization", str(error))
        load.suspend_session(database, session_id, fence, 0, str(error))
        raise
    except PipelineError as error:
        # The error matters more than its note, which the database may refuse now.
        with suppress(DatabaseError):
            load.suspend_session(database, session_id, fence, 30, str(error))
        raise
    load.complete_session(database, session_id, fence)
    return _result(walk, None)


# -- The list of threads ------------------------------------------------------------------------


@dataclass(frozen=True)
class _ListStep:
    """An answer of the list, and what it decides about the walk."""

    answer: Answer[Listing[Thread]]
    oldest: datetime | None
    out_of_order: bool
    listed: bool


def _walk_list(walk: _Walk) -> None:
    fingerprint = _fingerprint(walk)
    with closing(_one_ahead(_fetch_list(walk, fingerprint))) as steps:
        for step in steps:
            _load_threads(walk, step, fingerprint)
            if not step.listed:
                _check_limits(walk)


def _load_threads(walk: _Walk, step: _ListStep, fingerprint: str) -> None:
    listing, answered_at = step.answer.content, step.answer.date
    threads = listing.records
    known = load.list_thread_states(
        walk.database, walk.page.facebook_page_id, [thread["id"] for thread in threads]
    )
    newest = max((thread["updated_time"] for thread in threads), default=None)
    _load(
        walk,
        plan_threads(threads, known, walk.marked, answered_at),
        step.answer.calls,
        listing.rejects,
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


def _fetch_list(walk: _Walk, fingerprint: str) -> Iterator[_ListStep]:
    """The list from where the session stands, to its end or past its boundary.

    Ends early at max_conversations, asking for no thread more.
    """
    session, page = walk.session, walk.page
    after = session.last_cursor if session.cursor_fingerprint == fingerprint else None
    boundary, oldest = session.boundary, session.last_updated_time
    left = walk.request.max_conversations
    while left is None or left > 0:
        answer = walk.client.fetch_conversations(
            page.facebook_page_id,
            page.platform,
            limit=THREADS if left is None else min(THREADS, left),
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
        after = listing.after
        left = None if left is None else left - len(listing.records)


def _fingerprint(walk: _Walk) -> str:
    """What a cursor belongs to: it is used only with the query that made it. Neither limit nor
    fields belong to it: they change what an answer holds, not where it begins."""
    query = f"{walk.page.facebook_page_id}/conversations?platform={walk.page.platform}"
    return hashlib.sha256(query.encode()).hexdigest()[:16]


# -- The gaps in threads' history ---------------------------------------------------------------


@dataclass(frozen=True)
class _GapStep:
    """An answer of a gap's messages; None where Meta refuses them for good."""

    gap: load.Gap
    answer: Answer[Listing[Message]] | None
    closed: bool


def _walk_gaps(walk: _Walk) -> None:
    while gaps := load.list_gaps(walk.database, walk.session.sync_session_id, _GAPS):
        with closing(_one_ahead(_fetch_gaps(walk, gaps))) as steps:
            for step in steps:
                _load_history(walk, step)
                _check_limits(walk)


def _load_history(walk: _Walk, step: _GapStep) -> None:
    gap = step.gap
    if step.answer is None:
        _load(walk, Plan(), 1, [], gap_moved={"id": gap.id, "unreadable": True})
        return
    listing, answered_at = step.answer.content, step.answer.date
    plan = Plan()
    if listing.records:
        plan.conversations = parse_history(listing.records, gap.sender_id, walk.marked, answered_at)
    moved = {
        "id": gap.id,
        "closed": step.closed,
        "resume_cursor": listing.after,
        "newest_time": min((one["created_time"] for one in listing.records), default=None),
    }
    _load(walk, plan, step.answer.calls, listing.rejects, gap_moved=moved)


def _fetch_gaps(walk: _Walk, gaps: list[load.Gap]) -> Iterator[_GapStep]:
    """Each gap's messages, answer by answer, until one closes it."""
    for gap in gaps:
        after, closed = gap.resume_cursor, False
        while not closed:
            try:
                answer = walk.client.fetch_messages(gap.thread_id, limit=HISTORY, after=after)
            except ObjectRefused:
                # Details of old messages may be refused; that says nothing about the thread.
                yield _GapStep(gap, None, True)
                break
            listing = answer.content
            if listing.after is not None and listing.after == after:
                raise UnexpectedAnswer(
                    f"The messages of {gap.thread_id} go on, but their cursor stands still."
                )
            after = listing.after
            closed = after is None or reaches(listing.records, gap.until_time)
            yield _GapStep(gap, answer, closed)


# -- Both ---------------------------------------------------------------------------------------


def _load(
    walk: _Walk, plan: Plan, calls: int, rejects: list[Reject], fetched: int = 0, **moves: Any
) -> None:
    """Load one response. Raises UnexpectedAnswer, and loads nothing, if too much is unusable."""
    rejects = rejects + plan.rejects
    events = sum(len(row["events"]) for row in plan.conversations)
    if len(rejects) > max(4, (events + len(rejects)) // 5):
        raise UnexpectedAnswer(
            f"{len(rejects)} records of one answer cannot be used, the first because of"
            f" {rejects[0].reason}. Meta changed something; nothing of the answer is loaded."
        )
    cursor = {
        "cursor": walk.session.last_cursor,
        "cursor_fingerprint": walk.session.cursor_fingerprint,
    }
    loaded = load.load_response(
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
            "unchanged": plan.unchanged,
            "api_calls": calls,
            **cursor,
            **moves,
        },
    )
    walk.step += 1
    walk.fetched += fetched
    walk.unchanged += plan.unchanged
    walk.quarantined += len(rejects)
    walk.failed_batches += bool(rejects)
    walk.api_calls += calls
    walk.loaded = load.Loaded(
        walk.loaded.inserted + loaded.inserted,
        walk.loaded.updated + loaded.updated,
        walk.loaded.events_created + loaded.events_created,
    )
    if "cursor" in moves:
        walk.session = replace(
            walk.session,
            last_cursor=moves["cursor"],
            cursor_fingerprint=moves["cursor_fingerprint"],
        )


def _check_limits(walk: _Walk) -> None:
    request = walk.request
    if walk.stop.is_set():
        raise _Stopped("told to terminate")
    if request.max_conversations is not None and walk.fetched >= request.max_conversations:
        raise _Stopped(f"max_conversations of {request.max_conversations} reached")
    if request.max_seconds is not None and time.monotonic() - walk.started >= request.max_seconds:
        raise _Stopped(f"max_seconds of {request.max_seconds:g} reached")


def _one_ahead(items: Iterator[Item]) -> Generator[Item, None, None]:
    """The items, each made in a thread of its own while the one before is used."""
    with ThreadPoolExecutor(1, thread_name_prefix="fetch") as fetcher:
        coming = fetcher.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = fetcher.submit(next, items, None)
            yield item


def _token_of(engine: Engine, page: PageRecord) -> str:
    remedy = f"Run `messenger-pipeline pages add {page.facebook_page_id}` with a new token."
    if page.status == "needs_reauthorization":
        raise PageOwnerMustAct(
            f"Page {page.facebook_page_id} needs re-authorization: {page.status_reason}. {remedy}"
        )
    if page.access_token_encrypted is None:
        raise PageOwnerMustAct(f"Page {page.facebook_page_id} has no token. {remedy}")
    return engine.vault.decrypt(page.facebook_page_id, page.access_token_encrypted)


def _result(walk: _Walk, stopped: str | None) -> SyncResult:
    seconds = time.monotonic() - walk.started
    return SyncResult(
        success=True,
        sync_session_id=str(walk.session.sync_session_id),
        mode=walk.session.mode,
        has_more=stopped is not None,
        fetched=walk.fetched,
        inserted=walk.loaded.inserted,
        updated=walk.loaded.updated,
        unchanged=walk.unchanged,
        events=walk.loaded.events_created,
        quarantined=walk.quarantined,
        failed_batches=walk.failed_batches,
        api_calls=walk.api_calls,
        duration_seconds=round(seconds, 3),
        conversations_per_second=round(walk.fetched / seconds, 1) if seconds else 0.0,
        watermark=get_page(walk.database, walk.page.facebook_page_id).watermark,
        stopped=stopped,
    )


def _nothing_to_do(request: SyncRequest) -> SyncResult:
    """The session asked for was completed by another run."""
    zero = dict.fromkeys(
        ("fetched", "inserted", "updated", "unchanged", "events", "quarantined", "failed_batches",
         "api_calls"), 0)  # fmt: skip
    return SyncResult(
        success=True,
        sync_session_id=str(request.session),
        mode=request.mode,
        has_more=False,
        duration_seconds=0.0,
        conversations_per_second=0.0,
        watermark=None,
        stopped=None,
        **zero,
    )
