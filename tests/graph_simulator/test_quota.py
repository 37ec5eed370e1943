"""Quotas: refused until a time, counted, and told in every way that Meta tells."""

import json
import time
from collections.abc import Callable

import pytest

from tests.conftest import Simulated
from tests.graph_simulator.asking import ask_list, ask_thread, error

LIMITS = {
    "app_limit": (4, 1504022, "X-App-Usage"),
    "token_limit": (17, None, "X-App-Usage"),
    "page_limit": (32, None, "X-Page-Usage"),
    "custom_limit": (613, 1996, "X-Page-Usage"),
    "messenger_limit": (80006, None, "X-Business-Use-Case-Usage"),
    "pages_limit": (80001, None, "X-Business-Use-Case-Usage"),
}
OTHERS = ("usage", "speed_limit")


@pytest.fixture
def simulated(simulate: Callable[..., Simulated]) -> Simulated:
    return simulate(conversations=30, pages=2)


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_refuses_every_call_of_its_scope_and_counts_those_that_come(
    simulated: Simulated, name: str
) -> None:
    code, subcode, _ = LIMITS[name]
    simulated.fault(name, seconds=600, after=1, edge="conversations")
    assert ask_list(simulated).ok
    first = ask_list(simulated)
    assert error(first) == (400, code, subcode)
    assert int(first.headers["Retry-After"]) == 600
    assert simulated.violations() == 0, "nobody knew"
    assert error(ask_thread(simulated)) == (400, code, subcode)
    assert ask_list(simulated, page=1).ok is (name != "app_limit")
    assert simulated.violations() == (2 if name == "app_limit" else 1)
    simulated.clear_faults()
    assert ask_list(simulated).ok


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_is_told_in_its_usage_header(simulated: Simulated, name: str) -> None:
    header = LIMITS[name][2]
    simulated.fault(name, seconds=600, told="header")
    answer = ask_list(simulated)
    assert "Retry-After" not in answer.headers
    told = json.loads(answer.headers[header])
    if header == "X-Business-Use-Case-Usage":
        [told] = told[simulated.page.id]
        assert told["type"] == ("pages" if name == "pages_limit" else "messenger")
        assert told["estimated_time_to_regain_access"] == 10
    assert told["call_count"] == 100


def test_a_limit_may_be_told_by_nothing(simulated: Simulated) -> None:
    simulated.fault("messenger_limit", told="no")
    headers = ask_list(simulated).headers
    assert not {"Retry-After", "X-Business-Use-Case-Usage"} & {*headers}


def test_a_limit_ends_when_its_time_is_over(simulated: Simulated) -> None:
    simulated.fault("page_limit", seconds=0.2)
    began = time.monotonic()
    while not ask_list(simulated).ok:
        assert time.monotonic() - began < 10
    assert time.monotonic() - began >= 0.2


def test_a_limit_ordered_twice_stands_again_when_the_first_is_over(simulated: Simulated) -> None:
    simulated.fault("page_limit", seconds=0.01, times=2)
    began = time.monotonic()
    while simulated.hits("page_limit") < 2:
        assert error(ask_list(simulated))[1] == 32
        assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("scope", "header"),
    [
        ("app", "X-App-Usage"),
        ("page", "X-Page-Usage"),
        ("business", "X-Business-Use-Case-Usage"),
    ],
)
def test_usage_is_told_with_successes_and_errors(
    simulated: Simulated, scope: str, header: str
) -> None:
    simulated.fault("usage", percent=93, scope=scope)
    simulated.fault("code_2", after=1)
    for status in (200, 500, 200):
        answer = ask_list(simulated)
        assert answer.status_code == status
        told = json.loads(answer.headers[header])
        one = told[simulated.page.id][0] if scope == "business" else told
        assert one["call_count"] == 93


def test_calls_faster_than_allowed_are_refused_and_counted(simulated: Simulated) -> None:
    simulated.fault("speed_limit", calls_per_second=1, slack=1)
    assert [ask_list(simulated).ok for _ in range(2)] == [True, True]
    assert error(ask_list(simulated)) == (400, 613, 1996)
    assert ask_list(simulated, page=1).ok, "the limit is each page's"
    assert simulated.violations() == 1


def test_when_calls_came_is_told(simulated: Simulated) -> None:
    began = time.monotonic()
    for page in (0, 1, 0):
        ask_list(simulated, page)
    told = simulated.backstage("GET", "calls")
    times = told["times"][simulated.page.id]
    assert told["by_page"] == {simulated.pages[0].id: 2, simulated.pages[1].id: 1}
    assert began <= times[0] < told["times"][simulated.pages[1].id][0] < times[1]
