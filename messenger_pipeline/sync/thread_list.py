"""The walk of one page's list of threads, newest first."""

import hashlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime

from messenger_pipeline.db import sessions
from messenger_pipeline.errors import (
    CursorRefused,
    ListRefused,
    ObjectRefused,
    PermissionMissing,
    TooMuchData,
    UnexpectedAnswer,
)
from messenger_pipeline.graph.client import Answer
from messenger_pipeline.graph.models import Thread
from messenger_pipeline.graph.reading import UnreadThreads
from messenger_pipeline.rows import ThreadState
from messenger_pipeline.sync.batch_size import Portion
from messenger_pipeline.sync.parse import messages_of
from messenger_pipeline.sync.plan import is_unchanged, plan_threads
from messenger_pipeline.sync.walk import Prepared, Walk, check_limits, load, one_ahead, prepare

WHOLE = Portion(100, 25, most=100, most_nested=25)
"""Threads with their newest messages: where all may be new."""
FEW = replace(WHOLE, records=25)
"""Mostly little is new since the last sync: what is unchanged behind it need not be asked for."""
PROBE = Portion(200, 1, most=200, most_nested=1)
"""Threads with their newest message: enough to tell that they are as they were. Meta cuts greater
limits silently at about 200."""

Known = dict[str, ThreadState]


@dataclass(frozen=True)
class _Step:
    """An answer of the list, and what it decides about the walk."""

    answer: Answer[UnreadThreads]
    listed: bool
    known: Known | None = None
    out_of_order: bool = False


def walk_list(walk: Walk) -> None:
    """Walk the list from where the session stands to its end or cutoff. Raises Stopped.

    A cursor that died begins it again from the top; one that dies again no deeper leaves the
    session truncated. So does a list that Meta refuses.
    """
    while walk.session.listed_at is None:
        session = walk.session
        reading = _Reading(
            walk,
            after=session.last_cursor if session.cursor_fingerprint == _fingerprint(walk) else None,
            cutoff=session.cutoff,
            oldest=session.last_updated_time,
            known=session.cutoff is None
            and bool(walk.page.last_synced_at or session.dead_cursor_time),
        )
        try:
            _pass(walk, reading, moving=True)
        except CursorRefused as error:
            sessions.restart_list(walk.database, session, walk.fence, walk.step, str(error))
            walk.step += 1
        except ListRefused as error:
            sessions.give_up_list(walk.database, session, walk.fence, walk.step, str(error))
        walk.session = sessions.get_session(walk.database, session.sync_session_id)


def walk_head(walk: Walk, down_to: datetime) -> None:
    """Look once more at the head of the list: at what jumped there meanwhile."""
    _pass(walk, _Reading(walk, None, down_to, None, known=True), moving=False)


def _pass(walk: Walk, reading: "_Reading", moving: bool) -> None:
    """Walk the list once; with `moving` the session's place in it moves along."""
    fetched = one_ahead(reading.steps())
    prepared = ((step.listed, _prepare(walk, step, moving)) for step in fetched)
    with closing(fetched), closing(one_ahead(prepared)) as ready:
        for listed, response in ready:
            load(walk, response)
            if not listed:
                check_limits(walk)


def _prepare(walk: Walk, step: _Step, moving: bool) -> Prepared:
    listing, answered_at = step.answer.content.read(), step.answer.date
    threads = listing.records
    known = step.known
    if known is None:
        known = walk.known_threads([thread["id"] for thread in threads])
    times = [thread["updated_time"] for thread in threads]
    moves = {
        "cursor": listing.after,
        "cursor_fingerprint": _fingerprint(walk),
        "last_conversation_id": threads[-1]["id"] if threads else None,
        "last_updated_time": min(times, default=None),
        # A time in the future must not hide what comes before it.
        "next_watermark": min(max(times), answered_at) if times else None,
        "cutoff_ignored": step.out_of_order,
        "listed": step.listed,
    }
    return prepare(
        walk,
        plan_threads(threads, known, walk.marked, answered_at, listing.withheld),
        listing.rejects,
        usable=len(threads) + sum(len(messages_of(thread)) for thread in threads),
        fetched=len(threads),
        unknown=listing.unknown,
        **(moves if moving else {}),
    )


@dataclass
class _Reading:
    """One pass over the list, as far as it has come.

    `cutoff`: it ends after an answer that is older. `oldest`: no answer may be newer, else the
    list is out of order and the cutoff proves nothing. `known`: its threads are likely to be
    known, so that their newest messages are enough to ask for.
    """

    walk: Walk
    after: str | None
    cutoff: datetime | None
    oldest: datetime | None
    known: bool
    left: int | None = None
    whole: Portion = WHOLE
    probe: Portion = PROBE
    probing: bool = False

    def __post_init__(self) -> None:
        self.left = self.walk.limits.max_conversations
        self.whole = FEW if self.cutoff else WHOLE
        self.probing = self.known

    def steps(self) -> Iterator[_Step]:
        """The list's answers, to its end or past its cutoff.

        Ends early at max_conversations, asking for no thread more. Raises CursorRefused,
        ListRefused.
        """
        while self.left is None or self.left > 0:
            answer = self._fetch()
            after = answer.content.after
            if after is not None and after == self.after:
                raise UnexpectedAnswer(
                    "The list of conversations goes on, but its cursor stands still."
                )
            step: _Step | None = _Step(answer, listed=after is None)
            # Where nothing in it decides about the next call, that need not wait until it is read.
            if self.cutoff is not None or self.left is not None or self.known:
                step = self._judge(answer)
            if step is None:
                continue
            yield step
            if step.listed:
                return
            self.after = after

    def _judge(self, answer: Answer[UnreadThreads]) -> _Step | None:
        """What the threads of an answer decide; None: they are to be asked for anew, whole."""
        threads = answer.content.read().records
        known = None
        if self.known:
            known = self.walk.known_threads([thread["id"] for thread in threads])
            few = _few_changed(threads, known)
            if self.probing and not few:
                # Much is new: it comes with its messages in one call, instead of one each.
                self.probing = False
                return None
            self.probing = few
        times = [thread["updated_time"] for thread in threads]
        out_of_order = _rises(times, self.oldest)
        if out_of_order:
            self.cutoff = None
        self.oldest = min(times, default=self.oldest)
        past = self.cutoff is not None and bool(times) and max(times) < self.cutoff
        if self.left is not None:
            self.left -= len(threads)
        return _Step(answer, past or answer.content.after is None, known, out_of_order)

    def _fetch(self) -> Answer[UnreadThreads]:
        """One answer of the list, in a portion that is small enough."""
        page = self.walk.page
        while True:
            portion = self.probe if self.probing else self.whole
            try:
                answer = self.walk.client.fetch_conversations(
                    page.facebook_page_id,
                    page.platform,
                    limit=portion.records if self.left is None else min(portion.records, self.left),
                    messages=portion.nested,
                    after=self.after,
                )
            except TooMuchData as error:
                smaller = portion.smaller()
                if smaller is None:
                    raise ListRefused(str(error)) from None
                self._ask_for(smaller)
            except ObjectRefused as error:
                if self.after is not None:
                    # Whatever Meta says of it: the query without a cursor was right.
                    raise CursorRefused(str(error)) from None
                if error.subcode == 33:
                    raise PermissionMissing(
                        f"The page's list is not ours to see: {error}"
                    ) from None
                raise
            else:
                self._ask_for(portion.larger())
                return answer

    def _ask_for(self, portion: Portion) -> None:
        if self.probing:
            self.probe = portion
        else:
            self.whole = portion


def _few_changed(threads: list[Thread], known: Known) -> bool:
    changed = sum(
        thread["id"] not in known or not is_unchanged(thread, known[thread["id"]])
        for thread in threads
    )
    return changed <= max(2, len(threads) // 20)


def _rises(times: list[datetime], oldest: datetime | None) -> bool:
    """Whether times, newest first and all behind `oldest`, are out of order."""
    before = oldest
    for time in times:
        if before is not None and time > before:
            return True
        before = time
    return False


def _fingerprint(walk: Walk) -> str:
    """What a cursor belongs to: it is used only with the query that made it. Neither limit nor
    fields belong to it: they change what an answer holds, not where it begins."""
    query = f"{walk.page.facebook_page_id}/conversations?platform={walk.page.platform}"
    return hashlib.sha256(query.encode()).hexdigest()[:16]
