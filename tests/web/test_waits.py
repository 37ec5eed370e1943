"""Requests that wait for their sync: what they are answered, and what they cost."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from messenger_pipeline.db import pages
from messenger_pipeline.db.lease import held_lease
from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.sessions import open_session
from messenger_pipeline.engine import Engine
from tests.db.test_load import query
from tests.walking import Connect, Simulate, walk
from tests.web.conftest import Receiver, serve_receiver
from tests.web.waiting import (
    OLD_SHAPE,
    PAGE,
    SYNC,
    end,
    post,
    posted,
    until,
)
from tests.webhook.test_drain import register


@pytest.fixture
def control(url: str, database: Database) -> Iterator[Receiver]:
    """A receiver on a database with one page, which nothing syncs."""
    register(database, "10")
    with serve_receiver(url) as receiver:
        yield receiver


@pytest.fixture
def engine(simulate: Simulate, connect: Connect) -> Engine:
    return connect(simulate(conversations=60))


@pytest.fixture
def page_id(engine: Engine) -> str:
    [page] = pages.list_pages(engine.database)
    return page.facebook_page_id


def figures(database: Database, session: str) -> dict[str, Any]:
    """The old names of what stands in a session's row."""
    [row] = query(
        database,
        "select total_synced, inserted, updated, total_synced, events_created, mode, api_calls,"
        " worked_seconds from sync_state where sync_session_id = %s",
        session,
    )
    names = ("synced", "inserted", "updated", "total", "eventsCreated", "syncMode", "calls", "took")
    return dict(zip(names, row, strict=True))


# -- The end of a sync --------------------------------------------------------------------------


@pytest.mark.parametrize("route", ["", "-fixed"])
def test_a_request_that_waits_is_answered_with_the_figures_of_its_session(
    url: str, engine: Engine, page_id: str, database: Database, route: str
) -> None:
    with serve_receiver(url) as control:
        body = {"pageId": page_id, "facebookPageId": page_id, "resumeSession": None}
        with posted(control, body, route) as answered:
            walk(engine, page_id)
        answer = answered.result()
    assert answer.status_code == 200
    assert answer.headers["preference-applied"] == "wait=270"
    body = answer.json()
    assert {*body} >= OLD_SHAPE
    row = figures(database, body["sync_session_id"])
    assert {name: body[name] for name in row if name in body} == {
        name: row[name] for name in row if name in OLD_SHAPE
    }
    assert (body["success"], body["synced"], body["inserted"]) == (True, 60, 60)
    assert (body["hasMore"], body["resumeSession"], body["error"]) == (False, None, None)
    assert body["message"] == f"Full sync: 60 conversation(s) with {row['eventsCreated']} events"


def test_the_optimized_route_answers_with_statistics(
    url: str, engine: Engine, page_id: str, database: Database
) -> None:
    with serve_receiver(url) as control:
        with posted(control, {"pageId": page_id, "maxConversations": 10_000}, "-optimized") as one:
            walk(engine, page_id)
        answer = one.result()
    assert answer.status_code == 200
    body = answer.json()
    row = figures(database, body["sync_session_id"])
    assert body["stats"] == {
        "fetched": 60, "inserted": 60, "updated": 0, "events": row["eventsCreated"],
        "batches": row["calls"], "duration": f"{row['took']:.1f}s",
        "speed": f"{60 / row['took']:.1f} conversations/sec", "errors": [],
    }  # fmt: skip
    assert body["message"] == f"Successfully synced 60 conversations in {row['took']:.1f}s"
    assert (body["success"], body["hasMore"], body["resumeSession"]) == (True, False, None)


def test_without_a_word_more_all_routes_answer_at_once(
    control: Receiver, database: Database
) -> None:
    for route in ("", "-fixed", "-optimized"):
        answer = post(control, PAGE, route, prefer=None)
        assert answer.status_code == 202
        body = answer.json()
        assert answer.headers["location"] == body["links"]["self"]
        assert body["links"]["self"] == f"{SYNC}/{body['sync_session_id']}"
        assert "preference-applied" not in answer.headers
        end(database)


def test_the_setting_counts_for_requests_that_prefer_nothing(url: str, database: Database) -> None:
    register(database, "10")
    with serve_receiver(url, wait_seconds=270) as control, ThreadPoolExecutor() as pool:
        for prefer in (None, "wait=soon", "wait=-1", "handling=lenient", "wait"):
            answer = pool.submit(post, control, PAGE, "", prefer)
            until(lambda: control.waits.waiting == 1)
            end(database)
            assert (answer.result().status_code, answer.result().json()["synced"]) == (200, 7)
            assert "preference-applied" not in answer.result().headers
        for prefer in ("wait=0", "respond-async", "respond-async, wait=0"):
            at_once = post(control, PAGE, "", prefer)
            assert at_once.status_code == 202
            assert at_once.json()["links"]
            end(database)


def test_when_the_time_is_over_the_answer_names_the_session_to_resume(
    control: Receiver, database: Database
) -> None:
    answer = post(control, PAGE, prefer="wait=1")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["success"], body["hasMore"], body["error"]) == (True, True, None)
    assert body["resumeSession"] == body["sync_session_id"]
    assert {*body} >= OLD_SHAPE
    again = {**PAGE, "resumeSession": body["resumeSession"]}
    optimized = post(control, again, "-optimized", prefer="wait=1")
    assert optimized.status_code == 200
    body = optimized.json()
    assert (body["success"], body["hasMore"]) == (True, True)
    assert (body["stats"]["fetched"], body["stats"]["speed"]) == (0, "0.0 conversations/sec")


def test_one_that_prefers_202_gets_it_when_the_time_is_over(control: Receiver) -> None:
    answer = post(control, PAGE, prefer="respond-async, wait=1")
    assert answer.status_code == 202
    assert answer.headers["preference-applied"] == "respond-async"
    assert answer.json()["links"]


# -- A session that is resumed ------------------------------------------------------------------


def test_one_that_resumes_the_session_in_progress_waits_for_it_too(
    control: Receiver, database: Database
) -> None:
    first = post(control, PAGE, prefer="wait=1").json()
    again = {**PAGE, "resumeSession": first["resumeSession"]}
    assert post(control, again, prefer=None).status_code == 409
    with posted(control, again) as one, posted(control, again) as two:
        assert post(control, PAGE).status_code == 409
        with held_lease(database, "10", "run-1") as fence:
            assert open_session(database, "10", fence, "auto", "run-1", None)
            with posted(control, again) as three:
                end(database)
    for answered in (one, two, three):
        body = answered.result().json()
        assert (body["sync_session_id"], body["synced"]) == (first["resumeSession"], 7)


def test_one_that_resumes_a_session_that_has_ended_gets_its_figures(
    control: Receiver, database: Database
) -> None:
    session = post(control, PAGE, prefer="wait=1").json()["resumeSession"]
    end(database)
    again = {**PAGE, "resumeSession": session}
    assert post(control, again, prefer=None).status_code == 422
    answer = post(control, again)
    assert (answer.status_code, answer.json()["synced"]) == (200, 7)
    assert (answer.json()["hasMore"], answer.json()["resumeSession"]) == (False, None)
    # Also while another sync of the page is in progress.
    assert post(control, PAGE, prefer=None).status_code == 202
    assert post(control, again).json()["synced"] == 7


def test_unknown_sessions_and_those_of_other_pages_are_404(
    control: Receiver, database: Database
) -> None:
    register(database, "11")
    other = post(control, {"pageId": "11"}, prefer=None).json()["sync_session_id"]
    for session in (str(uuid4()), other):
        for prefer in (None, "wait=270"):
            answer = post(control, {**PAGE, "resumeSession": session}, prefer=prefer)
            assert answer.status_code == 404
            assert session in answer.json()["error"]
    # Also while a sync of the page is in progress.
    assert post(control, PAGE, prefer=None).status_code == 202
    assert post(control, {**PAGE, "resumeSession": other}).status_code == 404
    assert post(control, {**PAGE, "resumeSession": str(uuid4())}).status_code == 404


def test_a_limited_request_ends_with_its_first_run(
    url: str, engine: Engine, page_id: str, database: Database
) -> None:
    with serve_receiver(url) as control:
        with posted(control, {"pageId": page_id, "maxConversations": 25}) as one:
            walk(engine, page_id, max_conversations=25)
        first = one.result()
        body = first.json()
        assert (first.status_code, body["success"], body["hasMore"]) == (200, True, True)
        assert 25 <= body["synced"] < 60
        again = {"pageId": page_id, "resumeSession": body["resumeSession"]}
        with posted(control, again) as two:
            walk(engine, page_id, session=body["resumeSession"])
    last = two.result().json()
    assert (last["success"], last["hasMore"], last["synced"]) == (True, False, 60)
    assert last["sync_session_id"] == body["resumeSession"]


def test_one_without_a_limit_waits_across_runs(
    url: str, engine: Engine, page_id: str, database: Database
) -> None:
    with serve_receiver(url) as control, posted(control, {"pageId": page_id}) as one:
        cut = walk(engine, page_id, max_conversations=25)
        session = cut.sync_session_id
        until(lambda: control.request("GET", f"{SYNC}/{session}").json()["state"] == "resumable")
        assert not one.done()
        walk(engine, page_id)
    assert one.result().json()["synced"] == 60
