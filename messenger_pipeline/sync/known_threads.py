"""The walk of a page whose list Meta refuses: the stored threads, one request for each."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from messenger_pipeline.db.gaps import begin_thread, release_threads
from messenger_pipeline.db.sessions import list_unseen_threads
from messenger_pipeline.errors import DatabaseError, ThreadSetAside, reason_of
from messenger_pipeline.graph.client import Answer
from messenger_pipeline.graph.models import Listing, Thread
from messenger_pipeline.rows import GapRow
from messenger_pipeline.sync.batch_size import BatchSize
from messenger_pipeline.sync.pipeline import prefetched
from messenger_pipeline.sync.plan import Plan
from messenger_pipeline.sync.request_sizes import SizedRequests
from messenger_pipeline.sync.response import (
    PreparedResponse,
    load_response,
    prepare_response,
    prepare_threads,
)
from messenger_pipeline.sync.sync_run import SyncRun

_THREADS = 500
"""Read from the database at once: as each look reads what is known of all threads of the page."""
MAX_DEATHS = 3
"""Requests that ended their process, after which a thread is set aside."""
_ONE_THREAD = BatchSize(1, 25, max_limit=1, max_nested_limit=25)


@dataclass(frozen=True)
class _ThreadAnswer:
    """The answer for a thread, or the error of one that could not be read."""

    thread_id: str
    answer: Answer[Listing[Thread]] | None
    error: Exception | None = None


def walk_known_threads(run: SyncRun) -> None:
    """Request each stored thread, newest first. Raises Stopped at a limit.

    A full walk requests all of them; an incremental one those with messages since they were last
    requested, and, more and more rarely, those that were active before. One that cannot be read
    becomes a gap that is put off; so does one that ended its process three times.
    """
    page_id, begun = run.page.facebook_page_id, set[str]()
    requests = SizedRequests(run.sizes, "thread", _ONE_THREAD, run.blame.require_answer)
    try:
        while threads := list_unseen_threads(run.database, run.session.sync_session_id, _THREADS):
            with prefetched(_fetch_threads(run, threads, requests, begun)) as answers:
                for answer in answers:
                    _load(run, answer)
                    begun.discard(answer.thread_id)
                    run.check_limits()
    finally:
        # Their turn ended, but not because of them.
        with suppress(DatabaseError):
            release_threads(run.database, page_id, sorted(begun))


def _fetch_threads(
    run: SyncRun, thread_ids: list[str], requests: SizedRequests, begun: set[str]
) -> Iterator[_ThreadAnswer]:
    """`begun` gets the threads whose requests are counted."""
    for thread_id in thread_ids:
        try:
            deaths = begin_thread(run.database, run.page.facebook_page_id, thread_id)
            begun.add(thread_id)
            if deaths >= MAX_DEATHS:
                raise ThreadSetAside(f"Reading it ended the process {deaths} times in a row.")
            answer = _fetch_thread(run, thread_id, requests)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next thread is read
            run.blame.require_own_fault(error)
            yield _ThreadAnswer(thread_id, None, error)
        else:
            run.blame.record_success()
            yield _ThreadAnswer(thread_id, answer)


def _fetch_thread(run: SyncRun, thread_id: str, requests: SizedRequests) -> Answer[Listing[Thread]]:
    """A thread with its newest messages, with fewer of them while Meta refuses it as too much."""
    return requests.fetch(
        lambda size, attempts: run.client.fetch_thread(
            thread_id, messages=size.nested_limit, attempts=attempts
        )
    )


def _load(run: SyncRun, fetched: _ThreadAnswer) -> None:
    """Load a thread. One that cannot be used is set aside, like one that cannot be read."""
    try:
        load_response(run, _prepare(run, fetched))
    except Exception as error:  # noqa: BLE001 - whatever it is, the next thread is read
        run.blame.require_own_fault(error)
        load_response(run, _prepare(run, _ThreadAnswer(fetched.thread_id, None, error)))


def _prepare(run: SyncRun, fetched: _ThreadAnswer) -> PreparedResponse:
    asked_for = [fetched.thread_id]
    if fetched.answer is not None:
        return prepare_threads(run, fetched.answer, asked_for=asked_for)
    assert fetched.error is not None
    gaps = _gap(run, fetched.thread_id, fetched.error)
    run.set_aside += len(gaps)
    return prepare_response(run, Plan(gaps=gaps), [], asked_for=asked_for)


def _gap(run: SyncRun, thread_id: str, error: Exception) -> list[GapRow]:
    """The gap of a thread that cannot be read: from its last known update to what is loaded."""
    state = run.find_known_threads([thread_id]).get(thread_id)
    if state is None or state.sender_id is None or state.has_gap:
        return []
    return [
        {
            "thread_id": thread_id,
            "resume_cursor": None,
            "newest_time": state.updated_time,
            "until_time": state.newest_loaded_at,
            "error": reason_of(error),
        }
    ]
