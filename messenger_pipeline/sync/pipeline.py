"""Fetching and preparing responses in threads of their own while the caller loads others."""

import gc
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from messenger_pipeline.logs import in_log_context

Fetched = TypeVar("Fetched")
Ready = TypeVar("Ready")


@contextmanager
def pipelined(
    source: Iterator[Fetched], prepare: Callable[[Fetched], Ready]
) -> Iterator[Iterator[Ready]]:
    """Iterate over what `source` fetches and `prepare` makes of it, in order.

    While the caller loads response n, the next is prepared and the one behind it is fetched:

        time →
        fetch     1   2   3   4   5
        prepare       1   2   3   4
        load              1   2   3     (the caller's thread)

    So at most three responses are in memory. `source` is a generator and runs in one thread,
    `prepare` in another. The body raises their errors where the response would have come, after
    those before it. Leaving the body cancels the requests not yet started and waits for the one
    in progress: no thread is left running.
    """
    # The fetcher is stopped first: its queued request must not start any more.
    with _worker("prepare") as preparer, _worker("fetch") as fetcher:
        yield _in_two_stages(source, prepare, fetcher, preparer)


@contextmanager
def prefetched(source: Iterator[Fetched]) -> Iterator[Iterator[Fetched]]:
    """Iterate over what `source` fetches, one ahead: the shorter pipeline.

        time →
        fetch     1   2   3   4
        load          1   2   3         (the caller's thread, which also prepares)

    For walks that often end at a limit: a run that ends discards one response instead of two.
    """
    with _worker("fetch") as fetcher:
        yield _in_one_stage(source, fetcher)


@contextmanager
def tuned_for_threads() -> Iterator[None]:
    """Tune Python for threads that hand each other responses, while the body runs.

    What the process holds so far is kept out of garbage collection: with Dagster loaded, one
    collection takes longer than parsing an answer. The interpreter switches threads ten times as
    often, so that the thread that PostgreSQL answered runs soon.
    """
    interval = sys.getswitchinterval()
    gc.freeze()
    sys.setswitchinterval(0.0005)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        gc.unfreeze()


def _in_one_stage(source: Iterator[Fetched], fetcher: ThreadPoolExecutor) -> Iterator[Fetched]:
    fetch = in_log_context(next)
    fetching: Future[Fetched | None] = fetcher.submit(fetch, source, None)
    while (fetched := fetching.result()) is not None:
        fetching = fetcher.submit(fetch, source, None)
        yield fetched


def _in_two_stages(
    source: Iterator[Fetched],
    prepare: Callable[[Fetched], Ready],
    fetcher: ThreadPoolExecutor,
    preparer: ThreadPoolExecutor,
) -> Iterator[Ready]:
    fetch = in_log_context(next)

    @in_log_context
    def prepare_fetched(fetching: Future[Fetched | None]) -> Ready | None:
        fetched = fetching.result()
        return None if fetched is None else prepare(fetched)

    preparing = preparer.submit(prepare_fetched, fetcher.submit(fetch, source, None))
    fetching: Future[Fetched | None] = fetcher.submit(fetch, source, None)
    while (ready := preparing.result()) is not None:
        preparing = preparer.submit(prepare_fetched, fetching)
        fetching = fetcher.submit(fetch, source, None)
        yield ready


@contextmanager
def _worker(name: str) -> Iterator[ThreadPoolExecutor]:
    """One thread, which has ended when the body is left."""
    worker = ThreadPoolExecutor(1, thread_name_prefix=name)
    try:
        yield worker
    finally:
        worker.shutdown(wait=True, cancel_futures=True)
