"""Service trouble, as a client sees it."""

from collections.abc import Callable
from typing import Any

import pytest
import requests

from tests.conftest import Simulated
from tests.graph_simulator.asking import ask_list, ask_messages, ask_thread, error

JSON = "application/json"

SEEN: dict[str, tuple[int, str, int | None]] = {
    "http_500": (500, JSON, None),
    "code_1": (500, JSON, 1),
    "code_2": (500, JSON, 2),
    "error_under_200": (200, JSON, 2),
    "html": (502, "text/html; charset=utf-8", None),
    "html_200": (200, "text/html; charset=utf-8", None),
}
CUT = ("connection_cut", "body_cut", "json_cut", "stall")
TOO_MUCH = ("too_much_data", "list_refused")


@pytest.fixture
def simulated(simulate: Callable[..., Simulated]) -> Simulated:
    return simulate(conversations=30)


@pytest.mark.parametrize("name", SEEN)
def test_trouble_comes_once_with_its_status_type_and_code(simulated: Simulated, name: str) -> None:
    simulated.fault(name)
    answer = ask_list(simulated)
    status, media_type, code = SEEN[name]
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, media_type)
    if media_type == JSON:
        assert answer.json()["error"].get("code") == code
    assert ask_list(simulated).json()["data"]


def test_a_connection_is_cut_without_a_byte(simulated: Simulated) -> None:
    simulated.fault("connection_cut")
    with pytest.raises(requests.ConnectionError, match="without response"):
        ask_list(simulated)
    assert ask_list(simulated).ok


def test_a_connection_is_cut_in_the_middle_of_the_body(simulated: Simulated) -> None:
    whole = ask_list(simulated)
    simulated.fault("body_cut")
    with pytest.raises(requests.exceptions.ChunkedEncodingError) as caught:
        ask_list(simulated)
    half = len(whole.content) // 2
    assert f"({half} bytes read" in str(caught.value)
    assert ask_list(simulated).content == whole.content


def test_json_is_cut_within_sound_http(simulated: Simulated) -> None:
    whole = ask_list(simulated)
    simulated.fault("json_cut")
    answer = ask_list(simulated)
    assert answer.ok
    assert answer.content == whole.content[: len(whole.content) // 2]
    assert int(answer.headers["Content-Length"]) == len(answer.content)


def test_a_stall_outlasts_the_patience_of_a_client_and_nothing_else(simulated: Simulated) -> None:
    """The simulator ends with the test, not after the stall."""
    simulated.fault("stall", seconds=600)
    with pytest.raises(requests.Timeout):
        ask_list(simulated, timeout=0.2)
    assert ask_list(simulated).ok


def test_a_stall_ends_in_a_sound_answer(simulated: Simulated) -> None:
    simulated.fault("stall", seconds=0.01)
    assert ask_list(simulated).json()["data"]
    assert simulated.hits("stall") == 1


@pytest.mark.parametrize(
    ("asked", "heavy"),
    [
        ({"limit": 100}, False),
        ({"limit": 101}, True),
        ({"limit": 20, "fields": "id,messages.limit(4){id}"}, False),
        ({"limit": 20, "fields": "id,messages.limit(5){id}"}, True),
    ],
)
def test_too_much_data_counts_threads_and_their_messages(
    simulated: Simulated, asked: dict[str, Any], heavy: bool
) -> None:
    simulated.fault("too_much_data", weight=100)
    answer = ask_list(simulated, **asked)
    assert answer.ok is not heavy
    if heavy:
        assert error(answer) == (500, 1, None)
        assert "Please reduce the amount of data" in answer.text


def test_too_much_data_concerns_messages_and_single_threads_too(simulated: Simulated) -> None:
    simulated.fault("too_much_data", weight=50)
    assert error(ask_messages(simulated, limit=51)) == (500, 1, None)
    assert ask_messages(simulated, limit=50).ok
    assert error(ask_thread(simulated, fields="messages.limit(50){id}")) == (500, 1, None)
    assert ask_thread(simulated, fields="messages.limit(49){id}").ok


def test_a_list_is_refused_however_little_is_asked_for_but_threads_are_not(
    simulated: Simulated,
) -> None:
    simulated.fault("list_refused")
    for _ in range(3):
        answer = ask_list(simulated, limit=1)
        assert error(answer) == (500, 1, None)
        assert "Please reduce the amount of data" in answer.text
    assert ask_thread(simulated).ok
    assert ask_messages(simulated).ok
