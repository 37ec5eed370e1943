"""Faults of lists: expired cursors, and short, empty or incomplete responses."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import Simulated
from tests.graph_simulator.graph_calls import (
    error,
    get_list,
    get_messages,
    get_thread,
    next_cursor,
    walk,
    walk_flat,
)

NAMES = (
    "cursors_expire", "message_cursors_expire", "cursor_depth", "message_cursor_depth",
    "paging_without_cursors", "empty_with_next", "short_responses", "history_limit",
)  # fmt: skip


@pytest.fixture(params=["position", "offset"])
def simulated(simulate: Callable[..., Simulated], request: pytest.FixtureRequest) -> Simulated:
    simulated = simulate(conversations=30, cursors=request.param)
    simulated.world.lengthen(simulated.page, 0, 60)
    return simulated


def test_every_thread_is_listed_once(simulated: Simulated) -> None:
    listed = walk_flat(simulated, 7)
    assert listed == [key.number for key in simulated.page.order]


def test_issued_cursors_expire_and_new_ones_are_valid(simulated: Simulated) -> None:
    old = next_cursor(get_list(simulated, limit=7).json())
    simulated.fault("cursors_expire", after=1)
    assert get_list(simulated, after=old).ok, "the fault lets one call with a cursor pass"
    assert get_list(simulated).ok
    refused = get_list(simulated, after=old)
    assert error(refused) == (400, 100, None)
    assert "Invalid cursors values" in refused.text
    new = next_cursor(get_list(simulated, limit=7).json())
    assert get_list(simulated, after=new).ok
    assert not get_list(simulated, after=old).ok, "an expired cursor stays invalid"


def test_issued_message_cursors_expire_and_new_ones_are_valid(simulated: Simulated) -> None:
    nested = get_thread(simulated, fields="messages.limit(5){id}").json()["messages"]
    old = next_cursor(nested)
    of_list = next_cursor(get_list(simulated, limit=7).json())
    simulated.fault("message_cursors_expire")
    assert error(get_messages(simulated, after=old)) == (400, 100, None)
    new = next_cursor(get_messages(simulated, limit=5).json())
    assert get_messages(simulated, after=new).ok
    assert get_list(simulated, after=of_list).ok


def test_a_cursor_of_one_list_is_invalid_in_another(simulated: Simulated) -> None:
    after = next_cursor(get_list(simulated, limit=7).json())
    assert error(get_messages(simulated, after=after)) == (400, 100, None)


def test_cursors_beyond_the_depth_are_refused(simulated: Simulated) -> None:
    simulated.fault("cursor_depth", depth=14)
    first = next_cursor(get_list(simulated, limit=7).json())
    second = next_cursor(get_list(simulated, limit=7, after=first).json())
    third = next_cursor(get_list(simulated, limit=7, after=second).json())
    refused = get_list(simulated, limit=7, after=third)
    assert error(refused) == (400, 100, None)
    assert "The After Cursor specified exceeds the max limit" in refused.text
    assert simulated.hits("cursor_depth") == 1


def test_message_cursors_beyond_the_depth_are_refused(simulated: Simulated) -> None:
    simulated.fault("message_cursor_depth", depth=20)
    at_20 = next_cursor(get_messages(simulated, limit=20).json())
    at_21 = next_cursor(get_messages(simulated, limit=21).json())
    assert get_messages(simulated, after=at_20).ok
    assert error(get_messages(simulated, after=at_21)) == (400, 100, None)


def test_a_list_without_cursors_can_be_walked_by_next(simulated: Simulated) -> None:
    simulated.fault("paging_without_cursors")
    fields = "id,messages.limit(2){id}"
    body = get_list(simulated, limit=30, fields=fields).json()
    nested = [thread["messages"]["paging"] for thread in body["data"]]
    assert {name for paging in nested for name in paging} == {"next"}
    assert walk_flat(simulated, 7) == [key.number for key in simulated.page.order]
    assert "cursors" not in get_list(simulated, limit=7).json()["paging"]


@pytest.mark.parametrize("after", [0, 2])
def test_an_empty_response_continues_at_the_same_position(simulated: Simulated, after: int) -> None:
    whole = walk(simulated, 7)
    simulated.fault("empty_with_next", edge="conversations", after=after, times=2)
    assert walk(simulated, 7) == [*whole[:after], [], [], *whole[after:]]


def test_two_empty_responses_have_different_cursors(simulated: Simulated) -> None:
    simulated.fault("empty_with_next", times=2)
    first = next_cursor(get_list(simulated).json())
    second = next_cursor(get_list(simulated, after=first).json())
    assert None not in (first, second)
    assert first != second


def test_an_empty_response_of_messages_continues_at_the_same_position(simulated: Simulated) -> None:
    whole = get_messages(simulated).json()["data"]
    simulated.fault("empty_with_next")
    body = get_messages(simulated).json()
    assert body["data"] == []
    assert get_messages(simulated, after=next_cursor(body)).json()["data"] == whole


def test_short_responses_have_a_third_of_the_limit(simulated: Simulated) -> None:
    whole = walk_flat(simulated, 7)
    simulated.fault("short_responses")
    responses = walk(simulated, 12)
    assert {len(response) for response in responses[:-1]} == {4}
    assert [number for response in responses for number in response] == whole
    assert len(get_messages(simulated, limit=9).json()["data"]) == 3


def messages(simulated: Simulated, **query: Any) -> Any:
    return get_messages(simulated, fields="id,created_time,from", **query).json()


def test_older_messages_are_refused_as_if_they_were_deleted(simulated: Simulated) -> None:
    simulated.fault("history_limit", newest=20)
    nested = get_thread(simulated, fields="messages.limit(25){id,from}").json()["messages"]
    assert len(nested["data"]) == 20
    assert error(get_messages(simulated, after=next_cursor(nested))) == (400, 100, 33)
    some = messages(simulated, limit=15)
    rest = messages(simulated, limit=15, after=next_cursor(some))
    assert (len(some["data"]), len(rest["data"])) == (15, 5)
    assert error(get_messages(simulated, after=next_cursor(rest))) == (400, 100, 33)
    short = next(n for n, length in enumerate(simulated.page.lengths) if 2 < length < 20)
    listed = get_thread(simulated, short, fields="messages.limit(25){id}").json()["messages"]
    assert len(listed["data"]) == simulated.page.lengths[short]
    assert "next" not in listed["paging"], "a short thread is complete"


def test_older_messages_have_only_ids(simulated: Simulated) -> None:
    everything = [message["id"] for message in messages(simulated, limit=100)["data"]]
    simulated.fault("history_limit", newest=20, style="ids")
    listed = messages(simulated, limit=100)["data"]
    assert [message["id"] for message in listed] == everything
    assert all({*message} == {"id", "created_time", "from"} for message in listed[:20])
    assert all({*message} == {"id"} for message in listed[20:])
    assert "next" not in messages(simulated, limit=100)["paging"]


def test_the_truth_includes_withheld_messages_unless_limited_to_the_newest(
    simulated: Simulated,
) -> None:
    world, page = simulated.world, simulated.page
    before = [*world.truth(page)]
    simulated.fault("history_limit", newest=20)
    assert [*world.truth(page)] == before
    listed = [*world.truth(page, newest=20)]
    assert len(listed) == sum(min(20, length) for length in page.lengths)
    listed_ids = {row["message_id"] for row in listed}
    assert {message["id"] for message in world.messages(page, 0, None, 20)} <= listed_ids
