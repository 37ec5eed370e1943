"""Responses of the simulated API, compared with Meta's reference."""

import json
from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

from tests.conftest import Simulated


def get(simulated: Simulated, path: str, token: str | None = None, **query: Any) -> Any:
    request = Request(f"{simulated.url}/v26.0/{path}?{urlencode(query)}")  # noqa: S310
    request.add_header("Authorization", f"Bearer {token or simulated.page.token}")
    with urlopen(request) as response:  # noqa: S310
        return json.load(response)


def error_of(simulated: Simulated, path: str, **query: Any) -> Any:
    with pytest.raises(HTTPError) as caught:
        get(simulated, path, **query)
    with caught.value:
        return json.load(caught.value)["error"]


@pytest.fixture
def simulated(simulate: Callable[..., Simulated]) -> Simulated:
    return simulate(conversations=30, pages=2)


def test_the_list_is_paged_to_its_end(simulated: Simulated) -> None:
    path = f"{simulated.page.id}/conversations"
    seen: list[Any] = []
    after: dict[str, str] = {}
    while True:
        body = get(simulated, path, fields="id,updated_time", limit=7, **after)
        seen += body["data"]
        if "next" not in body["paging"]:
            break
        assert simulated.page.token in body["paging"]["next"]
        after = {"after": body["paging"]["cursors"]["after"]}
    assert len({thread["id"] for thread in seen}) == 30
    times = [thread["updated_time"] for thread in seen]
    assert times == sorted(times, reverse=True)


def test_responses_have_only_the_requested_fields(simulated: Simulated) -> None:
    fields = "id,updated_time,message_count,participants,messages.limit(2){id,created_time,from}"
    body = get(simulated, f"{simulated.page.id}/conversations", fields=fields, limit=30)
    assert {*body["data"][0]} == {"id", "updated_time", "message_count", "participants", "messages"}
    for thread in body["data"]:
        messages = thread["messages"]["data"]
        assert len(messages) == min(2, thread["message_count"])
        assert all({*message} == {"id", "created_time", "from"} for message in messages)


def test_the_nested_cursor_continues_a_threads_history(simulated: Simulated) -> None:
    page = simulated.page
    number = page.lengths.index(max(page.lengths))
    thread_id = simulated.world.thread_id(page, number)
    thread = get(simulated, thread_id, fields="messages.limit(3){id}")
    seen = [message["id"] for message in thread["messages"]["data"]]
    paging = thread["messages"]["paging"]
    while "next" in paging:
        after = paging["cursors"]["after"]
        body = get(simulated, f"{thread_id}/messages", fields="id", limit=5, after=after)
        seen += [message["id"] for message in body["data"]]
        paging = body["paging"]
    assert seen == [m["id"] for m in simulated.world.messages(page, number, None, 10_000)]


def test_wrong_calls_return_metas_error_codes(simulated: Simulated) -> None:
    page, other = simulated.pages
    assert error_of(simulated, page.id, token="EAAwrong")["code"] == 190
    assert error_of(simulated, f"{other.id}/conversations")["code"] == 200
    assert error_of(simulated, "t_1/messages")["error_subcode"] == 33
    assert error_of(simulated, f"{page.id}/conversations", fields="nonsense")["code"] == 100
    assert error_of(simulated, f"{page.id}/conversations", limit="x")["code"] == 100
    assert error_of(simulated, f"{page.id}/conversations", after="x")["code"] == 100
    page.access = "expired"
    assert error_of(simulated, page.id)["error_subcode"] == 463
    page.access = "revoked"
    assert error_of(simulated, page.id)["code"] == 230


def test_a_new_message_moves_its_thread_to_the_head_of_the_list(simulated: Simulated) -> None:
    body = {"page": simulated.page.id, "text": "hello"}
    thread_id = simulated.world.thread_id(simulated.page, 12)
    for thread in ({"thread": thread_id}, {}):
        request = Request(  # noqa: S310
            f"{simulated.url}/_simulator/messages", json.dumps({**body, **thread}).encode()
        )
        with urlopen(request) as response:  # noqa: S310
            made = json.load(response)
        path = f"{simulated.page.id}/conversations"
        # Two threads of one second have no defined order.
        heads = get(simulated, path, fields="messages.limit(1){id,message}", limit=2)["data"]
        [head] = [head for head in heads if head["id"] == made["thread_id"]]
        assert head["messages"]["data"] == [{"id": made["id"], "message": "hello"}]


def test_usage_headers_start_after_five_calls(simulated: Simulated) -> None:
    has_usage = []
    for _ in range(8):
        request = Request(f"{simulated.url}/v26.0/{simulated.page.id}")  # noqa: S310
        request.add_header("Authorization", f"Bearer {simulated.page.token}")
        with urlopen(request) as response:  # noqa: S310
            has_usage.append("X-Business-Use-Case-Usage" in response.headers)
    assert has_usage == [False] * 5 + [True] * 3
