"""The walk of a page whose list Meta refuses: the threads that are known, one by one."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

from messenger_pipeline.db.sessions import list_unseen_threads
from messenger_pipeline.errors import ObjectRefused, TooMuchData
from messenger_pipeline.graph.client import Answer
from messenger_pipeline.graph.models import Listing, Thread
from messenger_pipeline.sync.parse import messages_of
from messenger_pipeline.sync.plan import Plan, plan_threads
from messenger_pipeline.sync.walk import Prepared, Walk, check_limits, load, one_ahead, prepare

_THREADS = 50  # read from the database at once
_NESTED = 25


@dataclass(frozen=True)
class _Step:
    thread_id: str
    answer: Answer[Listing[Thread]] | None


def walk_known(walk: Walk) -> None:
    """Ask for each known thread, newest first: all of them in a full walk, else those of which
    something was heard since. Raises Stopped at a limit."""
    while threads := list_unseen_threads(walk.database, walk.session.sync_session_id, _THREADS):
        with closing(one_ahead(_fetch_threads(walk, threads))) as steps:
            for step in steps:
                load(walk, _prepare(walk, step))
                check_limits(walk)


def _fetch_threads(walk: Walk, thread_ids: list[str]) -> Iterator[_Step]:
    for thread_id in thread_ids:
        messages = _NESTED
        while True:
            try:
                yield _Step(thread_id, walk.client.fetch_thread(thread_id, messages=messages))
            except TooMuchData:
                if messages == 1:
                    raise
                messages //= 2
                continue
            except ObjectRefused:
                # Gone, or not ours to see any more: it stays as it is.
                yield _Step(thread_id, None)
            break


def _prepare(walk: Walk, step: _Step) -> Prepared:
    asked_for = [step.thread_id]
    if step.answer is None:
        return prepare(walk, Plan(), [], asked_for=asked_for)
    listing = step.answer.content
    threads = listing.records
    known = walk.known_threads([thread["id"] for thread in threads])
    return prepare(
        walk,
        plan_threads(threads, known, walk.marked, step.answer.date, listing.withheld),
        listing.rejects,
        usable=len(threads) + sum(len(messages_of(thread)) for thread in threads),
        fetched=len(threads),
        unknown=listing.unknown,
        asked_for=asked_for,
    )
