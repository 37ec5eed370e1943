"""Calls of several at once, from a barrier, as loaders of different processes make them."""

import threading
from collections.abc import Callable
from typing import Any

from messenger_pipeline.errors import PipelineError

Call = Callable[[], list[Any]]


def at_once(calls: list[Call]) -> list[list[Any]]:
    """What each call answered. Raises what the first that failed raised."""
    barrier = threading.Barrier(len(calls))
    answers: dict[int, list[Any]] = {}
    failures: list[PipelineError] = []

    def make(number: int) -> None:
        barrier.wait()
        try:
            answers[number] = calls[number]()
        except PipelineError as error:
            failures.append(error)

    threads = [threading.Thread(target=make, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return [answers[number] for number in range(len(calls))]
