"""Calls that start at a barrier and run concurrently, like those of several processes."""

import threading
from collections.abc import Callable
from typing import Any

from messenger_pipeline.errors import PipelineError

Call = Callable[[], list[Any]]


def run_concurrently(calls: list[Call]) -> list[list[Any]]:
    """The result of each call. Raises the error of the first that failed."""
    barrier = threading.Barrier(len(calls))
    results: dict[int, list[Any]] = {}
    failures: list[PipelineError] = []

    def run(number: int) -> None:
        barrier.wait()
        try:
            results[number] = calls[number]()
        except PipelineError as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return [results[number] for number in range(len(calls))]
