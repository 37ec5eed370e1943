"""Faults of the transport, as a client sees them."""

from collections.abc import Callable
from typing import Any

import pytest
import requests

from tests.conftest import Simulated
from tests.graph_simulator.graph_calls import error, get_list, get_messages, get_thread

JSON = "application/json"

ERRORS: dict[str, tuple[int, str, int | None]] = {
    "http_500": (500, JSON, None),
    "code_1": (500, JSON, 1),
    "code_2": (500, JSON, 2),
    "temporary_code": (400, JSON, -1),
    "marked_transient": (400, JSON, 100),
    "error_with_200": (200, JSON, 2),
    "html": (502, "text/html; charset=utf-8", None),
    "html_200": (200, "text/html; charset=utf-8", None),
}
INTERRUPTED = ("connection_dropped", "truncated_body", "truncated_json", "stall")
TOO_MUCH = ("too_much_data", "list_refused", "large_request_fails", "limit_refused")


@pytest.fixture
def simulated(simulate: Callable[..., Simulated]) -> Simulated:
    return simulate(conversations=30)


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_comes_once_with_its_status_type_and_code(simulated: Simulated, name: str) -> None:
    simulated.fault(name)
    response = get_list(simulated)
    status, media_type, code = ERRORS[name]
    assert (response.status_code, response.headers["Content-Type"]) == (status, media_type)
    if media_type == JSON:
        assert response.json()["error"].get("code") == code
    assert get_list(simulated).json()["data"]


def test_a_dropped_connection_sends_no_byte(simulated: Simulated) -> None:
    simulated.fault("connection_dropped")
    with pytest.raises(requests.ConnectionError, match="without response"):
        get_list(simulated)
    assert get_list(simulated).ok


def test_a_truncated_body_ends_in_the_middle(simulated: Simulated) -> None:
    whole = get_list(simulated)
    simulated.fault("truncated_body")
    with pytest.raises(requests.exceptions.ChunkedEncodingError) as caught:
        get_list(simulated)
    half = len(whole.content) // 2
    assert f"({half} bytes read" in str(caught.value)
    assert get_list(simulated).content == whole.content


def test_truncated_json_is_a_complete_http_response(simulated: Simulated) -> None:
    whole = get_list(simulated)
    simulated.fault("truncated_json")
    response = get_list(simulated)
    assert response.ok
    assert response.content == whole.content[: len(whole.content) // 2]
    assert int(response.headers["Content-Length"]) == len(response.content)


def test_a_stall_outlasts_the_timeout_of_a_client_but_delays_no_other_call(
    simulated: Simulated,
) -> None:
    """The simulator stops with the test, not after the stall."""
    simulated.fault("stall", seconds=600)
    with pytest.raises(requests.Timeout):
        get_list(simulated, timeout=0.2)
    assert get_list(simulated).ok


def test_a_stall_ends_with_a_normal_response(simulated: Simulated) -> None:
    simulated.fault("stall", seconds=0.01)
    assert get_list(simulated).json()["data"]
    assert simulated.hits("stall") == 1


@pytest.mark.parametrize(
    ("query", "heavy"),
    [
        ({"limit": 100}, False),
        ({"limit": 101}, True),
        ({"limit": 20, "fields": "id,messages.limit(4){id}"}, False),
        ({"limit": 20, "fields": "id,messages.limit(5){id}"}, True),
    ],
)
def test_too_much_data_counts_threads_and_their_messages(
    simulated: Simulated, query: dict[str, Any], heavy: bool
) -> None:
    simulated.fault("too_much_data", weight=100)
    response = get_list(simulated, **query)
    assert response.ok is not heavy
    if heavy:
        assert error(response) == (500, 1, None)
        assert "Please reduce the amount of data" in response.text


def test_too_much_data_applies_to_messages_and_single_threads(simulated: Simulated) -> None:
    simulated.fault("too_much_data", weight=50)
    assert error(get_messages(simulated, limit=51)) == (500, 1, None)
    assert get_messages(simulated, limit=50).ok
    assert error(get_thread(simulated, fields="messages.limit(50){id}")) == (500, 1, None)
    assert get_thread(simulated, fields="messages.limit(49){id}").ok


def test_a_refused_list_fails_at_any_page_size_but_threads_still_work(
    simulated: Simulated,
) -> None:
    simulated.fault("list_refused")
    for _ in range(3):
        response = get_list(simulated, limit=1)
        assert error(response) == (500, 1, None)
        assert "Please reduce the amount of data" in response.text
    assert get_thread(simulated).ok
    assert get_messages(simulated).ok


@pytest.mark.parametrize(
    ("style", "expected"),
    [("code_2", (500, 2, None)), ("code_1_99", (500, 1, 99)), ("code_minus_3", (400, -3, None))],
)
def test_a_large_request_fails_with_an_error_that_does_not_name_the_size(
    simulated: Simulated, style: str, expected: Any
) -> None:
    simulated.fault("large_request_fails", weight=10, style=style)
    for _ in range(3):
        assert error(get_list(simulated, limit=11)) == expected
    assert get_list(simulated, limit=10).ok


def test_a_large_request_can_fail_in_a_gateway_or_stall(simulated: Simulated) -> None:
    simulated.fault("large_request_fails", weight=10, style="html_504")
    response = get_list(simulated, limit=11)
    assert (response.status_code, "504 Gateway" in response.text) == (504, True)
    simulated.clear_faults()
    simulated.fault("large_request_fails", weight=10, style="stall")
    with pytest.raises(requests.Timeout):
        get_list(simulated, limit=11, timeout=0.2)
    assert get_list(simulated, limit=10).ok


def test_a_refused_limit_is_named(simulated: Simulated) -> None:
    simulated.fault("limit_refused", maximum=100)
    assert error(get_list(simulated, limit=101)) == (400, 100, None)
    assert "'limit' parameter should not exceed 100" in get_list(simulated, limit=101).text
    assert get_list(simulated, limit=100).ok
