"""Faults are ordered by name: when, where and how often they happen."""

from collections.abc import Callable
from typing import Any

import pytest
import requests

from graph_simulator import KINDS, UnknownFault, World, create_app
from tests.conftest import Simulated
from tests.graph_simulator import (
    test_changes,
    test_lists,
    test_malformed,
    test_quota,
    test_tokens,
    test_transport,
)
from tests.graph_simulator.asking import ask, ask_list, ask_messages, ask_thread, error

OUTSIDE: dict[str, Callable[[Simulated], requests.Response]] = {
    "conversations": ask_list,
    "messages": ask_messages,
    "thread": ask_thread,
    "page": lambda simulated: ask(simulated, simulated.page.id),
}


@pytest.fixture
def simulated(simulate: Callable[..., Simulated]) -> Simulated:
    return simulate(conversations=30, pages=2)


def order(simulated: Simulated, asked: Any) -> requests.Response:
    return requests.post(f"{simulated.url}/_simulator/faults", json=asked, timeout=30)


def test_every_fault_has_its_test() -> None:
    tested = [
        *test_transport.SEEN, *test_transport.CUT, *test_transport.TOO_MUCH, *test_quota.LIMITS,
        *test_quota.OTHERS, *test_tokens.ANSWERS, *test_tokens.OTHERS, *test_lists.NAMES,
        *test_changes.NAMES, *test_malformed.THREADS, *test_malformed.MESSAGES,
    ]  # fmt: skip
    assert sorted(tested) == sorted(KINDS)


def test_an_order_is_told_with_its_defaults(simulated: Simulated) -> None:
    answer = order(simulated, {"name": "stall", "after": 3, "edge": "thread"})
    assert answer.status_code == 201
    assert answer.json() == {
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
    ("asked", "words"),
    [
        ({"name": "code_3"}, ["no fault 'code_3'", "code_2", "unsorted"]),
        ({}, ["no fault None", "code_2"]),
        ({"name": ["code_2"]}, ["no fault ['code_2']"]),
        (["code_2"], ["an object with its name"]),
        ({"name": "code_2", "tims": 3}, ["tims", "page, edge, after, times"]),
        ({"name": "stall", "seconds": "long"}, ["seconds", "edge, after, times, seconds"]),
        ({"name": "code_2", "times": 0}, ["times"]),
        ({"name": "code_2", "after": -1}, ["after"]),
        ({"name": "code_2", "edge": "feed"}, ["edge", "'conversations', 'messages'"]),
        ({"name": "cursor_depth", "edge": "thread"}, ["only at: conversations"]),
        ({"name": "code_2", "page": "7"}, ["no page 7", "100000000000001"]),
        ({"name": "deletion", "thread": 30}, ["has a thread 30"]),
        ({"name": "app_limit", "told": "softly"}, ["told", "'retry_after', 'header' or 'no'"]),
    ],
)
def test_what_cannot_be_ordered_is_refused_with_what_can(
    simulated: Simulated, asked: Any, words: list[str]
) -> None:
    answer = order(simulated, asked)
    assert answer.status_code == 400
    for word in words:
        assert word in answer.json()["error"]["message"]
    assert simulated.backstage("GET", "faults")["active"] == []


def test_no_json_is_refused(simulated: Simulated) -> None:
    answer = requests.post(f"{simulated.url}/_simulator/faults", data="code_2", timeout=30)
    assert (answer.status_code, answer.json()) == (400, {"error": {"message": "This is no JSON."}})


def test_every_fault_is_told_with_one_description(simulated: Simulated) -> None:
    known = simulated.backstage("GET", "faults")["known"]
    assert known.keys() == KINDS.keys()
    tells = [one["tells"] for one in known.values()]
    assert all(text and text.endswith(".") and "\n" not in text for text in tells)
    assert len({*tells}) == len(tells)
    assert known["too_much_data"]["parameters"] == {"weight": 1000}
    assert known["too_much_data"]["times"] is None
    assert known["too_much_data"]["edges"] == ["conversations", "messages", "thread"]


def test_some_calls_pass_and_then_some_are_hit(simulated: Simulated) -> None:
    simulated.fault("code_2", after=2, times=3)
    assert [ask_list(simulated).ok for _ in range(7)] == [True] * 2 + [False] * 3 + [True] * 2
    told = simulated.backstage("GET", "faults")
    assert told["active"] == []
    assert [(one["name"], one["passed"], one["hits"]) for one in told["spent"]] == [
        ("code_2", 2, 3)
    ]


@pytest.mark.parametrize("edge", OUTSIDE)
def test_only_calls_of_the_edge_are_hit(simulated: Simulated, edge: str) -> None:
    simulated.fault("permission_missing", edge=edge)
    refused = {name for name, call in OUTSIDE.items() if not call(simulated).ok}
    assert refused == {edge}


def test_only_calls_of_the_page_are_hit(simulated: Simulated) -> None:
    simulated.fault("code_2", page=simulated.pages[1].id)
    assert ask_list(simulated).ok
    assert error(ask_list(simulated, page=1)) == (500, 2, None)


def test_faults_happen_one_after_the_other(simulated: Simulated) -> None:
    simulated.fault("code_2")
    simulated.fault("html")
    assert [ask_list(simulated).status_code for _ in range(3)] == [500, 502, 200]


def test_cleared_faults_happen_no_more(simulated: Simulated) -> None:
    sound = ask_list(simulated).json()
    for name in ("token_expired", "short_answers", "unsorted", "participants_null"):
        simulated.fault(name)
    assert not ask_list(simulated).ok
    simulated.clear_faults()
    assert ask_list(simulated).json() == sound
    told = simulated.backstage("GET", "faults")
    assert (told["active"], told["spent"]) == ([], [])


def test_a_call_without_the_right_token_meets_no_fault(simulated: Simulated) -> None:
    simulated.fault("code_2")
    answer = requests.get(
        f"{simulated.url}/v26.0/me", headers={"Authorization": "Bearer EAAwrong"}, timeout=30
    )
    assert error(answer) == (400, 190, None)
    assert simulated.hits("code_2") == 0


def test_faults_can_be_ordered_before_the_first_call() -> None:
    create_app(World(1, 1, 5), faults=[{"name": "code_2", "times": "3"}])
    with pytest.raises(UnknownFault, match="no fault 'code_3'"):
        create_app(World(1, 1, 5), faults=[{"name": "code_3"}])
