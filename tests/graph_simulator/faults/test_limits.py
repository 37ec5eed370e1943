"""Faults of rate limits: blocked calls, violations, and the headers that Meta sends."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pytest

from tests.conftest import Simulated
from tests.graph_simulator.graph_calls import error, get_list, get_thread

LIMITS = {
    "app_limit": (4, 1504022, "X-App-Usage"),
    "application_limit": (341, None, "X-App-Usage"),
    "token_limit": (17, None, "X-App-Usage"),
    "page_limit": (32, None, "X-Page-Usage"),
    "custom_limit": (613, 1996, "X-Page-Usage"),
    "messenger_limit": (80006, None, "X-Business-Use-Case-Usage"),
    "pages_limit": (80001, None, "X-Business-Use-Case-Usage"),
}
OTHERS = ("usage", "other_usage", "call_rate_limit")


@pytest.fixture
def simulated(simulate: Callable[..., Simulated]) -> Simulated:
    return simulate(conversations=30, pages=2)


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_refuses_every_call_of_its_scope_and_counts_violations(
    simulated: Simulated, name: str
) -> None:
    code, subcode, _ = LIMITS[name]
    simulated.fault(name, seconds=600, after=1, edge="conversations")
    assert get_list(simulated).ok
    first = get_list(simulated)
    assert error(first) == (400, code, subcode)
    assert int(first.headers["Retry-After"]) == 600
    assert simulated.violations() == 0, "the first refused call is no violation"
    assert error(get_thread(simulated)) == (400, code, subcode)
    of_the_app = name in ("app_limit", "application_limit")
    assert get_list(simulated, page=1).ok is not of_the_app
    assert simulated.violations() == (2 if of_the_app else 1)
    simulated.clear_faults()
    assert get_list(simulated).ok


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_is_reported_in_its_usage_header(simulated: Simulated, name: str) -> None:
    header = LIMITS[name][2]
    simulated.fault(name, seconds=600, hint="header")
    response = get_list(simulated)
    assert "Retry-After" not in response.headers
    usage = json.loads(response.headers[header])
    if header == "X-Business-Use-Case-Usage":
        [usage] = usage[simulated.page.id]
        assert usage["type"] == ("pages" if name == "pages_limit" else "messenger")
        assert usage["estimated_time_to_regain_access"] == 10
    assert usage["call_count"] == 100


def test_a_limit_can_announce_a_date_or_nonsense(simulated: Simulated) -> None:
    simulated.fault("page_limit", seconds=600, hint="date")
    ahead = parsedate_to_datetime(get_list(simulated).headers["Retry-After"]) - datetime.now(UTC)
    assert 590 < ahead.total_seconds() <= 601
    simulated.clear_faults()
    simulated.fault("page_limit", seconds=600, hint="nonsense")
    assert get_list(simulated).headers["Retry-After"] == "nan"


def test_the_business_id_of_another_use_case_stands_twice_in_the_header(
    simulated: Simulated,
) -> None:
    simulated.fault("other_usage", kind="ads_insights", minutes=60)
    header = get_list(simulated).headers["X-Business-Use-Case-Usage"]
    pairs = json.loads(header, object_pairs_hook=list)
    assert [key for key, _ in pairs] == [simulated.page.id] * 2
    assert [dict(usage)["type"] for _, [usage] in pairs] == ["ads_insights", "messenger"]


def test_a_limit_without_a_hint_sends_no_header(simulated: Simulated) -> None:
    simulated.fault("messenger_limit", hint="none")
    headers = get_list(simulated).headers
    assert not {"Retry-After", "X-Business-Use-Case-Usage"} & {*headers}


def test_a_limit_ends_after_its_seconds(simulated: Simulated) -> None:
    simulated.fault("page_limit", seconds=0.2)
    began = time.monotonic()
    while not get_list(simulated).ok:
        assert time.monotonic() - began < 60
    assert time.monotonic() - began >= 0.2


def test_a_limit_with_two_times_applies_again_after_the_first(simulated: Simulated) -> None:
    simulated.fault("page_limit", seconds=0.01, times=2)
    began = time.monotonic()
    while simulated.hits("page_limit") < 2:
        assert error(get_list(simulated))[1] == 32
        assert time.monotonic() - began < 60


@pytest.mark.parametrize(
    ("scope", "header"),
    [
        ("app", "X-App-Usage"),
        ("page", "X-Page-Usage"),
        ("business", "X-Business-Use-Case-Usage"),
    ],
)
def test_successes_and_errors_report_usage(simulated: Simulated, scope: str, header: str) -> None:
    simulated.fault("usage", percent=93, scope=scope)
    simulated.fault("code_2", after=1)
    for status in (200, 500, 200):
        response = get_list(simulated)
        assert response.status_code == status
        usage = json.loads(response.headers[header])
        one = usage[simulated.page.id][0] if scope == "business" else usage
        assert one["call_count"] == 93


def test_calls_above_the_rate_are_refused_and_counted(simulated: Simulated) -> None:
    simulated.fault("call_rate_limit", calls_per_second=1, slack=1)
    assert [get_list(simulated).ok for _ in range(2)] == [True, True]
    began = time.monotonic()
    while (answer := get_list(simulated)).ok:  # the next one came a second later
        assert time.monotonic() - began < 60
    assert error(answer) == (400, 613, 1996)
    assert get_list(simulated, page=1).ok, "each page has its own limit"
    assert simulated.violations() == 1


def test_the_call_log_has_the_times_of_calls(simulated: Simulated) -> None:
    began = time.monotonic()
    for page in (0, 1, 0):
        get_list(simulated, page)
    log = simulated.admin("GET", "calls")
    times = log["times"][simulated.page.id]
    assert log["by_page"] == {simulated.pages[0].id: 2, simulated.pages[1].id: 1}
    assert began <= times[0] < log["times"][simulated.pages[1].id][0] < times[1]
