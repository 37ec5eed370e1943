"""Requested faults: when, where and how often they apply."""

from collections.abc import Callable
from typing import Any

import pytest
import requests

from graph_simulator import FAULT_TYPES, InvalidFault, World, create_app
from tests.conftest import Simulated
from tests.graph_simulator.faults import (
    test_limits,
    test_lists,
    test_malformed,
    test_tokens,
    test_transport,
    test_world_changes,
)
from tests.graph_simulator.graph_calls import error, get, get_list, get_messages, get_thread

CALLS: dict[str, Callable[[Simulated], requests.Response]] = {
    "conversations": get_list,
    "messages": get_messages,
    "thread": get_thread,
    "page": lambda simulated: get(simulated, simulated.page.id),
}


@pytest.fixture
def simulated(simulate: Callable[..., Simulated]) -> Simulated:
    return simulate(conversations=30, pages=2)


def request_fault(simulated: Simulated, body: Any) -> requests.Response:
    return requests.post(f"{simulated.url}/_simulator/faults", json=body, timeout=30)


def test_every_fault_has_a_test() -> None:
    tested = [
        *test_transport.ERRORS, *test_transport.INTERRUPTED, *test_transport.TOO_MUCH,
        *test_limits.LIMITS, *test_limits.OTHERS, *test_tokens.ERRORS, *test_tokens.OTHERS,
        *test_lists.NAMES, *test_world_changes.NAMES,
        *test_malformed.THREADS, *test_malformed.MESSAGES,
    ]  # fmt: skip
    assert sorted(tested) == sorted(FAULT_TYPES)


def test_a_request_is_returned_with_its_defaults(simulated: Simulated) -> None:
    response = request_fault(simulated, {"name": "stall", "after": 3, "edge": "thread"})
    assert response.status_code == 201
    assert response.json() == {
        "name": "stall",
        "page": None,
        "edge": "thread",
        "after": 3,
        "times": 1,
        "seconds": 30.0,
        "passed": 0,
        "hits": 0,
    }


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"name": "code_3"}, ["Unknown fault 'code_3'", "code_2", "unsorted"]),
        ({}, ["Unknown fault None", "code_2"]),
        ({"name": ["code_2"]}, ["Unknown fault ['code_2']"]),
        (["code_2"], ["an object with a name"]),
        ({"name": "code_2", "tims": 3}, ["tims", "page, edge, after, times"]),
        ({"name": "stall", "seconds": "long"}, ["seconds", "edge, after, times, seconds"]),
        ({"name": "code_2", "times": 0}, ["times"]),
        ({"name": "code_2", "after": -1}, ["after"]),
        ({"name": "code_2", "edge": "feed"}, ["edge", "'conversations', 'messages'"]),
        (
            {"name": "cursor_depth", "edge": "thread"},
            ["cannot apply to thread, only to: conversations"],
        ),
        ({"name": "code_2", "page": "7"}, ["Page 7 does not exist", "100000000000001"]),
        ({"name": "deletion", "thread": 30}, ["has a thread 30"]),
        (
            {"name": "app_limit", "hint": "soon"},
            ["hint", "'retry_after', 'date', 'nonsense', 'header' or 'none'"],
        ),
    ],
)
def test_an_invalid_request_is_refused_with_the_valid_values(
    simulated: Simulated, body: Any, words: list[str]
) -> None:
    response = request_fault(simulated, body)
    assert response.status_code == 400
    for word in words:
        assert word in response.json()["error"]["message"]
    assert simulated.admin("GET", "faults")["active"] == []


def test_a_body_that_is_not_json_is_refused(simulated: Simulated) -> None:
    response = requests.post(f"{simulated.url}/_simulator/faults", data="code_2", timeout=30)
    assert response.status_code == 400
    assert response.json() == {"error": {"message": "The body is not JSON."}}


def test_every_fault_has_a_description_of_its_own(simulated: Simulated) -> None:
    known = simulated.admin("GET", "faults")["known"]
    assert known.keys() == FAULT_TYPES.keys()
    descriptions = [one["description"] for one in known.values()]
    assert all(text and text.endswith(".") and "\n" not in text for text in descriptions)
    assert len({*descriptions}) == len(descriptions)
    assert known["too_much_data"]["parameters"] == {"weight": 1000}
    assert known["too_much_data"]["times"] is None
    assert known["too_much_data"]["edges"] == ["conversations", "messages", "thread"]


def test_a_fault_lets_calls_pass_and_then_applies_a_number_of_times(simulated: Simulated) -> None:
    simulated.fault("code_2", after=2, times=3)
    assert [get_list(simulated).ok for _ in range(7)] == [True] * 2 + [False] * 3 + [True] * 2
    status = simulated.admin("GET", "faults")
    assert status["active"] == []
    assert [(one["name"], one["passed"], one["hits"]) for one in status["spent"]] == [
        ("code_2", 2, 3)
    ]


@pytest.mark.parametrize("edge", CALLS)
def test_a_fault_applies_only_to_calls_of_its_edge(simulated: Simulated, edge: str) -> None:
    simulated.fault("permission_missing", edge=edge)
    refused = {name for name, call in CALLS.items() if not call(simulated).ok}
    assert refused == {edge}


def test_a_fault_applies_only_to_calls_of_its_page(simulated: Simulated) -> None:
    simulated.fault("code_2", page=simulated.pages[1].id)
    assert get_list(simulated).ok
    assert error(get_list(simulated, page=1)) == (500, 2, None)


def test_two_faults_apply_in_the_order_of_their_requests(simulated: Simulated) -> None:
    simulated.fault("code_2")
    simulated.fault("html")
    assert [get_list(simulated).status_code for _ in range(3)] == [500, 502, 200]


def test_cleared_faults_no_longer_apply(simulated: Simulated) -> None:
    normal = get_list(simulated).json()
    for name in ("token_expired", "short_responses", "unsorted", "participants_null"):
        simulated.fault(name)
    assert not get_list(simulated).ok
    simulated.clear_faults()
    assert get_list(simulated).json() == normal
    status = simulated.admin("GET", "faults")
    assert (status["active"], status["spent"]) == ([], [])


def test_a_call_with_a_wrong_token_triggers_no_fault(simulated: Simulated) -> None:
    simulated.fault("code_2")
    response = requests.get(
        f"{simulated.url}/v26.0/me", headers={"Authorization": "Bearer EAAwrong"}, timeout=30
    )
    assert error(response) == (400, 190, None)
    assert simulated.hits("code_2") == 0


def test_create_app_takes_faults_and_refuses_invalid_ones() -> None:
    create_app(World(1, 1, 5), faults=[{"name": "code_2", "times": "3"}])
    with pytest.raises(InvalidFault, match="Unknown fault 'code_3'"):
        create_app(World(1, 1, 5), faults=[{"name": "code_3"}])
