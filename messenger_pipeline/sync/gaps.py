"""The walk of the gaps in threads' history: messages that no response has brought yet."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from messenger_pipeline.db.sessions import Gap, list_gaps
from messenger_pipeline.errors import CursorRefused, ObjectRefused, TooMuchData
from messenger_pipeline.graph.client import Answer, GraphClient
from messenger_pipeline.graph.models import Listing, Message
from messenger_pipeline.sync.batch_size import BatchSize
from messenger_pipeline.sync.paging import Pager
from messenger_pipeline.sync.pipeline import prefetched
from messenger_pipeline.sync.plan import WITHHELD, Plan, parse_history, reaches
from messenger_pipeline.sync.response import PreparedResponse, load_response, prepare_response
from messenger_pipeline.sync.sync_run import SyncRun

_HISTORY = BatchSize(100, 1, max_limit=100, max_nested_limit=1)
"""Messages per request."""
_GAPS = 50  # read from the database at once, so that memory stays flat

Move = dict[str, Any]
"""What the load does to a gap: closed, cursor_died, unreadable with a reason, or moved to a
resume_cursor below newest_time."""


@dataclass(frozen=True)
class GapStep:
    """One request for a gap: the answer, None if Meta refused it, and the gap's move."""

    gap: Gap
    answer: Answer[Listing[Message]] | None
    move: Move


def walk_gaps(run: SyncRun) -> None:
    """Close the session's gaps, newest first. Raises Stopped at a limit."""
    while gaps := list_gaps(run.database, run.session.sync_session_id, _GAPS):
        with prefetched(GapReader(run.client).fetch_steps(gaps)) as steps:
            for step in steps:
                load_response(run, _prepare(run, step))
                run.check_limits()


class GapReader:
    """Reads gaps, one after another. The batch size is kept from one gap to the next."""

    def __init__(self, client: GraphClient) -> None:
        self._client = client
        self._size = _HISTORY

    def fetch_steps(self, gaps: list[Gap]) -> Iterator[GapStep]:
        """The steps that close each gap, or leave it unreadable."""
        for gap in gaps:
            yield from self._fetch_gap(gap)

    def _fetch_gap(self, gap: Gap) -> Iterator[GapStep]:
        what = f"The history of thread {gap.thread_id}"
        pager = Pager(what, gap.resume_cursor)
        reached, died_at = gap.newest_time, gap.dead_cursor_time
        while True:
            try:
                answer = self._fetch(gap, pager.after)
            except CursorRefused as error:
                if pager.after is None or (died_at is not None and reached >= died_at):
                    # It died here before: reading again from the top leads no deeper.
                    yield _unreadable(gap, None, str(error))
                    return
                pager, died_at = Pager(what), reached
                yield GapStep(gap, None, {"cursor_died": True})
                continue
            except (ObjectRefused, TooMuchData) as error:
                # Meta may refuse the details of old messages; the thread itself still exists.
                yield _unreadable(gap, None, str(error))
                return
            pager.advance(answer.content.after)
            step = _step(gap, answer)
            yield step
            if "resume_cursor" not in step.move:
                return
            self._size = self._size.larger()
            reached = min(reached, step.move["newest_time"] or reached)

    def _fetch(self, gap: Gap, after: str | None) -> Answer[Listing[Message]]:
        """One answer of a gap's messages, requested in smaller sizes while that is too much.

        Raises TooMuchData if Meta refuses one message.
        """
        while True:
            try:
                return self._client.fetch_messages(
                    gap.thread_id, limit=self._size.limit, after=after
                )
            except TooMuchData:
                smaller = self._size.smaller()
                if smaller is None:
                    raise
                self._size = smaller


def _step(gap: Gap, answer: Answer[Listing[Message]]) -> GapStep:
    """What an answer means for the gap."""
    listing = answer.content
    if reaches(listing.records, gap.until_time):
        return GapStep(gap, answer, {"closed": True})
    if listing.withheld:
        return _unreadable(gap, answer, WITHHELD)
    if listing.after is None:
        return GapStep(gap, answer, {"closed": True})
    oldest: datetime | None = min((one["created_time"] for one in listing.records), default=None)
    return GapStep(gap, answer, {"resume_cursor": listing.after, "newest_time": oldest})


def _unreadable(gap: Gap, answer: Answer[Listing[Message]] | None, reason: str) -> GapStep:
    return GapStep(gap, answer, {"unreadable": True, "reason": reason})


def _prepare(run: SyncRun, step: GapStep) -> PreparedResponse:
    move = {"id": step.gap.id, **step.move}
    if step.answer is None:
        return prepare_response(run, Plan(), [], gap_moved=move)
    listing, answered_at = step.answer.content, step.answer.date
    plan = Plan()
    if listing.records:
        plan.conversations = parse_history(
            listing.records, step.gap.sender_id, run.source_page, answered_at
        )
    rejects = [replace(reject, thread_id=step.gap.thread_id) for reject in listing.rejects]
    return prepare_response(
        run, plan, rejects, usable=len(listing.records), unknown=listing.unknown, gap_moved=move
    )
