"""Fetching and preparing ahead of the load."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from messenger_pipeline.sync import pipeline
from messenger_pipeline.sync.pipeline import pipelined, prefetched

WAIT = 10  # seconds until a test that would hang fails


class Source:
    """Numbers from 1, of which a test sees how many were fetched."""

    def __init__(self, count: int, fails_at: int | None = None) -> None:
        self.count, self.fails_at = count, fails_at
        self.fetched = 0
        self.reached = [threading.Event() for _ in range(count + 3)]

    def fetch(self) -> Iterator[int]:
        for number in range(1, self.count + 1):
            if number == self.fails_at:
                raise ConnectionError(f"fetch {number}")
            self.fetched = number
            self.reached[number].set()
            yield number

    def wait_for(self, number: int) -> None:
        assert self.reached[number].wait(WAIT), f"{number} is not fetched meanwhile"


def running() -> set[threading.Thread]:
    return {one for one in threading.enumerate() if one.name.startswith(("fetch", "prepare"))}


@pytest.mark.parametrize("count", [0, 1, 2, 3, 10])
def test_every_response_comes_once_and_in_order(count: int) -> None:
    with pipelined(Source(count).fetch(), str) as responses:
        assert [*responses] == [str(number) for number in range(1, count + 1)]
    with prefetched(Source(count).fetch()) as fetched:
        assert [*fetched] == [*range(1, count + 1)]
    assert running() == set()


def test_the_next_is_prepared_and_the_one_behind_it_fetched_while_one_is_loaded() -> None:
    source, prepared = Source(10), [threading.Event() for _ in range(11)]

    def prepare(number: int) -> int:
        prepared[number].set()
        return number

    with pipelined(source.fetch(), prepare) as responses:
        for number in responses:
            if number <= 8:
                assert prepared[number + 1].wait(WAIT)
                source.wait_for(number + 2)
            assert source.fetched <= number + 2, "more than three responses are in memory"


def test_prefetching_is_one_response_ahead() -> None:
    source = Source(10)
    with prefetched(source.fetch()) as fetched:
        for number in fetched:
            if number < 10:
                source.wait_for(number + 1)
            assert source.fetched <= number + 1


def test_all_stages_work_at_the_same_time() -> None:
    """Load 1, prepare 2 and fetch 3 each wait for the two others."""
    together = threading.Barrier(3)

    def fetch() -> Iterator[int]:
        yield 1
        yield 2
        together.wait(WAIT)
        yield 3

    def prepare(number: int) -> int:
        if number == 2:
            together.wait(WAIT)
        return number

    with pipelined(fetch(), prepare) as responses:
        for number in responses:
            if number == 1:
                together.wait(WAIT)


@pytest.mark.parametrize("fails_at", [1, 2, 5])
def test_an_error_of_a_fetch_is_raised_after_the_responses_before_it(fails_at: int) -> None:
    loaded: list[str] = []
    with (
        pytest.raises(ConnectionError, match=f"fetch {fails_at}"),
        pipelined(Source(9, fails_at).fetch(), str) as responses,
    ):
        loaded.extend(responses)  # extends one by one
    assert loaded == [str(number) for number in range(1, fails_at)]
    assert running() == set()


@pytest.mark.parametrize("fails_at", [1, 2, 5])
def test_an_error_of_a_preparation_is_raised_after_the_responses_before_it(fails_at: int) -> None:
    def prepare(number: int) -> int:
        if number == fails_at:
            raise ValueError(f"prepare {number}")
        return number

    loaded: list[int] = []
    with (
        pytest.raises(ValueError, match=f"prepare {fails_at}"),
        pipelined(Source(9).fetch(), prepare) as responses,
    ):
        loaded.extend(responses)
    assert loaded == [*range(1, fails_at)]
    assert running() == set()


@pytest.mark.parametrize("at", [1, 2, 5])
def test_an_error_of_a_load_leaves_no_thread_running_and_fetches_no_further(at: int) -> None:
    source = Source(1000)

    def load() -> None:
        with pipelined(source.fetch(), str) as responses:
            for number in responses:
                if number == str(at):
                    raise RuntimeError("load")

    with pytest.raises(RuntimeError, match="load"):
        load()
    assert running() == set()
    assert source.fetched <= at + 2


def test_leaving_the_body_cancels_requests_that_have_not_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run that stops while a request is in progress waits for that one alone."""
    second, leaving = threading.Event(), threading.Event()
    fetched = []

    class Executor(ThreadPoolExecutor):
        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
            super().shutdown(wait=False, cancel_futures=cancel_futures)
            leaving.set()
            super().shutdown(wait=wait, cancel_futures=cancel_futures)

    monkeypatch.setattr(pipeline, "ThreadPoolExecutor", Executor)

    def fetch() -> Iterator[int]:
        yield 1
        second.set()
        assert leaving.wait(WAIT)
        yield 2
        fetched.append(3)
        yield 3

    with pipelined(fetch(), str) as responses:
        assert next(responses) == "1"
        assert second.wait(WAIT)
    assert (fetched, running()) == ([], set())


def test_a_body_that_takes_no_response_fetches_nothing() -> None:
    source = Source(3)
    with pipelined(source.fetch(), str), prefetched(source.fetch()):
        pass
    assert (source.fetched, running()) == (0, set())
