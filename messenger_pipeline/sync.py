"""The walk of one page: fetch, validate, dedupe, load, response by response.

A run holds the page's lease, resumes the open session or begins one, and walks the list of
threads newest first, down to the session's boundary. While one response is loaded the next is
fetched. What a thread's share of a response does not reach becomes a gap, and the gaps are
walked after the list. Whatever ends the run, what is loaded stays, and the session says where
to go on.
"""

import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from messenger_pipeline.db import load
from messenger_pipeline.db.lease import held_lease
from messenger_pipeline.db.pages import (
    PageRecord,
    get_page,
    mark_for_reauthorization,
    postpone_next_sync,
    unknown,
)
from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.rate import pacer
from messenger_pipeline.errors import DatabaseError, PageOwnerMustAct, PipelineError, RateLimited
from messenger_pipeline.graph.client import GraphApi
from messenger_pipeline.history import walk_gaps
from messenger_pipeline.vault import TokenVault
from messenger_pipeline.walk import Limits, Stopped, Walk, walk_list

Mode = Literal["auto", "incremental", "full"]

_RATE_LIMIT_WAIT = 900.0  # seconds, where Meta does not say how long


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

    sync_session_id: str
    mode: str
    has_more: bool = False
    fetched: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    events: int = 0
    quarantined: int = 0
    failed_batches: int = 0
    api_calls: int = 0
    duration_seconds: float = 0.0
    conversations_per_second: float = 0.0
    watermark: datetime | None = None
    stopped: str | None = None


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
    database = engine.database
    # Before anything can fail: a page that fails is due again at its interval, not at every look.
    postpone_next_sync(database, page.facebook_page_id)
    token = _token_of(engine, page)
    with held_lease(database, page.facebook_page_id, request.run_id) as fence:
        session = load.open_session(
            database, page.facebook_page_id, fence, request.mode, request.run_id, request.session
        )
        if session is None:
            # The one asked for was completed by another run.
            return SyncResult(str(request.session), request.mode)
        scope = f"page:{page.facebook_page_id}"
        pace = pacer(database, scope, engine.calls_per_second, stop)
        with engine.graph.client(token, pace) as client:
            limits = Limits(stop, request.max_conversations, request.max_seconds)
            return _run(Walk(database, client, page, session, fence, limits))


def _run(walk: Walk) -> SyncResult:
    """The walk, with each way that it can end written down where the next run finds it."""
    database, session_id, fence = walk.database, walk.session.sync_session_id, walk.fence
    try:
        if walk.session.listed_at is None:
            walk_list(walk)
        walk_gaps(walk)
    except Stopped as stopped:
        load.suspend_session(database, session_id, fence, 0)
        return _result(walk, str(stopped))
    except RateLimited as limited:
        seconds = limited.seconds or _RATE_LIMIT_WAIT
        load.suspend_session(database, session_id, fence, seconds, str(limited))
        return _result(walk, f"rate limit, to be continued in {seconds:.0f} s: {limited}")
    except PageOwnerMustAct as error:
        # Not if the lease went to another run: that one sees for itself.
        with suppress(DatabaseError):
            mark_for_reauthorization(database, walk.page, fence, str(error))
            load.suspend_session(database, session_id, fence, 0, str(error))
        raise
    except PipelineError as error:
        # The error matters more than its note, which the database may refuse now.
        with suppress(DatabaseError):
            load.suspend_session(database, session_id, fence, 30, str(error))
        raise
    load.complete_session(database, session_id, fence)
    return _result(walk, None)


def _token_of(engine: Engine, page: PageRecord) -> str:
    if page.status == "removed":
        raise unknown(page.facebook_page_id)
    remedy = f"Run `messenger-pipeline pages add {page.facebook_page_id}` with a new token."
    if page.status == "needs_reauthorization":
        raise PageOwnerMustAct(
            f"Page {page.facebook_page_id} needs re-authorization: {page.status_reason}. {remedy}"
        )
    if page.access_token_encrypted is None:
        raise PageOwnerMustAct(f"Page {page.facebook_page_id} has no token. {remedy}")
    return engine.vault.decrypt(page.facebook_page_id, page.access_token_encrypted)


def _result(walk: Walk, stopped: str | None) -> SyncResult:
    seconds = time.monotonic() - walk.started
    return SyncResult(
        sync_session_id=str(walk.session.sync_session_id),
        mode=walk.session.mode,
        has_more=stopped is not None,
        fetched=walk.fetched,
        inserted=walk.loaded.inserted,
        updated=walk.loaded.updated,
        unchanged=walk.loaded.unchanged,
        events=walk.loaded.events_created,
        quarantined=walk.quarantined,
        failed_batches=walk.failed_batches,
        api_calls=walk.api_calls,
        duration_seconds=round(seconds, 3),
        conversations_per_second=round(walk.fetched / seconds, 1) if seconds else 0.0,
        watermark=get_page(walk.database, walk.page.facebook_page_id).watermark,
        stopped=stopped,
    )
