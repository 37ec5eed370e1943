"""Where the walk of a list may stop."""

from datetime import UTC, datetime, timedelta

from hypothesis import assume, given
from hypothesis import strategies as st

from messenger_pipeline.sync.cutoff import Cutoff, next_watermark

T = datetime(2026, 5, 1, tzinfo=UTC)


def second(number: int) -> datetime:
    return T + timedelta(seconds=number)


times = st.integers(0, 40).map(second)
answers = st.lists(times, max_size=6)
walks = st.lists(answers, max_size=6)


def walk(cutoff: Cutoff, given: list[list[datetime]]) -> int:
    """How many answers are read until one is past the cutoff."""
    for number, answer in enumerate(given, 1):
        if cutoff.is_past(answer):
            return number
        cutoff = cutoff.after(answer)
    return len(given)


@given(times, walks)
def test_a_list_in_order_is_read_down_past_the_cutoff_and_no_further(
    time: datetime, given: list[list[datetime]]
) -> None:
    ordered = sorted((one for answer in given for one in answer), reverse=True)
    in_order = [[ordered.pop(0) for _ in answer] for answer in given]
    read = walk(Cutoff(time), in_order)
    assert all(one < time for answer in in_order[read:] for one in answer)
    for answer in in_order[: read - 1]:
        assert not answer or max(answer) >= time


@given(times, walks)
def test_a_list_out_of_order_is_read_to_its_end(
    time: datetime, given: list[list[datetime]]
) -> None:
    """Unless an answer was past the cutoff before the disorder could be seen."""
    cutoff, seen = Cutoff(time), False
    for answer in given:
        if seen:
            assert not cutoff.is_past(answer)
        seen = seen or cutoff.is_out_of_order(answer)
        cutoff = cutoff.after(answer)
    assert (cutoff.time is None) == seen


@given(answers, answers)
def test_a_time_above_those_of_the_answer_before_is_out_of_order(
    first: list[datetime], second: list[datetime]
) -> None:
    assume(first and second)
    cutoff = Cutoff(None).after(first)
    falls = sorted(second, reverse=True)
    assert cutoff.is_out_of_order(falls) == (falls[0] > min(first))


@given(answers)
def test_a_walk_without_a_cutoff_is_never_past_it(answer: list[datetime]) -> None:
    assert not Cutoff(None).is_past(answer)


def test_an_answer_without_threads_proves_nothing() -> None:
    cutoff = Cutoff(second(5), oldest=second(9))
    assert not cutoff.is_past([])
    assert cutoff.after([]) == cutoff


def test_a_thread_at_the_cutoff_is_not_past_it() -> None:
    assert not Cutoff(second(5)).is_past([second(5), second(4)])
    assert Cutoff(second(5)).is_past([second(4), second(4)])


def test_a_resumed_walk_compares_with_the_oldest_time_of_the_last_run() -> None:
    assert Cutoff(second(5), oldest=second(3)).is_out_of_order([second(4)])


@given(answers, times)
def test_a_watermark_is_the_newest_time_and_never_later_than_the_answer(
    answer: list[datetime], answered_at: datetime
) -> None:
    watermark = next_watermark(answer, answered_at)
    if not answer:
        assert watermark is None
    else:
        assert watermark is not None
        assert watermark in (*answer, answered_at)
        assert watermark <= answered_at
        assert watermark <= max(answer)
