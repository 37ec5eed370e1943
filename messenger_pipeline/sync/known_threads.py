"""The walk of a page whose list Meta refuses: the stored threads, one request for each."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from messenger_pipeline.db.sessions import list_unseen_threads
from messenger_pipeline.errors import ObjectRefused, TooMuchData
from messenger_pipeline.graph.client import Answer
from messenger_pipeline.graph.models import Listing, Thread
from messenger_pipeline.sync.batch_size import BatchSize
from messenger_pipeline.sync.pipeline import prefetched
from messenger_pipeline.sync.plan import Plan
from messenger_pipeline.sync.response import (
    PreparedResponse,
    load_response,
    prepare_response,
    prepare_threads,
)
from messenger_pipeline.sync.sync_run import SyncRun

_THREADS = 50  # read from the database at once
_ONE_THREAD = BatchSize(1, 25, max_limit=1, max_nested_limit=25)


@dataclass(frozen=True)
class _ThreadAnswer:
    """The answer for a thread; None if Meta refused it."""

    thread_id: str
    answer: Answer[Listing[Thread]] | None


def walk_known_threads(run: SyncRun) -> None:
    """Request each stored thread, newest first. Raises Stopped at a limit.

    A full walk requests all of them, an incremental one those that a webhook named since.
    """
    while threads := list_unseen_threads(run.database, run.session.sync_session_id, _THREADS):
        with prefetched(_fetch_threads(run, threads)) as answers:
            for answer in answers:
                load_response(run, _prepare(run, answer))
                run.check_limits()


def _fetch_threads(run: SyncRun, thread_ids: list[str]) -> Iterator[_ThreadAnswer]:
    for thread_id in thread_ids:
        answer = None
        # Gone, or no longer readable: what is stored stays.
        with suppress(ObjectRefused):
            answer = _fetch_thread(run, thread_id)
        yield _ThreadAnswer(thread_id, answer)


def _fetch_thread(run: SyncRun, thread_id: str) -> Answer[Listing[Thread]]:
    """A thread with its newest messages, with fewer of them while Meta refuses it as too much."""
    size = _ONE_THREAD
    while True:
        try:
            return run.client.fetch_thread(thread_id, messages=size.nested_limit)
        except TooMuchData:
            smaller = size.smaller()
            if smaller is None:
                raise
            size = smaller


def _prepare(run: SyncRun, fetched: _ThreadAnswer) -> PreparedResponse:
    asked_for = [fetched.thread_id]
    if fetched.answer is None:
        return prepare_response(run, Plan(), [], asked_for=asked_for)
    return prepare_threads(run, fetched.answer, asked_for=asked_for)
