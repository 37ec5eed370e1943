"""The walk of one page: fetch, validate, dedupe, load, one response after another.

A run takes the page's lease and resumes the open session, or starts one. It walks the list of
threads, newest first, down to the session's cutoff; while one response is loaded, the next ones
are fetched and prepared. Messages of a thread that its response does not reach become a gap, and
the gaps are walked after the list. A full walk then looks for threads that are no longer listed.
However a run ends, what it loaded stays, and the session records where to resume.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID

from messenger_pipeline.db import sessions
from messenger_pipeline.db.lease import held_lease
from messenger_pipeline.db.load import recount_conversations
from messenger_pipeline.db.pages import PageRecord, get_page, postpone_next_sync
from messenger_pipeline.db.progress import add_effort
from messenger_pipeline.db.rate import Budget, Pacer
from messenger_pipeline.engine import Engine, token_of
from messenger_pipeline.errors import SessionMoved, Stopped
from messenger_pipeline.logs import log_context
from messenger_pipeline.sync.ending import record_ending
from messenger_pipeline.sync.gaps import walk_gaps
from messenger_pipeline.sync.known_threads import walk_known_threads
from messenger_pipeline.sync.pipeline import tuned_for_threads
from messenger_pipeline.sync.request import Mode, SyncRequest
from messenger_pipeline.sync.result import SyncResult, build_result, find_ended_result
from messenger_pipeline.sync.run_log import log_list_read, log_start, wait_reporter
from messenger_pipeline.sync.sweep import sweep
from messenger_pipeline.sync.sync_run import Limits, SyncRun
from messenger_pipeline.sync.thread_list import walk_list, walk_list_gap

__all__ = ["Mode", "SyncRequest", "SyncResult", "sync_page"]

_log = logging.getLogger(__name__)

_RECOUNTED = 500  # conversations in one transaction
_RESERVE_PERCENT = {"incremental": 25, "full": 50}
"""Percentage of Meta's quota that a walk leaves to more urgent work, by mode."""


def sync_page(
    engine: Engine,
    request: SyncRequest,
    stop: threading.Event,
    on_session: Callable[[UUID], None] = lambda _session: None,
) -> SyncResult:
    """Walk a page until its session is complete, a limit is reached or `stop` is set.

    Calls `on_session` with the session's id before the walk. Raises SyncInProgress while another
    run walks the page, PageOwnerMustAct if its token or a permission is gone (the page is then
    marked), and any other error that ended the run; what was loaded stays.
    """
    page = get_page(engine.database, request.page_id)
    with log_context(page_id=page.facebook_page_id, run_id=request.run_id):
        # Before anything can fail: a page that fails is due again only after its interval.
        postpone_next_sync(engine.database, page.facebook_page_id)
        token = token_of(engine, page)
        with held_lease(engine.database, page.facebook_page_id, request.run_id, stop=stop) as fence:
            session = sessions.open_session(
                engine.database, page.facebook_page_id, fence, request.mode, request.run_id,
                request.session,
            )  # fmt: skip
            if session is None:
                return find_ended_result(engine.database, request)
            on_session(session.sync_session_id)
            limits = Limits(stop, request.max_conversations, request.max_seconds)
            with (
                log_context(session_id=str(session.sync_session_id)),
                _open_run(engine, page, token, session, fence, limits) as run,
            ):
                log_start(run)
                stopped = record_ending(run, _walk)
                return build_result(run, stopped)


def _walk(run: SyncRun) -> None:
    """Walk the list, then the history below it; a full walk also finds what is not listed."""
    walk_list(run)
    log_list_read(run)
    if run.session.list_refused:
        walk_known_threads(run)
    walk_list_gap(run)
    walk_gaps(run)
    if run.is_full:
        _log.info("looking for threads that Meta no longer lists")
        sweep(run)
        walk_gaps(run)  # those of threads that moved to the head of the list
    if run.session.restores and run.page.watermark is not None:
        _recount(run)
    _complete(run)


def _recount(run: SyncRun) -> None:
    """Correct the counts of all conversations: they are wrong where rows were deleted by hand.

    Raises Stopped.
    """
    last: str | None = ""
    while last is not None:
        last = recount_conversations(
            run.database, run.page.facebook_page_id, run.fence, last, _RECOUNTED
        )
        run.check_limits()


@contextmanager
def _open_run(
    engine: Engine,
    page: PageRecord,
    token: str,
    session: sessions.SyncSession,
    fence: int,
    limits: Limits,
) -> Iterator[SyncRun]:
    """A run of the session, with a client for the page."""
    database = engine.database
    budget = Budget(
        app=engine.app_id,
        token=token,
        page=page.facebook_page_id,
        calls_per_second=engine.calls_per_second,
        reserve_percent=_RESERVE_PERCENT[session.mode],
    )
    pacer = Pacer(database, budget, limits.stop, wait_reporter(database, session))
    with engine.graph.client(token, pacer) as client, tuned_for_threads():
        yield SyncRun(database, client, pacer, page, session, fence, limits)


def _complete(run: SyncRun) -> None:
    """Complete the session.

    Raises SessionMoved if PostgreSQL lost the last load, Stopped if a gap is still open.
    """
    session_id = run.session.sync_session_id
    # Before completion: a reader of the completed session then sees all of its effort.
    add_effort(run.database, session_id, run.take_effort(), None)
    sessions.complete_session(run.database, session_id, run.fence)
    # Read the session instead of the call's answer: the call may have been retried.
    session = sessions.get_session(run.database, session_id)
    if session.outcome is None and session.step == run.step:
        raise Stopped("history is left to read")
    if session.outcome is None:
        raise SessionMoved(
            "PostgreSQL crashed and lost what was loaded last. The session will be resumed from"
            " what it still has."
        )
