"""The walk of the gaps in threads' history: what came neither with the list nor before."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

from messenger_pipeline.db.load import Gap, list_gaps
from messenger_pipeline.errors import ObjectRefused, UnexpectedAnswer
from messenger_pipeline.graph.client import Answer
from messenger_pipeline.graph.models import Listing, Message
from messenger_pipeline.threads import Plan, parse_history, reaches
from messenger_pipeline.walk import Walk, check_limits, load_plan, one_ahead

HISTORY = 100
"""Messages asked for at once."""
_GAPS = 50  # read from the database at once, so that memory stays flat


@dataclass(frozen=True)
class _Step:
    """An answer of a gap's messages; None where Meta refuses them for good."""

    gap: Gap
    answer: Answer[Listing[Message]] | None
    closed: bool


def walk_gaps(walk: Walk) -> None:
    """Close the session's gaps, newest first. Raises Stopped at a limit."""
    while gaps := list_gaps(walk.database, walk.session.sync_session_id, _GAPS):
        with closing(one_ahead(_fetch_gaps(walk, gaps))) as steps:
            for step in steps:
                _load_history(walk, step)
                check_limits(walk)


def _load_history(walk: Walk, step: _Step) -> None:
    gap = step.gap
    if step.answer is None:
        load_plan(walk, Plan(), 1, [], gap_moved={"id": gap.id, "unreadable": True})
        return
    listing, answered_at = step.answer.content, step.answer.date
    plan = Plan()
    if listing.records:
        plan.conversations = parse_history(listing.records, gap.sender_id, walk.marked, answered_at)
    moved = {
        "id": gap.id,
        "closed": step.closed,
        "resume_cursor": listing.after,
        "newest_time": min((one["created_time"] for one in listing.records), default=None),
    }
    load_plan(
        walk,
        plan,
        step.answer.calls,
        listing.rejects,
        usable=len(listing.records),
        gap_moved=moved,
    )


def _fetch_gaps(walk: Walk, gaps: list[Gap]) -> Iterator[_Step]:
    """Each gap's messages, answer by answer, until one closes it."""
    for gap in gaps:
        after, closed = gap.resume_cursor, False
        while not closed:
            try:
                answer = walk.client.fetch_messages(gap.thread_id, limit=HISTORY, after=after)
            except ObjectRefused:
                # Details of old messages may be refused; that says nothing about the thread.
                yield _Step(gap, None, True)
                break
            listing = answer.content
            if listing.after is not None and listing.after == after:
                raise UnexpectedAnswer(
                    f"The messages of {gap.thread_id} go on, but their cursor stands still."
                )
            after = listing.after
            closed = after is None or reaches(listing.records, gap.until_time)
            yield _Step(gap, answer, closed)
