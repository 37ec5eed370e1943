"""The walk of the gaps in threads' history: what came neither with the list nor before."""

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from messenger_pipeline.db.sessions import Gap, list_gaps
from messenger_pipeline.errors import CursorRefused, ObjectRefused, TooMuchData, UnexpectedAnswer
from messenger_pipeline.graph.client import Answer
from messenger_pipeline.graph.models import Listing, Message
from messenger_pipeline.sync.batch_size import Portion
from messenger_pipeline.sync.plan import WITHHELD, Plan, parse_history, reaches
from messenger_pipeline.sync.walk import Prepared, Walk, check_limits, load, one_ahead, prepare

HISTORY = Portion(100, 1, most=100, most_nested=1)
"""Messages asked for at once."""
_GAPS = 50  # read from the database at once, so that memory stays flat


@dataclass(frozen=True)
class _Step:
    """An answer of a gap's messages, if there was one, and what it does to the gap."""

    gap: Gap
    answer: Answer[Listing[Message]] | None
    moved: dict[str, Any]


def walk_gaps(walk: Walk) -> None:
    """Close the session's gaps, newest first. Raises Stopped at a limit."""
    while gaps := list_gaps(walk.database, walk.session.sync_session_id, _GAPS):
        with closing(one_ahead(_fetch_gaps(walk, gaps))) as steps:
            for step in steps:
                load(walk, _prepare(walk, step))
                check_limits(walk)


def _prepare(walk: Walk, step: _Step) -> Prepared:
    moved = {"id": step.gap.id, **step.moved}
    if step.answer is None:
        return prepare(walk, Plan(), [], gap_moved=moved)
    listing, answered_at = step.answer.content, step.answer.date
    plan = Plan()
    if listing.records:
        plan.conversations = parse_history(
            listing.records, step.gap.sender_id, walk.marked, answered_at
        )
    rejects = [
        type(reject)(**{**vars(reject), "thread_id": step.gap.thread_id})
        for reject in listing.rejects
    ]
    return prepare(
        walk, plan, rejects, usable=len(listing.records), unknown=listing.unknown, gap_moved=moved
    )


def _fetch_gaps(walk: Walk, gaps: list[Gap]) -> Iterator[_Step]:
    """Each gap's messages, answer by answer, until one closes it."""
    portion = HISTORY
    for gap in gaps:
        portion = yield from _fetch_gap(walk, gap, portion)


def _fetch_gap(walk: Walk, gap: Gap, portion: Portion) -> Generator[_Step, None, Portion]:
    after, reached, died_at = gap.resume_cursor, gap.newest_time, gap.dead_cursor_time
    while True:
        try:
            answer = walk.client.fetch_messages(gap.thread_id, limit=portion.records, after=after)
        except CursorRefused as error:
            # From the top again, through what is stored. Dead again no deeper, it is of no use.
            if after is None or (died_at is not None and reached >= died_at):
                yield _Step(gap, None, _unreadable(str(error)))
                return portion
            after, died_at = None, reached
            yield _Step(gap, None, {"cursor_died": True})
            continue
        except TooMuchData as error:
            smaller = portion.smaller()
            if smaller is None:
                yield _Step(gap, None, _unreadable(str(error)))
                return portion
            portion = smaller
            continue
        except ObjectRefused as error:
            # Details of old messages may be refused; that says nothing about the thread.
            yield _Step(gap, None, _unreadable(str(error)))
            return portion
        step = _step(gap, answer, after)
        yield step
        if "resume_cursor" not in step.moved:
            return portion
        after, portion = step.moved["resume_cursor"], portion.larger()
        reached = min(reached, step.moved["newest_time"] or reached)


def _step(gap: Gap, answer: Answer[Listing[Message]], after: str | None) -> _Step:
    listing = answer.content
    if listing.after is not None and listing.after == after:
        raise UnexpectedAnswer(
            f"The messages of {gap.thread_id} go on, but their cursor stands still."
        )
    if reaches(listing.records, gap.until_time):
        return _Step(gap, answer, {"closed": True})
    if listing.withheld:
        return _Step(gap, answer, _unreadable(WITHHELD))
    if listing.after is None:
        return _Step(gap, answer, {"closed": True})
    oldest: datetime | None = min((one["created_time"] for one in listing.records), default=None)
    return _Step(gap, answer, {"resume_cursor": listing.after, "newest_time": oldest})


def _unreadable(reason: str) -> dict[str, Any]:
    return {"unreadable": True, "reason": reason}
