"""The walk of one page's list of threads, newest first."""

import hashlib
from datetime import datetime
from typing import Any

from messenger_pipeline.db import sessions
from messenger_pipeline.errors import CursorRefused, ListRefused
from messenger_pipeline.graph.client import Answer
from messenger_pipeline.graph.models import Listing, Thread
from messenger_pipeline.sync.cutoff import Cutoff, next_watermark
from messenger_pipeline.sync.list_reader import ListAnswer, ListReader
from messenger_pipeline.sync.pipeline import pipelined
from messenger_pipeline.sync.response import PreparedResponse, load_response, prepare_threads
from messenger_pipeline.sync.sync_run import SyncRun


def walk_list(run: SyncRun) -> None:
    """Walk the list from the session's position to its end or cutoff. Raises Stopped.

    After a dead cursor the list is read again from the top; if that dies no deeper, the session
    is truncated. It is truncated too if Meta refuses the list.
    """
    while run.session.listed_at is None:
        session = run.session
        try:
            _walk_once(run, _resume(run), moves_session=True)
        except CursorRefused as error:
            sessions.restart_list(run.database, session, run.fence, run.step, str(error))
            run.step += 1
        except ListRefused as error:
            sessions.give_up_list(run.database, session, run.fence, run.step, str(error))
        run.session = sessions.get_session(run.database, session.sync_session_id)


def walk_head(run: SyncRun, down_to: datetime) -> None:
    """Read the head of the list again, for threads that moved there during the walk.

    Raises CursorRefused, ListRefused, Stopped.
    """
    reader = _reader(run, after=None, cutoff=Cutoff(down_to), likely_known=True)
    _walk_once(run, reader, moves_session=False)


def _walk_once(run: SyncRun, reader: ListReader, *, moves_session: bool) -> None:
    """Load what a reader reads; with `moves_session` each load moves the session's position."""

    def prepare(listed: ListAnswer) -> tuple[bool, PreparedResponse]:
        return listed.is_last, _prepare(run, listed, moves_session=moves_session)

    with pipelined(reader.fetch_answers(), prepare) as responses:
        for is_last, response in responses:
            load_response(run, response)
            if not is_last:
                run.check_limits()


def _resume(run: SyncRun) -> ListReader:
    """A reader that starts where the session stopped."""
    session = run.session
    is_same_query = session.cursor_fingerprint == _fingerprint(run)
    has_been_read = bool(run.page.last_synced_at or session.dead_cursor_time)
    return _reader(
        run,
        after=session.last_cursor if is_same_query else None,
        cutoff=Cutoff(session.cutoff, oldest=session.last_updated_time),
        likely_known=session.cutoff is None and has_been_read,
    )


def _reader(run: SyncRun, *, after: str | None, cutoff: Cutoff, likely_known: bool) -> ListReader:
    return ListReader(
        run.client,
        run.page,
        after=after,
        cutoff=cutoff,
        max_threads=run.limits.max_conversations,
        find_known=run.find_known_threads if likely_known else None,
    )


def _prepare(run: SyncRun, listed: ListAnswer, *, moves_session: bool) -> PreparedResponse:
    answer = Answer(listed.answer.content.parse(), listed.answer.date)
    moves = _session_moves(run, listed, answer) if moves_session else {}
    return prepare_threads(run, answer, listed.known, **moves)


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
    query = f"{run.page.facebook_page_id}/conversations?platform={run.page.platform}"
    return hashlib.sha256(query.encode()).hexdigest()[:16]
