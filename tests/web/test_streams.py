"""/sync-stream: the events of a sync in the answer to its request."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
import requests

from messenger_pipeline.db import pages
from messenger_pipeline.db.pool import Database
from messenger_pipeline.engine import Engine
from tests.db.test_load import query
from tests.walking import Connect, Simulate, walk
from tests.web.conftest import KEY, Receiver, serve_receiver
from tests.web.sse import Stream
from tests.web.waiting import SYNC, change, end, fail, post, until
from tests.webhook.test_drain import register

STREAM = SYNC + "-stream"


@pytest.fixture
def control(url: str, database: Database) -> Iterator[Receiver]:
    register(database, "10")
    with serve_receiver(url) as receiver:
        yield receiver


@contextmanager
def stream(
    control: Receiver, method: str = "POST", prefer: str | None = None, seen: str | None = None,
    **options: Any,
) -> Iterator[Stream]:  # fmt: skip
    headers = {"X-API-Key": KEY.encode(), "Prefer": prefer, "Last-Event-ID": seen}
    with requests.request(
        method, control.url + STREAM, headers=headers, stream=True, timeout=30, **options
    ) as answer:
        yield Stream(answer)


def test_a_request_is_answered_with_the_events_of_its_sync(
    url: str, simulate: Simulate, connect: Connect
) -> None:
    engine: Engine = connect(simulate(conversations=60))
    [page] = pages.list_pages(engine.database)
    with (
        serve_receiver(url) as control,
        ThreadPoolExecutor() as pool,
        stream(control, json={"pageId": page.facebook_page_id}) as events,
    ):
        received = []
        run = None
        for event in events:
            received.append(event)
            run = run or pool.submit(walk, engine, page.facebook_page_id)
    assert run
    session = run.result().sync_session_id
    assert events.answer.status_code == 202
    assert events.answer.headers["content-type"].startswith("text/event-stream")
    assert events.answer.headers["location"] == f"{SYNC}/{session}"
    assert received[0]["links"]["events"] == f"{SYNC}/{session}/events"
    assert (received[0]["state"], received[0]["success"]) == ("requested", None)
    last = received[-1]
    assert (last["state"], last["success"], last["synced"]) == ("completed", True, 60)
    assert [one["success"] for one in received if one["endedAt"]] == [True]
    assert events.ids == [f"{session}:{one['change']}" for one in received]


def test_when_the_time_is_over_the_last_event_says_so(control: Receiver) -> None:
    with stream(control, prefer="wait=1", json={"pageId": "10"}) as events:
        received = [*events]
    assert events.answer.status_code == 200
    assert events.answer.headers["preference-applied"] == "wait=1"
    last = received[-1]
    assert (last["success"], last["hasMore"]) == (True, True)
    assert last["resumeSession"] == last["sync_session_id"]


def test_the_last_event_of_a_failed_sync_says_why(control: Receiver, database: Database) -> None:
    with stream(control, json={"pageId": "10"}) as events:
        fail_once = iter(["Meta answers nothing"])
        received = []
        for event in events:
            received.append(event)
            if error := next(fail_once, None):
                fail(database, error)
    assert received[-1]["success"] is False
    assert "Meta answers nothing." in received[-1]["error"]


def test_one_that_prefers_202_gets_links(control: Receiver) -> None:
    answer = post(control, {"pageId": "10"}, "-stream", prefer="respond-async")
    assert (answer.status_code, answer.json()["state"]) == (202, "requested")
    assert answer.json()["links"]
    assert control.waits.waiting == 0


def test_a_second_request_gets_409_and_an_unknown_session_404(control: Receiver) -> None:
    with stream(control, json={"pageId": "10"}) as first:
        session = next(iter(first))["sync_session_id"]
        for method, named in (("POST", "json"), ("GET", "params")):
            options: dict[str, Any] = {named: {"pageId": "10"}}
            with stream(control, method, **options) as second:
                assert second.answer.status_code == 409
                assert second.answer.json()["error"].startswith(
                    "Sync already in progress for this page. "
                )
        with stream(control, json={"pageId": "10", "resumeSession": session}) as joined:
            assert next(iter(joined))["sync_session_id"] == session
        with stream(control, json={"pageId": "10", "resumeSession": str(uuid4())}) as unknown:
            assert unknown.answer.status_code == 404
    until(lambda: control.waits.waiting == 0)


def test_a_get_without_a_page_names_the_remedy(control: Receiver) -> None:
    for params in ({}, {"pageId": ""}):
        with stream(control, "GET", params=params) as events:
            assert events.answer.status_code == 400
            assert "?pageId=" in events.answer.json()["error"]
    for params in ({"pageId": "a b"}, {"pageId": "10", "maxConversations": "0"}):
        with stream(control, "GET", params=params) as events:
            assert events.answer.status_code == 422
    answer = control.request("HEAD", STREAM, params={"pageId": "10"})
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
    with stream(control, "GET", params={"pageId": "4711"}) as events:
        assert events.answer.status_code == 404


def test_a_get_that_reconnects_requests_no_second_sync(
    control: Receiver, database: Database
) -> None:
    page = {"pageId": "10"}
    with stream(control, "GET", params=page) as first:
        session = next(iter(first))["sync_session_id"]
        [seen] = first.ids
    assert first.answer.status_code == 200
    with stream(control, "GET", seen=seen, params=page) as again:
        events = iter(again)
        change(database, "total_synced = 3")
        assert next(events)["synced"] == 3
        end(database)
        assert next(events)["state"] == "completed"
        assert [*events] == []
        last = again.ids[-1]
    # Its first event again, when it missed the last one; then 204 makes it stop.
    with stream(control, "GET", seen=seen, params=page) as late:
        assert [one["state"] for one in late] == ["completed"]
    with stream(control, "GET", seen=last, params=page) as over:
        assert over.answer.status_code == 204
    assert query(database, "select count(*) from sync_state") == [(1,)]
    assert session in last
    # The sessions of other pages, and those that do not exist, are none of its own.
    register(database, "11")
    with stream(control, "GET", seen=last, params={"pageId": "11"}) as other:
        assert other.answer.status_code == 404
    with stream(control, "GET", seen=f"{uuid4()}:1", params=page) as unknown:
        assert unknown.answer.status_code == 404
    # An id that is none of ours is ignored.
    with stream(control, "GET", seen="17", params=page) as new:
        assert next(iter(new))["sync_session_id"] != session


def test_the_end_of_the_server_is_the_last_event(url: str, database: Database) -> None:
    register(database, "10")
    with ThreadPoolExecutor() as pool:
        with serve_receiver(url) as control:
            text = pool.submit(lambda: post(control, {"pageId": "10"}, "-stream").text)
            until(lambda: control.waits.waiting == 1)
        last = json.loads(text.result().strip().rpartition("data: ")[2])
    assert (last["success"], last["hasMore"]) == (True, True)
    assert last["resumeSession"] == last["sync_session_id"]
