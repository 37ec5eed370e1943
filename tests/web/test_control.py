"""The control API over HTTP: requests, refusals, and authentication."""

import threading
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
import requests

from messenger_pipeline.db import pages
from messenger_pipeline.db.lease import held_lease
from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.sessions import open_session
from messenger_pipeline.db.sync_requests import claim_requests
from messenger_pipeline.engine import Engine
from messenger_pipeline.web.errors import MAX_BODY_BYTES
from tests.conftest import Simulated
from tests.db.test_load import query
from tests.walking import Connect, Simulate, stored, truth, walk
from tests.web.conftest import KEY, Receiver, serve_receiver

SYNC = "/api/conversations/sync"


@pytest.fixture
def small(simulate: Simulate) -> Simulated:
    return simulate(conversations=60)


@pytest.fixture
def engine(small: Simulated, connect: Connect) -> Engine:
    return connect(small)


@pytest.fixture
def control(url: str, engine: Engine) -> Iterator[Receiver]:
    """A receiver on a database with one registered page."""
    with serve_receiver(url) as receiver:
        yield receiver


def request_sync(control: Receiver, page_id: object, **more: object) -> requests.Response:
    answer: requests.Response = control.request("POST", SYNC, json={"pageId": page_id, **more})
    return answer


# -- Requests -----------------------------------------------------------------------------------


def test_a_requested_sync_reports_its_status_until_it_has_ended(
    control: Receiver, engine: Engine, small: Simulated, database: Database
) -> None:
    answer = request_sync(control, small.page.id)
    assert answer.status_code == 202
    body = answer.json()
    session = body["sync_session_id"]
    assert (body["success"], body["state"], body["pageId"]) == (True, "requested", small.page.id)
    assert answer.headers["location"] == body["links"]["self"] == f"{SYNC}/{session}"
    assert body["links"]["events"] == f"{SYNC}/{session}/events"

    waiting = control.request("GET", body["links"]["self"]).json()
    assert (waiting["success"], waiting["hasMore"], waiting["state"]) == (None, True, "requested")
    [request] = claim_requests(database, [])
    walk(engine, small.page.id, session=request.sync_session_id)
    assert stored(database) == truth(small)

    ended = control.request("GET", body["links"]["self"]).json()
    messages = sum(truth(small).values())
    assert ended["message"] == f"Full sync: 60 conversation(s) with {messages} events"
    expected = {
        "success": True, "synced": 60, "total": 60, "inserted": 60, "updated": 0, "unchanged": 0,
        "eventsCreated": messages, "syncMode": "full", "hasMore": False, "resumeSession": None,
        "failedBatches": 0, "quarantined": 0, "sync_session_id": session, "pageId": small.page.id,
        "state": "completed", "error": None, "warning": None, "openGaps": 0, "runId": None,
        "fraction": 1.0, "secondsLeft": None,
    }  # fmt: skip
    assert {name: ended[name] for name in expected} == expected
    assert ended["duration"] == f"{ended['durationSeconds']:.1f}s"
    assert ended["speed"] == f"{ended['conversationsPerSecond']:.1f} conversations/sec"
    assert ended["conversationsPerSecond"] > 0


def test_a_page_can_be_named_by_either_id_as_text_or_number(
    control: Receiver, small: Simulated, database: Database
) -> None:
    page = pages.get_page(database, small.page.id)
    for request in (
        {"pageId": small.page.id},
        {"pageId": int(small.page.id)},
        {"pageId": str(page.id).upper()},
        {"facebookPageId": small.page.id},
        {"facebookPageId": int(small.page.id)},
        {"pageId": str(page.id), "facebookPageId": small.page.id},
        {"pageId": str(uuid4()), "facebookPageId": small.page.id},  # another registry's
    ):
        answer = control.request("POST", SYNC, json=request)
        assert answer.status_code == 202, answer.text
        query(database, "update sync_requests set ended_at = now() returning id")


@pytest.mark.parametrize("content_type", [None, "text/plain;charset=UTF-8", "nonsense;;"])
def test_the_content_type_does_not_matter(
    control: Receiver, small: Simulated, content_type: str | None
) -> None:
    """Pages of the replaced application set none; browsers then send text/plain."""
    body = b'{"pageId": "%s", "resumeSession": null}' % small.page.id.encode()
    answer = control.request("POST", SYNC, data=body, headers={"Content-Type": content_type})
    assert answer.status_code == 202, answer.text


def test_a_second_request_gets_409_with_the_first_ones_session(
    control: Receiver, small: Simulated
) -> None:
    first = request_sync(control, small.page.id).json()
    second = request_sync(control, small.page.id, mode="full")
    assert second.status_code == 409
    body = second.json()
    assert body["error"].startswith("Sync already in progress for this page. ")
    assert body["sync_session_id"] == first["sync_session_id"]
    assert body["links"] == first["links"]


def test_of_two_concurrent_requests_one_is_accepted(
    control: Receiver, small: Simulated, database: Database
) -> None:
    barrier, answers = threading.Barrier(2), []

    def request_at_once() -> None:
        barrier.wait()
        answers.append(request_sync(control, small.page.id))

    threads = [threading.Thread(target=request_at_once) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in answers) == [202, 409]
    assert len({answer.json()["sync_session_id"] for answer in answers}) == 1
    assert query(database, "select count(*) from sync_requests") == [(1,)]


def test_while_a_run_holds_the_page_a_request_gets_409_with_its_session(
    control: Receiver, small: Simulated, database: Database
) -> None:
    with held_lease(database, small.page.id, "run-1") as fence:
        session = open_session(database, small.page.id, fence, "auto", "run-1", None)
        assert session
        answer = request_sync(control, small.page.id)
        assert answer.status_code == 409
        assert answer.json()["sync_session_id"] == str(session.sync_session_id)
        assert "run-1" in answer.json()["error"]
    assert query(database, "select count(*) from sync_requests") == [(0,)]


def test_a_409_has_no_links_while_the_session_is_not_known(
    control: Receiver, small: Simulated, database: Database
) -> None:
    with held_lease(database, small.page.id, "run-1"):
        answer = request_sync(control, small.page.id)
    assert answer.status_code == 409
    assert (answer.json()["sync_session_id"], answer.json()["links"]) == (None, None)


def test_a_request_resumes_the_open_session(
    control: Receiver, engine: Engine, small: Simulated, database: Database
) -> None:
    cut = walk(engine, small.page.id, max_conversations=25)
    assert cut.has_more
    answer = request_sync(control, small.page.id)
    assert (answer.status_code, answer.json()["sync_session_id"]) == (202, cut.sync_session_id)
    [request] = claim_requests(database, [])
    walk(engine, small.page.id, session=request.sync_session_id)
    body = control.request("GET", f"{SYNC}/{cut.sync_session_id}").json()
    assert (body["success"], body["synced"]) == (True, 60)


def test_a_session_can_be_resumed_by_id_until_it_has_ended(
    control: Receiver, engine: Engine, small: Simulated, database: Database
) -> None:
    cut = walk(engine, small.page.id, max_conversations=25)
    answer = request_sync(
        control, small.page.id, resumeSession=cut.sync_session_id, mode="full", maxConversations=9
    )
    assert (answer.status_code, answer.json()["sync_session_id"]) == (202, cut.sync_session_id)
    [request] = claim_requests(database, [])
    assert request.max_conversations == 9
    walk(engine, small.page.id, session=request.sync_session_id)
    ended = request_sync(control, small.page.id, resumeSession=cut.sync_session_id)
    assert ended.status_code == 422
    assert "omit resumeSession" in ended.json()["error"]
    assert request_sync(control, small.page.id, resumeSession=None).status_code == 202


def test_a_request_survives_a_restart_of_the_receiver(
    url: str, engine: Engine, small: Simulated
) -> None:
    with serve_receiver(url) as first:
        session = request_sync(first, small.page.id).json()["sync_session_id"]
    with serve_receiver(url) as second:
        assert second.request("GET", f"{SYNC}/{session}").json()["state"] == "requested"
        assert request_sync(second, small.page.id).status_code == 409


# -- Refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", ["body", "JSON object"]),
        (b"no JSON", ["JSON", "pageId"]),
        (b"[]", ["JSON object"]),
        (b"{}", ["pageId"]),
        (b'{"pageId": null}', ["pageId"]),
        (b'{"pageId": true}', ["pageId"]),
        (b'{"pageId": "\\u0000"}', ["pageId"]),
        (b'{"pageId": "1", "mode": "quick"}', ["mode", "incremental"]),
        (b'{"pageId": "1", "maxConversations": 0}', ["maxConversations", "1"]),
        (b'{"pageId": "1", "maxConversations": 1e99}', ["maxConversations"]),
        (b'{"pageId": "1", "maxConversations": "5"}', ["maxConversations", "integer"]),
        (b'{"pageId": "1", "resumeSession": "x"}', ["resumeSession", "UUID"]),
        (b'{"pageId": "1", "maxConversation": 5}', ["maxConversation is not a field"]),
    ],
)
def test_the_error_of_an_invalid_body_names_the_field(
    control: Receiver, body: bytes, words: list[str]
) -> None:
    headers = {"Content-Type": "application/json"}
    answer = control.request("POST", SYNC, data=body, headers=headers)
    assert answer.status_code == 422
    assert {*answer.json()} == {"error"}
    assert all(word in answer.json()["error"] for word in words), answer.text


def test_unknown_pages_and_sessions_get_404(
    control: Receiver, engine: Engine, small: Simulated, database: Database
) -> None:
    other = request_sync(control, small.page.id, resumeSession=str(uuid4()))
    for answer in (
        request_sync(control, "4711"),
        other,
        control.request("GET", f"{SYNC}/{uuid4()}"),
    ):
        assert answer.status_code == 404
        assert {*answer.json()} == {"error"}
    assert control.request("GET", f"{SYNC}/x").status_code == 422
    assert control.request("GET", SYNC, params={"pageId": "4711"}).status_code == 404
    pages.set_page_status(database, small.page.id, "removed")
    assert request_sync(control, small.page.id).status_code == 404


def test_ids_of_two_different_pages_are_refused(
    url: str, simulate: Simulate, connect: Connect
) -> None:
    two = simulate(conversations=1, pages=2)
    connect(two)
    first, second = two.pages
    with serve_receiver(url) as control:
        answer = request_sync(control, first.id, facebookPageId=second.id)
    assert answer.status_code == 422
    assert "two different pages" in answer.json()["error"]


def test_a_page_without_a_valid_token_is_refused_with_the_remedy(
    control: Receiver, small: Simulated, database: Database
) -> None:
    pages.set_page_status(database, small.page.id, "needs_reauthorization", "the token expired")
    answer = request_sync(control, small.page.id)
    assert answer.status_code == 422
    assert "the token expired" in answer.json()["error"]
    assert f"pages add {small.page.id}" in answer.json()["error"]
    with database.transaction() as connection:
        connection.execute("update facebook_pages set status = 'active'; delete from page_tokens")
    answer = request_sync(control, small.page.id)
    assert answer.status_code == 422
    assert "no access token" in answer.json()["error"]


def test_the_last_syncs_of_a_page_are_listed_newest_first(
    control: Receiver, engine: Engine, small: Simulated
) -> None:
    done = [walk(engine, small.page.id).sync_session_id for _ in range(3)]
    body = control.request("GET", SYNC, params={"pageId": small.page.id}).json()
    assert [one["sync_session_id"] for one in body] == done[::-1]
    assert [one["syncMode"] for one in body] == ["incremental", "incremental", "full"]


@pytest.mark.parametrize(
    ("method", "path", "request_body"),
    [
        ("POST", SYNC, {"pageId": "1"}),
        ("GET", f"{SYNC}/{UUID(int=1)}", None),
        ("GET", f"{SYNC}/{UUID(int=1)}/events", None),
        ("GET", "/api/pages", None),
        ("GET", "/api/overview", None),
    ],
)
def test_without_the_database_routes_get_503_with_retry_after(
    without_database: Receiver, method: str, path: str, request_body: Any
) -> None:
    answer = without_database.request(method, path, json=request_body)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert {*answer.json()} == {"error"}


# -- Authentication -----------------------------------------------------------------------------

ROUTES: list[tuple[str, str]] = [
    ("POST", SYNC),
    ("GET", f"{SYNC}?pageId=1"),
    ("GET", f"{SYNC}/{UUID(int=1)}"),
    ("GET", f"{SYNC}/{UUID(int=1)}/events"),
    ("GET", "/api/conversations/events"),
    ("GET", "/api/pages"),
    ("GET", "/api/overview"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_without_the_key_every_control_route_is_a_401(
    served: Receiver, method: str, path: str
) -> None:
    for headers in (
        {},
        {"X-API-Key": ""},
        {"X-API-Key": "wrong"},
        {"X-API-Key": KEY.encode()[:-1]},
        {"X-API-Key": KEY.encode() + b" more"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": b"Basic " + KEY.encode()},
        {"Cookie": "messenger_session=9999999999.00"},
        {"Cookie": f"messenger_session={'9' * 10}.\xff"},
        {"Cookie": "messenger_session=.;;=;\xe9"},
    ):
        answer = served.request(method, path, key=None, headers=headers, data=b"no JSON")
        assert answer.status_code == 401, headers
        assert "X-API-Key" in answer.json()["error"]
        assert KEY not in answer.text
    # The query is no place for a key: addresses are logged.
    answer = served.request(method, path, key=None, params={"api_key": KEY, "X-API-Key": KEY})
    assert answer.status_code == 401


def test_the_key_is_accepted_in_either_header(served: Receiver) -> None:
    for name, value in (
        ("X-API-Key", KEY),
        ("Authorization", f"Bearer {KEY}"),
        ("authorization", f"bearer {KEY}"),
    ):
        answer = served.request("GET", "/api/overview", key=None, headers={name: value.encode()})
        assert answer.status_code == 200


def test_without_a_key_set_the_error_names_the_setting(web_url: str) -> None:
    with serve_receiver(web_url, api_key=None) as closed:
        for key in (None, "", "None"):
            answer = closed.request("GET", "/api/overview", key=key)
            assert answer.status_code == 401
            assert "MESSENGER_API_KEY" in answer.json()["error"]
        answer = closed.request("POST", "/login", key=None, json={"key": ""})
        assert answer.status_code == 401
        assert "MESSENGER_API_KEY" in answer.json()["error"]
        assert requests.get(f"{closed.url}/healthz", timeout=30).status_code == 200


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_refused(served: Receiver, chunked: bool) -> None:
    body = b'{"pageId": "' + b"1" * MAX_BODY_BYTES + b'"}'
    sent: Any = iter([body[:9], body[9:]]) if chunked else body
    answer = served.request("POST", SYNC, data=sent, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413
    assert f"{MAX_BODY_BYTES:,} bytes" in answer.json()["error"]


def test_wrong_keys_are_logged_once_a_minute_without_their_text(
    web_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with serve_receiver(web_url) as fresh:
        for number in range(5):
            fresh.request("GET", "/api/overview", key=f"guess {number}")
    [line] = [one for one in caplog.messages if "wrong API key" in one]
    assert "guess" not in line
