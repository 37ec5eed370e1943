"""The walk of one page's list of threads, newest first."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from messenger_pipeline.db import load as sessions
from messenger_pipeline.errors import CursorRefused, ListRefused, ObjectRefused, TooMuchData
from messenger_pipeline.graph.client import Answer
from messenger_pipeline.graph.models import Listing, Thread
from messenger_pipeline.graph.reading import UnparsedThreads
from messenger_pipeline.rows import ThreadState
from messenger_pipeline.sync.cutoff import Cutoff, next_watermark
from messenger_pipeline.sync.list_errors import translate_list_error
from messenger_pipeline.sync.paging import Pager
from messenger_pipeline.sync.parse import messages_of
from messenger_pipeline.sync.pipeline import pipelined
from messenger_pipeline.sync.plan import is_unchanged, plan_threads
from messenger_pipeline.sync.request_policy import RequestPolicy
from messenger_pipeline.sync.response import PreparedResponse, load_response, prepare_response
from messenger_pipeline.sync.sync_run import SyncRun

KnownThreads = dict[str, ThreadState]


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
    reader = _ListReader(run, after=None, cutoff=Cutoff(down_to), likely_known=True)
    _walk_once(run, reader, moves_session=False)


def _walk_once(run: SyncRun, reader: "_ListReader", *, moves_session: bool) -> None:
    """Load what a reader reads; with `moves_session` each load moves the session's position."""

    def prepare(listed: _ListAnswer) -> tuple[bool, PreparedResponse]:
        return listed.is_last, _prepare(run, listed, moves_session=moves_session)

    with pipelined(reader.fetch_answers(), prepare) as responses:
        for is_last, response in responses:
            load_response(run, response)
            if not is_last:
                run.check_limits()


def _resume(run: SyncRun) -> "_ListReader":
    """A reader that starts where the session stopped."""
    session = run.session
    is_same_query = session.cursor_fingerprint == _fingerprint(run)
    has_been_read = bool(run.page.last_synced_at or session.dead_cursor_time)
    return _ListReader(
        run,
        after=session.last_cursor if is_same_query else None,
        cutoff=Cutoff(session.cutoff, oldest=session.last_updated_time),
        likely_known=session.cutoff is None and has_been_read,
    )


@dataclass(frozen=True)
class _ListAnswer:
    """An answer of the list, and what it decided: `known` is None if nothing looked it up yet."""

    answer: Answer[UnparsedThreads]
    is_last: bool
    known: KnownThreads | None = None
    is_out_of_order: bool = False


class _ListReader:
    """One pass over the list: what each request asks for, and which answer is the last."""

    def __init__(
        self, run: SyncRun, *, after: str | None, cutoff: Cutoff, likely_known: bool
    ) -> None:
        """`likely_known`: most threads are stored already, so probing pays."""
        self._run = run
        self._pager = Pager("The list of conversations", after)
        self._cutoff = cutoff
        self._likely_known = likely_known
        self._left = run.limits.max_conversations
        self._policy = RequestPolicy.start(
            has_cutoff=cutoff.time is not None, likely_known=likely_known
        )

    def fetch_answers(self) -> Iterator[_ListAnswer]:
        """The answers down to the end of the list, past the cutoff or to max_conversations.

        Raises CursorRefused, ListRefused, UnexpectedAnswer.
        """
        is_last = False
        while not is_last and (self._left is None or self._left > 0):
            answer = self._fetch()
            listed = self._decide(answer)
            if listed is not None:
                self._pager.advance(answer.content.after)
                yield listed
                is_last = listed.is_last

    def _fetch(self) -> Answer[UnparsedThreads]:
        """The next answer, asked for again in smaller sizes while Meta refuses it as too much."""
        page = self._run.page
        while True:
            size = self._policy.size
            try:
                answer = self._run.client.fetch_conversations(
                    page.facebook_page_id,
                    page.platform,
                    limit=size.limit if self._left is None else min(size.limit, self._left),
                    messages=size.nested_limit,
                    after=self._pager.after,
                )
            except (TooMuchData, ObjectRefused) as error:
                smaller = size.smaller() if isinstance(error, TooMuchData) else None
                if smaller is None:
                    raise translate_list_error(error, self._pager.after) from None
                self._policy = self._policy.with_size(smaller)
            else:
                self._policy = self._policy.with_size(size.larger())
                return answer

    def _decide(self, answer: Answer[UnparsedThreads]) -> _ListAnswer | None:
        """What an answer decides about the next request; None: to repeat it with whole threads."""
        at_end = answer.content.after is None
        if not self._likely_known and self._cutoff.time is None and self._left is None:
            # Its threads decide nothing, so the next request need not wait until they are parsed.
            return _ListAnswer(answer, is_last=at_end)
        threads = answer.content.parse().records
        known = None
        if self._likely_known:
            known = self._run.find_known_threads([thread["id"] for thread in threads])
            changed = _count_changed(threads, known)
            must_repeat = self._policy.must_repeat(changed, len(threads))
            self._policy = self._policy.after(changed, len(threads))
            if must_repeat:
                return None
        if self._left is not None:
            self._left -= len(threads)
        times = [thread["updated_time"] for thread in threads]
        cutoff, self._cutoff = self._cutoff, self._cutoff.after(times)
        return _ListAnswer(
            answer,
            is_last=at_end or cutoff.is_past(times),
            known=known,
            is_out_of_order=cutoff.is_out_of_order(times),
        )


def _count_changed(threads: list[Thread], known: KnownThreads) -> int:
    return sum(
        thread["id"] not in known or not is_unchanged(thread, known[thread["id"]])
        for thread in threads
    )


def _prepare(run: SyncRun, listed: _ListAnswer, *, moves_session: bool) -> PreparedResponse:
    listing, answered_at = listed.answer.content.parse(), listed.answer.date
    threads, known = listing.records, listed.known
    if known is None:
        known = run.find_known_threads([thread["id"] for thread in threads])
    return prepare_response(
        run,
        plan_threads(threads, known, run.source_page, answered_at, listing.withheld),
        listing.rejects,
        usable=len(threads) + sum(len(messages_of(thread)) for thread in threads),
        fetched=len(threads),
        unknown=listing.unknown,
        **(_session_moves(run, listed, listing) if moves_session else {}),
    )


def _session_moves(run: SyncRun, listed: _ListAnswer, listing: Listing[Thread]) -> dict[str, Any]:
    """The session's position after an answer, as the load takes it."""
    threads = listing.records
    times = [thread["updated_time"] for thread in threads]
    return {
        "cursor": listing.after,
        "cursor_fingerprint": _fingerprint(run),
        "last_conversation_id": threads[-1]["id"] if threads else None,
        "last_updated_time": min(times, default=None),
        "next_watermark": next_watermark(times, listed.answer.date),
        "cutoff_ignored": listed.is_out_of_order,
        "listed": listed.is_last,
    }


def _fingerprint(run: SyncRun) -> str:
    """The query that a cursor belongs to: it is used only with the one that made it.

    Limit and fields are not part of it: they change what an answer holds, not where it starts.
    """
    query = f"{run.page.facebook_page_id}/conversations?platform={run.page.platform}"
    return hashlib.sha256(query.encode()).hexdigest()[:16]
