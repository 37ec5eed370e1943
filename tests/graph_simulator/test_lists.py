"""Cursors that hold no more, and answers that are short, empty or withhold."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import Simulated
from tests.graph_simulator.asking import (
    after_of,
    ask_list,
    ask_messages,
    ask_thread,
    error,
    walk,
    walk_through,
)

NAMES = (
    "cursors_expire", "message_cursors_expire", "cursor_depth", "message_cursor_depth",
    "paging_without_cursors", "empty_with_next", "short_answers", "history_limit",
)  # fmt: skip


@pytest.fixture(params=["position", "offset"])
def simulated(simulate: Callable[..., Simulated], request: pytest.FixtureRequest) -> Simulated:
    simulated = simulate(conversations=30, cursors=request.param)
    simulated.world.lengthen(simulated.page, 0, 60)
    return simulated


def test_every_thread_is_listed_once(simulated: Simulated) -> None:
    listed = walk_through(simulated, 7)
    assert listed == [key.number for key in simulated.page.order]


def test_cursors_so_far_expire_and_new_ones_hold(simulated: Simulated) -> None:
    old = after_of(ask_list(simulated, limit=7).json())
    simulated.fault("cursors_expire", after=1)
    assert ask_list(simulated, after=old).ok, "one call with a cursor is to pass"
    assert ask_list(simulated).ok
    refused = ask_list(simulated, after=old)
    assert error(refused) == (400, 100, None)
    assert "Invalid cursors values" in refused.text
    new = after_of(ask_list(simulated, limit=7).json())
    assert ask_list(simulated, after=new).ok
    assert not ask_list(simulated, after=old).ok, "what expired stays so"


def test_cursors_of_messages_expire_too(simulated: Simulated) -> None:
    nested = ask_thread(simulated, fields="messages.limit(5){id}").json()["messages"]
    old = after_of(nested)
    of_list = after_of(ask_list(simulated, limit=7).json())
    simulated.fault("message_cursors_expire")
    assert error(ask_messages(simulated, after=old)) == (400, 100, None)
    new = after_of(ask_messages(simulated, limit=5).json())
    assert ask_messages(simulated, after=new).ok
    assert ask_list(simulated, after=of_list).ok


def test_a_cursor_of_one_list_is_none_of_another(simulated: Simulated) -> None:
    after = after_of(ask_list(simulated, limit=7).json())
    assert error(ask_messages(simulated, after=after)) == (400, 100, None)


def test_cursors_go_so_deep_and_no_deeper(simulated: Simulated) -> None:
    simulated.fault("cursor_depth", depth=14)
    first = after_of(ask_list(simulated, limit=7).json())
    second = after_of(ask_list(simulated, limit=7, after=first).json())
    third = after_of(ask_list(simulated, limit=7, after=second).json())
    refused = ask_list(simulated, limit=7, after=third)
    assert error(refused) == (400, 100, None)
    assert "The After Cursor specified exceeds the max limit" in refused.text
    assert simulated.hits("cursor_depth") == 1


def test_cursors_of_messages_go_so_deep_and_no_deeper(simulated: Simulated) -> None:
    simulated.fault("message_cursor_depth", depth=20)
    at_20 = after_of(ask_messages(simulated, limit=20).json())
    at_21 = after_of(ask_messages(simulated, limit=21).json())
    assert ask_messages(simulated, after=at_20).ok
    assert error(ask_messages(simulated, after=at_21)) == (400, 100, None)


def test_a_list_can_be_walked_by_next_alone(simulated: Simulated) -> None:
    simulated.fault("paging_without_cursors")
    fields = "id,messages.limit(2){id}"
    body = ask_list(simulated, limit=30, fields=fields).json()
    nested = [thread["messages"]["paging"] for thread in body["data"]]
    assert {name for paging in nested for name in paging} == {"next"}
    assert walk_through(simulated, 7) == [key.number for key in simulated.page.order]
    assert "cursors" not in ask_list(simulated, limit=7).json()["paging"]


@pytest.mark.parametrize("after", [0, 2])
def test_an_empty_answer_goes_on_where_it_was(simulated: Simulated, after: int) -> None:
    whole = walk(simulated, 7)
    simulated.fault("empty_with_next", edge="conversations", after=after, times=2)
    assert walk(simulated, 7) == [*whole[:after], [], [], *whole[after:]]


def test_an_empty_answer_has_another_cursor_than_the_one_before(simulated: Simulated) -> None:
    simulated.fault("empty_with_next", times=2)
    first = after_of(ask_list(simulated).json())
    second = after_of(ask_list(simulated, after=first).json())
    assert None not in (first, second)
    assert first != second


def test_an_empty_answer_of_messages_goes_on_too(simulated: Simulated) -> None:
    whole = ask_messages(simulated).json()["data"]
    simulated.fault("empty_with_next")
    body = ask_messages(simulated).json()
    assert body["data"] == []
    assert ask_messages(simulated, after=after_of(body)).json()["data"] == whole


def test_answers_have_a_third_of_what_was_asked_for(simulated: Simulated) -> None:
    whole = walk_through(simulated, 7)
    simulated.fault("short_answers")
    answers = walk(simulated, 12)
    assert {len(answer) for answer in answers[:-1]} == {4}
    assert [number for answer in answers for number in answer] == whole
    assert len(ask_messages(simulated, limit=9).json()["data"]) == 3


def messages(simulated: Simulated, **query: Any) -> Any:
    return ask_messages(simulated, fields="id,created_time,from", **query).json()


def test_older_messages_are_refused_as_if_they_were_deleted(simulated: Simulated) -> None:
    simulated.fault("history_limit", newest=20)
    nested = ask_thread(simulated, fields="messages.limit(25){id,from}").json()["messages"]
    assert len(nested["data"]) == 20
    assert error(ask_messages(simulated, after=after_of(nested))) == (400, 100, 33)
    some = messages(simulated, limit=15)
    rest = messages(simulated, limit=15, after=after_of(some))
    assert (len(some["data"]), len(rest["data"])) == (15, 5)
    assert error(ask_messages(simulated, after=after_of(rest))) == (400, 100, 33)
    short = next(n for n, length in enumerate(simulated.page.lengths) if 2 < length < 20)
    told = ask_thread(simulated, short, fields="messages.limit(25){id}").json()["messages"]
    assert len(told["data"]) == simulated.page.lengths[short]
    assert "next" not in told["paging"], "a short thread has nothing that is withheld"


def test_of_older_messages_the_ids_are_told(simulated: Simulated) -> None:
    everything = [message["id"] for message in messages(simulated, limit=100)["data"]]
    simulated.fault("history_limit", newest=20, style="ids")
    told = messages(simulated, limit=100)["data"]
    assert [message["id"] for message in told] == everything
    assert all({*message} == {"id", "created_time", "from"} for message in told[:20])
    assert all({*message} == {"id"} for message in told[20:])
    assert "next" not in messages(simulated, limit=100)["paging"]


def test_the_truth_has_what_is_withheld_and_can_leave_it_out(simulated: Simulated) -> None:
    world, page = simulated.world, simulated.page
    before = [*world.truth(page)]
    simulated.fault("history_limit", newest=20)
    assert [*world.truth(page)] == before
    told = [*world.truth(page, newest=20)]
    assert len(told) == sum(min(20, length) for length in page.lengths)
    told_ids = {row["message_id"] for row in told}
    assert {message["id"] for message in world.messages(page, 0, None, 20)} <= told_ids
