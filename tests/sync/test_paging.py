"""Following the cursors of a list."""

from collections.abc import Iterable
from itertools import chain, cycle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messenger_pipeline.errors import UnexpectedAnswer
from messenger_pipeline.sync.paging import Pager


def follow(pager: Pager, cursors: Iterable[str], followed: list[str]) -> None:
    for cursor in cursors:
        followed.append(cursor)
        pager.advance(cursor)


@given(st.integers(0, 300), st.booleans())
def test_a_list_without_a_repeated_cursor_is_read_to_its_end(length: int, resumed: bool) -> None:
    pager = Pager("The list", "start" if resumed else None)
    for number in range(length):
        pager.advance(str(number))
        assert pager.after == str(number)
    assert not pager.at_end
    pager.advance(None)
    assert pager.at_end


@given(st.integers(0, 60), st.integers(1, 60), st.booleans())
def test_a_list_that_loops_is_detected_within_three_times_its_length(
    before: int, loop: int, resumed: bool
) -> None:
    cursors = chain(map(str, range(before)), cycle(f"loop {n}" for n in range(loop)))
    pager = Pager("The list", "start" if resumed else None)
    followed: list[str] = []
    with pytest.raises(UnexpectedAnswer, match="The list never ends"):
        follow(pager, cursors, followed)
    assert before + loop < len(followed) <= 3 * (before + loop) + 1


@given(st.integers(0, 40))
def test_a_cursor_that_does_not_move_is_detected_at_once(before: int) -> None:
    pager = Pager("The list", "start")
    for number in range(before):
        pager.advance(str(number))
    assert pager.after is not None
    with pytest.raises(UnexpectedAnswer):
        pager.advance(pager.after)


def test_a_list_that_leads_back_to_where_it_was_resumed_is_detected() -> None:
    pager = Pager("The list", "start")
    with pytest.raises(UnexpectedAnswer):
        pager.advance("start")
