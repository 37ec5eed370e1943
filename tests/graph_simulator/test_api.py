"""What the simulated API answers, as GRAPH API's reference has it."""

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
    with urlopen(request) as answer:  # noqa: S310
        return json.load(answer)


def refused(simulated: Simulated, path: str, **query: Any) -> Any:
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


def test_only_the_fields_asked_for_are_answered(simulated: Simulated) -> None:
    fields = "id,updated_time,message_count,participants,messages.limit(2){id,created_time,from}"
    body = get(simulated, f"{simulated.page.id}/conversations", fields=fields, limit=30)
    assert {*body["data"][0]} == {"id", "updated_time", "message_count", "participants", "messages"}
    for thread in body["data"]:
        messages = thread["messages"]["data"]
        assert len(messages) == min(2, thread["message_count"])
        assert all({*message} == {"id", "created_time", "from"} for message in messages)


def test_a_threads_history_goes_on_from_the_nested_cursor(simulated: Simulated) -> None:
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


def test_wrong_calls_are_refused_with_metas_codes(simulated: Simulated) -> None:
    page, other = simulated.pages
    assert refused(simulated, page.id, token="EAAwrong")["code"] == 190
    assert refused(simulated, f"{other.id}/conversations")["code"] == 200
    assert refused(simulated, "t_1/messages")["error_subcode"] == 33
    assert refused(simulated, f"{page.id}/conversations", fields="nonsense")["code"] == 100
    assert refused(simulated, f"{page.id}/conversations", limit="x")["code"] == 100
    assert refused(simulated, f"{page.id}/conversations", after="x")["code"] == 100
    page.access = "expired"
    assert refused(simulated, page.id)["error_subcode"] == 463
    page.access = "revoked"
    assert refused(simulated, page.id)["code"] == 230


def test_a_new_message_stands_at_the_head_of_the_list(simulated: Simulated) -> None:
    body = {"page": simulated.page.id, "text": "hello"}
    thread_id = simulated.world.thread_id(simulated.page, 12)
    for thread in ({"thread": thread_id}, {}):
        request = Request(  # noqa: S310
            f"{simulated.url}/_simulator/messages", json.dumps({**body, **thread}).encode()
        )
        with urlopen(request) as answer:  # noqa: S310
            made = json.load(answer)
        path = f"{simulated.page.id}/conversations"
        # Two of one second stand in any order.
        heads = get(simulated, path, fields="messages.limit(1){id,message}", limit=2)["data"]
        [head] = [head for head in heads if head["id"] == made["thread_id"]]
        assert head["messages"]["data"] == [{"id": made["id"], "message": "hello"}]


def test_usage_is_told_once_enough_calls_were_made(simulated: Simulated) -> None:
    told = []
    for _ in range(8):
        request = Request(f"{simulated.url}/v26.0/{simulated.page.id}")  # noqa: S310
        request.add_header("Authorization", f"Bearer {simulated.page.token}")
        with urlopen(request) as answer:  # noqa: S310
            told.append("X-Business-Use-Case-Usage" in answer.headers)
    assert told == [False] * 5 + [True] * 3
