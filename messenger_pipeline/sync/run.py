"""The walk of one page: fetch, validate, dedupe, load, response by response.

A run holds the page's lease, resumes the open session or begins one, and walks the list of
threads newest first, down to the session's cutoff. While one response is loaded the next is
fetched. What a thread's share of a response does not reach becomes a gap, and the gaps are
walked after the list. Whatever ends the run, what is loaded stays, and the session says where
to go on.
"""

import gc
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

from messenger_pipeline.db import sessions
from messenger_pipeline.db.lease import held_lease
from messenger_pipeline.db.pages import (
    PageRecord,
    get_page,
    mark_for_reauthorization,
    postpone_next_sync,
)
from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.progress import count_effort, list_progress
from messenger_pipeline.db.rate import Budget, Pacer
from messenger_pipeline.engine import Engine, token_of
from messenger_pipeline.errors import (
    DatabaseError,
    DatabaseUnavailable,
    PageOwnerMustAct,
    PipelineError,
    RateLimited,
    SessionMoved,
    Stopped,
)
from messenger_pipeline.logs import log_context
from messenger_pipeline.sync.gaps import walk_gaps
from messenger_pipeline.sync.known_threads import walk_known
from messenger_pipeline.sync.run_log import counted, say_beginning, say_list_read, tell_waits
from messenger_pipeline.sync.sweep import sweep
from messenger_pipeline.sync.thread_list import walk_list
from messenger_pipeline.sync.walk import Limits, Walk

_log = logging.getLogger(__name__)

Mode = Literal["auto", "incremental", "full"]

_SPARE = {"incremental": 25, "full": 50}
"""Percent of Meta's quota that a walk leaves to what is more urgent."""


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

    `outcome` is that of the session: completed, truncated (Meta's list could not be read to its
    end, `warning` says why), superseded (by a newer full one, before this run began) or partial,
    and then `stopped` says why there is more.
    `failed_batches` counts responses that did not load whole.
    """

    sync_session_id: str
    mode: str
    outcome: str = "completed"
    fetched: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    events: int = 0
    quarantined: int = 0
    failed_batches: int = 0
    deleted: int = 0
    api_calls: int = 0
    waited_seconds: float = 0.0
    duration_seconds: float = 0.0
    conversations_per_second: float = 0.0
    watermark: datetime | None = None
    stopped: str | None = None
    warning: str | None = None
    unknown_fields: dict[str, int] = field(default_factory=dict)

    @property
    def has_more(self) -> bool:
        return self.outcome == "partial"


def sync_page(
    engine: Engine,
    request: SyncRequest,
    stop: threading.Event,
    began: Callable[[UUID], None] = lambda _session: None,
) -> SyncResult:
    """Walk a page until its session is complete, or until told to stop.

    `began` is told of the session once it is known. Raises SyncInProgress while another run walks
    the page, PageOwnerMustAct when its token or permissions are gone (the page is then marked), and
    whatever else ended the run; what was loaded stays.
    """
    page = get_page(engine.database, request.page_id)
    with log_context(page_id=page.facebook_page_id, run_id=request.run_id):
        # Before anything can fail: a page that fails is due again at its interval, not at every
        # look.
        postpone_next_sync(engine.database, page.facebook_page_id)
        token = token_of(engine, page)
        with held_lease(engine.database, page.facebook_page_id, request.run_id) as fence:
            session = sessions.open_session(
                engine.database, page.facebook_page_id, fence, request.mode, request.run_id,
                request.session,
            )  # fmt: skip
            if session is None:
                return _ended_before(engine.database, request)
            began(session.sync_session_id)
            with log_context(session_id=str(session.sync_session_id)):
                return _sync(engine, request, stop, page, token, session, fence)


def _sync(
    engine: Engine,
    request: SyncRequest,
    stop: threading.Event,
    page: PageRecord,
    token: str,
    session: sessions.SyncSession,
    fence: int,
) -> SyncResult:
    database = engine.database
    budget = Budget(
        app=engine.app_id,
        token=token,
        page=page.facebook_page_id,
        calls_per_second=engine.calls_per_second,
        reserve_percent=_SPARE[session.mode],
    )
    pacer = Pacer(database, budget, stop, tell_waits(database, session))
    with engine.graph.client(token, pacer) as client, _threads_in_step():
        limits = Limits(stop, request.max_conversations, request.max_seconds)
        walk = Walk(database, client, pacer, page, session, fence, limits)
        say_beginning(walk)
        with counted(walk) as run:
            run.stopped = _run(walk)
    return _result(walk, pacer.waited, run.stopped)


@contextmanager
def _threads_in_step() -> Iterator[None]:
    """Python set up for threads that hand each other answers. What the process holds so far is
    kept out of garbage collection: with Dagster loaded, a search through all of it takes longer
    than the parsing of an answer. And a thread that PostgreSQL answered gets its turn soon."""
    before = sys.getswitchinterval()
    gc.freeze()
    sys.setswitchinterval(0.0005)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
        gc.unfreeze()


def _run(walk: Walk) -> str | None:
    """The walk, with each way that it can end written down where the next run finds it.

    Returns why there is more to do, or None at the end of the session.
    """
    database, session_id, fence = walk.database, walk.session.sync_session_id, walk.fence
    try:
        _walk(walk)
    except Stopped as stopped:
        sessions.suspend_session(database, session_id, fence, 0)
        return str(stopped)
    except RateLimited as limited:
        # Said by Meta or by the shared budget: always with how long.
        seconds = limited.seconds or 0
        sessions.suspend_session(database, session_id, fence, seconds, waiting_for=str(limited))
        return f"rate limit, to be continued in {seconds:.0f} s: {limited}"
    except PageOwnerMustAct as error:
        # Not if the lease went to another run: that one sees for itself.
        with suppress(DatabaseError):
            mark_for_reauthorization(database, walk.page, fence, str(error))
            sessions.suspend_session(database, session_id, fence, 0, str(error))
        raise
    except DatabaseUnavailable:
        raise  # it was waited for; the session is open, as the last load left it
    except PipelineError as error:
        # The error matters more than its note, which the database may refuse now.
        with suppress(DatabaseError):
            sessions.suspend_session(database, session_id, fence, 30, str(error))
        raise
    return None


def _walk(walk: Walk) -> None:
    """The list, what of history lies below it, and, of a full walk, what it did not show."""
    walk_list(walk)
    say_list_read(walk)
    if walk.session.list_refused:
        walk_known(walk)
    walk_gaps(walk)
    if walk.full:
        _log.info("looks for threads that Meta no longer lists")
        sweep(walk)
    session_id = walk.session.sync_session_id
    # Its end is told with all that it took.
    count_effort(walk.database, session_id, walk.effort_since(), None)
    sessions.complete_session(walk.database, session_id, walk.fence)
    # Asked of the session, not of the call: that may have been repeated.
    if sessions.get_session(walk.database, session_id).outcome is None:
        raise SessionMoved(
            "PostgreSQL no longer has what was loaded last: it crashed. The session goes on from"
            " what it has."
        )


def _ended_before(database: Database, request: SyncRequest) -> SyncResult:
    """Of a run whose session another one ended: how. One that is kept no longer was over."""
    assert request.session is not None
    found = list_progress(database, [request.session]).get(request.session)
    if found is None:
        return SyncResult(str(request.session), request.mode)
    return SyncResult(
        str(request.session), found.mode, found.outcome or "completed", warning=found.warning
    )


def _result(walk: Walk, waited: float, stopped: str | None) -> SyncResult:
    seconds = time.monotonic() - walk.started
    before = walk.session
    session = sessions.get_session(walk.database, before.sync_session_id)
    return SyncResult(
        sync_session_id=str(session.sync_session_id),
        mode=session.mode,
        outcome="partial" if stopped else session.outcome or "partial",
        fetched=walk.fetched,
        inserted=walk.loaded.inserted,
        updated=walk.loaded.updated,
        unchanged=walk.loaded.unchanged,
        events=walk.loaded.events_created,
        quarantined=walk.quarantined,
        failed_batches=walk.failed_batches,
        deleted=session.deleted - before.deleted,
        api_calls=walk.client.calls,
        waited_seconds=round(waited, 3),
        duration_seconds=round(seconds, 3),
        conversations_per_second=round(walk.fetched / seconds, 1) if seconds else 0.0,
        watermark=get_page(walk.database, walk.page.facebook_page_id).watermark,
        stopped=stopped,
        warning=session.truncated or session.warning,
        unknown_fields=session.unknown_fields,
    )
