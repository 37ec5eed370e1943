"""The walk of one page's list of threads, newest first."""

import hashlib
import logging
import math
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from messenger_pipeline.db import sessions
from messenger_pipeline.db.gaps import ListGap, find_list_gap, put_off_list_gap
from messenger_pipeline.errors import CursorRefused, ListRefused, reason_of
from messenger_pipeline.graph.client import Answer
from messenger_pipeline.graph.models import Listing, Thread
from messenger_pipeline.sync.cutoff import Cutoff, next_watermark
from messenger_pipeline.sync.list_reader import ListAnswer, ListReader
from messenger_pipeline.sync.pipeline import pipelined
from messenger_pipeline.sync.response import PreparedResponse, load_response, prepare_threads
from messenger_pipeline.sync.sync_run import SyncRun

_log = logging.getLogger(__name__)

_SHARE_SECONDS = 60.0
"""How long a run reads on in a list gap. It doubles with each failed attempt, a refused cursor
included: after one the gap has to be reached from the top of the list."""


def walk_list(run: SyncRun) -> None:
    """Walk the list from the session's position to its end or cutoff. Raises Stopped.

    After a dead cursor, or where Meta lists no further, the list is read again from the top; if
    that ends at the same depth, the rest becomes a list gap, and the session is truncated. It is
    truncated too if Meta refuses the list from the top.
    """
    while run.session.listed_at is None:
        session = run.session
        try:
            _walk_once(run, _resume(run), partial(_session_moves, run))
        except (CursorRefused, ListRefused) as error:
            session = sessions.get_session(run.database, session.sync_session_id)
            if isinstance(error, ListRefused) and session.last_cursor is None:
                sessions.give_up_list(run.database, session, run.fence, run.step, str(error))
            else:
                sessions.restart_list(run.database, session, run.fence, run.step, str(error))
                run.step += 1
        run.session = sessions.get_session(run.database, session.sync_session_id)
        if run.session.listed_at is None:
            run.check_limits()


def walk_head(run: SyncRun, down_to: datetime) -> None:
    """Read the head of the list again, for threads that moved there during the walk.

    Raises CursorRefused, ListRefused, Stopped.
    """
    reader = _reader(run, after=None, cutoff=Cutoff(down_to), likely_known=True)
    _walk_once(run, reader, lambda _listed, _answer: {"is_repeated": True})


def walk_list_gap(run: SyncRun) -> None:
    """Read on in the part of the list that an earlier session could not read, for a while.

    If that fails it is put off: the session goes on. Raises Stopped at a limit.
    """
    gap = find_list_gap(run.database, run.page.facebook_page_id, run.session.sync_session_id)
    if gap is None:
        return
    after = gap.resume_cursor if gap.cursor_fingerprint == _fingerprint(run) else None
    until = time.monotonic() + _SHARE_SECONDS * 2 ** min(gap.attempts, 6)
    try:
        _read_list_gap(run, gap, after, until)
    except Exception as error:  # noqa: BLE001 - whatever it is, the session goes on
        run.blame.require_own_fault(error)
        _put_off(run, error)


def _read_list_gap(run: SyncRun, gap: ListGap, after: str | None, until: float) -> None:
    reader = _reader(run, after=after, cutoff=Cutoff(gap.until_time), likely_known=True)

    def moves(listed: ListAnswer, answer: Answer[Listing[Thread]]) -> dict[str, Any]:
        times = [thread["updated_time"] for thread in answer.content.records]
        moved: dict[str, Any] = {"id": gap.id, "closed": True}
        if not listed.is_last:
            moved = {
                "id": gap.id,
                "resume_cursor": answer.content.after,
                "cursor_fingerprint": _fingerprint(run),
                "newest_time": min(times, default=None),
            }
        return {"list_gap_moved": moved}

    _walk_once(run, reader, moves, until)


def _put_off(run: SyncRun, error: Exception) -> None:
    reason = reason_of(error)
    _log.warning("the unread part of the list is put off: %s", reason)
    put_off_list_gap(run.database, run.page.facebook_page_id, run.fence, reason)
    run.set_aside += 1


Moves = Callable[[ListAnswer, Answer[Listing[Thread]]], dict[str, Any]]
"""What the load of an answer moves, besides what the answer holds: see prepare_threads."""


def _walk_once(run: SyncRun, reader: ListReader, moves: Moves, until: float = math.inf) -> None:
    """Load what a reader reads, for no longer than `until`, in seconds of the monotonic clock."""

    def prepare(listed: ListAnswer) -> tuple[bool, PreparedResponse]:
        return listed.is_last, _prepare(run, listed, moves)

    with pipelined(reader.fetch_answers(), prepare) as responses:
        for is_last, response in responses:
            load_response(run, response)
            if not is_last:
                run.check_limits()
                if time.monotonic() > until:
                    return


def _resume(run: SyncRun) -> ListReader:
    """A reader that starts where the session stopped."""
    session = run.session
    is_same_query = session.cursor_fingerprint == _fingerprint(run)
    was_synced = run.page.last_synced_at is not None and not session.restores
    return _reader(
        run,
        after=session.last_cursor if is_same_query else None,
        cutoff=Cutoff(session.cutoff, oldest=session.last_updated_time),
        likely_known=session.cutoff is None and (was_synced or session.list_restarts > 0),
        was_refused=sessions.was_list_refused(run.database, run.page.facebook_page_id),
    )


def _reader(
    run: SyncRun,
    *,
    after: str | None,
    cutoff: Cutoff,
    likely_known: bool,
    was_refused: bool = False,
) -> ListReader:
    return ListReader(
        run.client,
        run.page,
        after=after,
        cutoff=cutoff,
        max_threads=run.limits.max_conversations,
        find_known=run.find_known_threads if likely_known else None,
        was_refused=was_refused,
        sizes=run.sizes,
    )


def _prepare(run: SyncRun, listed: ListAnswer, moves: Moves) -> PreparedResponse:
    answer = Answer(listed.answer.content.parse(), listed.answer.date)
    return prepare_threads(run, answer, listed.known, **moves(listed, answer))


def _session_moves(
    run: SyncRun, listed: ListAnswer, answer: Answer[Listing[Thread]]
) -> dict[str, Any]:
    """The session's position after an answer, as the load takes it."""
    threads = answer.content.records
    times = [thread["updated_time"] for thread in threads]
    return {
        "cursor": answer.content.after,
        "cursor_fingerprint": _fingerprint(run),
        "last_conversation_id": threads[-1]["id"] if threads else None,
        "last_updated_time": min(times, default=None),
        "next_watermark": next_watermark(times, answer.date),
        "cutoff_ignored": listed.is_out_of_order,
        "listed": listed.is_last,
    }


def _fingerprint(run: SyncRun) -> str:
    """The query that a cursor belongs to: it is used only with the one that made it.

    Limit and fields are not part of it: they change what an answer holds, not where it starts.
    """
    query = f"{run.page.graph_id}/conversations?platform={run.page.platform}"
    return hashlib.sha256(query.encode()).hexdigest()[:16]
