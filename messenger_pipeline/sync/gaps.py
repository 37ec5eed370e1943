"""The walk of the gaps in threads' history: messages that no response has brought yet.

Gaps belong to the page. One that cannot be read is put off with its error, and the others go on.
"""

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from messenger_pipeline.db.gaps import Gap, begin_gap, list_due_gaps, release_gaps
from messenger_pipeline.errors import (
    ContactTermsNotAccepted,
    CursorRefused,
    DatabaseError,
    ObjectRefused,
    PageOwnerMustAct,
    TooMuchData,
    reason_of,
)
from messenger_pipeline.graph.client import Answer, GraphClient
from messenger_pipeline.graph.models import Listing, Message
from messenger_pipeline.sync.batch_size import BatchSize
from messenger_pipeline.sync.blame import Blame
from messenger_pipeline.sync.paging import Pager
from messenger_pipeline.sync.pipeline import prefetched
from messenger_pipeline.sync.plan import WITHHELD, Plan, parse_history, reaches
from messenger_pipeline.sync.request_sizes import RequestSizes, SizedRequests
from messenger_pipeline.sync.response import PreparedResponse, load_response, prepare_response
from messenger_pipeline.sync.sync_run import SyncRun

_HISTORY = BatchSize(100, 1, max_limit=100, max_nested_limit=1)
"""Messages per request."""
_GAPS = 50  # read from the database at once, so that memory stays flat
_SHARE_SECONDS = 60.0
"""How long a run reads gaps that other sessions opened, so that what is new is not late."""
_DEATHS = 3
"""Attempts that ended without an error or a result, until a gap is put off: they ended their
process."""

Move = dict[str, Any]
"""What the load does to a gap: closed, cursor_died, unreadable or failed with a reason, or moved to
a resume_cursor below newest_time."""


@dataclass(frozen=True)
class GapStep:
    """One request for a gap: the answer, None if Meta refused it, and the gap's move."""

    gap: Gap
    answer: Answer[Listing[Message]] | None
    move: Move

    @property
    def is_last(self) -> bool:
        """Whether the gap is done with, for this time."""
        return not self.move.keys() & {"resume_cursor", "cursor_died"}


def walk_gaps(run: SyncRun) -> None:
    """Read the page's due gaps, newest first: all those of this session, then others for a while.

    Raises Stopped at a limit.
    """
    _walk(run, own=True)
    _walk(run, own=False, until=time.monotonic() + _SHARE_SECONDS)


def _walk(run: SyncRun, *, own: bool, until: float | None = None) -> None:
    page_id, session = run.page.facebook_page_id, run.session.sync_session_id
    begun: set[int] = set()

    def begin(gap: Gap) -> None:
        begin_gap(run.database, gap.id)
        begun.add(gap.id)

    reader = GapReader(run.client, run.blame, begin, run.sizes)
    try:
        while gaps := list_due_gaps(run.database, page_id, session, own=own, limit=_GAPS):
            put_off: set[int] = set()
            with prefetched(reader.fetch_steps(gaps, put_off)) as steps:
                for step in steps:
                    if step.gap.id in put_off:
                        continue  # fetched ahead, from below a response that could not be loaded
                    if not _load(run, step):
                        put_off.add(step.gap.id)
                    if step.is_last or step.gap.id in put_off:
                        begun.discard(step.gap.id)
                        run.set_aside += "closed" not in step.move or step.gap.id in put_off
                    run.check_limits()
                    if until is not None and time.monotonic() > until:
                        return
    finally:
        # Their turn ended, but not because of them.
        with suppress(DatabaseError):
            release_gaps(run.database, sorted(begun))


class GapReader:
    """Reads gaps, one after another. The batch size is kept from one gap to the next."""

    def __init__(
        self,
        client: GraphClient,
        blame: Blame,
        begin: Callable[[Gap], None] = lambda _gap: None,
        sizes: RequestSizes | None = None,
    ) -> None:
        """`begin` is called before the first request for each gap. `sizes` are those that Meta is
        known to answer."""
        self._client = client
        self._blame = blame
        self._begin = begin
        self._requests = SizedRequests(
            sizes or RequestSizes(), "history", _HISTORY, blame.require_answer
        )

    def fetch_steps(
        self, gaps: list[Gap], put_off: Collection[int] = frozenset()
    ) -> Iterator[GapStep]:
        """The steps that close each gap, put it off or leave it unreadable.

        A gap whose id is in `put_off` by then is not read any further.

        Raises only errors that concern more than one gap.
        """
        for gap in gaps:
            self._begin(gap)
            try:
                if gap.attempts >= _DEATHS and gap.last_error is None:
                    yield _failed(
                        gap, f"Reading it ended the process {gap.attempts} times in a row."
                    )
                else:
                    yield from self._fetch_gap(gap, put_off)
            except Exception as error:  # noqa: BLE001 - whatever it is, the next gap is read
                self._blame.require_own_fault(error)
                yield _refused(gap, error)

    def _fetch_gap(self, gap: Gap, put_off: Collection[int]) -> Iterator[GapStep]:
        what = f"The history of thread {gap.thread_id}"
        pager = Pager(what, gap.resume_cursor)
        reached, died_at = gap.newest_time, gap.dead_cursor_time
        while gap.id not in put_off:
            try:
                answer = self._fetch(gap, pager.after)
            except CursorRefused as error:
                if pager.after is None or reached == died_at:
                    # It died here before: Meta gives nothing deeper.
                    yield _unreadable(gap, None, str(error))
                    return
                if died_at is not None and reached > died_at:
                    yield _failed(gap, str(error))
                    return
                pager, died_at = Pager(what), reached
                yield GapStep(gap, None, {"cursor_died": True})
                continue
            self._blame.record_success()
            pager.advance(answer.content.after)
            step = _step(gap, answer)
            yield step
            if step.is_last:
                return
            reached = min(reached, step.move["newest_time"] or reached)

    def _fetch(self, gap: Gap, after: str | None) -> Answer[Listing[Message]]:
        """One answer of a gap's messages, requested in smaller sizes while that is too much."""
        return self._requests.fetch(
            lambda size, attempts: self._client.fetch_messages(
                gap.thread_id, limit=size.limit, after=after, attempts=attempts
            )
        )


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
    return GapStep(gap, answer, {"unreadable": reason})


def _failed(gap: Gap, reason: str) -> GapStep:
    return GapStep(gap, None, {"failed": reason})


def _refused(gap: Gap, error: Exception) -> GapStep:
    """The step after an error of one gap: a refusal leaves it unreadable, others put it off."""
    if isinstance(error, ContactTermsNotAccepted):
        return _failed(gap, str(error))  # until a person has accepted them
    if isinstance(error, (ObjectRefused, PageOwnerMustAct, TooMuchData)):
        # Meta may refuse the details of old messages; the thread itself still exists.
        return _unreadable(gap, None, str(error))
    return _failed(gap, reason_of(error))


def _load(run: SyncRun, step: GapStep) -> bool:
    """Load a step. Returns False if the response cannot be used: its gap is then put off."""
    try:
        load_response(run, _prepare(run, step))
    except Exception as error:  # noqa: BLE001 - whatever it is, the next gap is read
        run.blame.require_own_fault(error)
        load_response(run, _prepare(run, _failed(step.gap, reason_of(error))))
        return False
    return True


def _prepare(run: SyncRun, step: GapStep) -> PreparedResponse:
    move = {"id": step.gap.id, **step.move}
    if step.answer is None:
        return prepare_response(run, Plan(), [], gap_moved=move)
    listing, answered_at = step.answer.content, step.answer.date
    plan = Plan()
    if listing.records:
        plan.conversations = parse_history(
            listing.records,
            step.gap.sender_id,
            run.source_page,
            answered_at,
            step.gap.thread_id,
        )
    rejects = [replace(reject, thread_id=step.gap.thread_id) for reject in listing.rejects]
    return prepare_response(
        run, plan, rejects, usable=len(listing.records), unknown=listing.unknown, gap_moved=move
    )
