"""Requests that wait for their sync: what they are answered, and what they cost."""

import asyncio
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from messenger_pipeline.db import pages
from messenger_pipeline.db.embedded import database_url
from messenger_pipeline.db.lease import held_lease
from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.sessions import open_session
from messenger_pipeline.engine import Engine
from tests.db.test_load import query
from tests.walking import Connect, Simulate, walk
from tests.web.conftest import Receiver, serve_receiver
from tests.web.sse import open_stream
from tests.web.test_events import LISTENERS, count
from tests.web.waiting import (
    SYNC,
    body_of,
    change,
    end,
    fail,
    post,
    posted,
    raw_post,
    until,
)
from tests.webhook.test_drain import register

PAGE = {"pageId": "10", "facebookPageId": "10"}
OLD_SHAPE = {
    "success", "synced", "inserted", "updated", "total", "eventsCreated", "syncMode", "message",
    "hasMore", "resumeSession",
}  # fmt: skip


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


@pytest.mark.parametrize("prefer", [None, "wait=soon", "wait=-1", "handling=lenient", "wait"])
def test_the_setting_counts_for_requests_that_prefer_nothing(
    url: str, database: Database, prefer: str | None
) -> None:
    register(database, "10")
    with serve_receiver(url, wait_seconds=270) as control:
        with ThreadPoolExecutor() as pool:
            answer = pool.submit(post, control, PAGE, "", prefer)
            until(lambda: control.waits.waiting == 1)
            end(database)
        assert (answer.result().status_code, answer.result().json()["synced"]) == (200, 7)
        assert "preference-applied" not in answer.result().headers


@pytest.mark.parametrize("prefer", ["wait=0", "respond-async", "respond-async, wait=0"])
def test_a_request_may_prefer_not_to_wait(url: str, database: Database, prefer: str) -> None:
    register(database, "10")
    with serve_receiver(url, wait_seconds=270) as control:
        answer = post(control, PAGE, "", prefer)
    assert answer.status_code == 202
    assert answer.json()["links"]


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


# -- What goes wrong ----------------------------------------------------------------------------


def test_a_failed_run_is_told_at_once_with_when_it_is_tried_again(
    control: Receiver, database: Database
) -> None:
    with posted(control, PAGE) as plain:
        fail(database, "Meta answers nothing")
    answer = plain.result()
    assert answer.status_code == 502
    body = answer.json()
    assert (body["success"], body["hasMore"]) == (False, True)
    assert "Last error: Meta answers nothing." in body["error"]
    assert 0 < int(answer.headers["retry-after"]) <= 60
    # One that asks again waits for the next run, although the error still stands in the row.
    with posted(control, {**PAGE, "resumeSession": body["resumeSession"]}, "-optimized") as again:
        fail(database, "and nothing again")
    assert again.result().status_code == 502
    assert again.result().json()["stats"]["errors"] == ["and nothing again"]
    assert again.result().json()["success"] is False


@pytest.mark.parametrize(
    ("outcome", "columns", "status", "words"),
    [
        ("truncated", "truncated = 'its cursor dies'", 502, ["truncated", "its cursor dies"]),
        ("failed", "last_error = 'no more'", 502, ["failed", "no more"]),
        ("superseded", "total_synced = 3", 409, ["Sync already in progress for this page. "]),
    ],
)
def test_a_session_that_ends_otherwise_is_no_success(
    control: Receiver, database: Database, outcome: str, columns: str, status: int, words: list[str]
) -> None:
    with posted(control, PAGE) as one:
        end(database, outcome, columns)
    answer = one.result()
    assert (answer.status_code, answer.json()["success"]) == (status, False)
    assert all(word in answer.json()["error"] for word in words)
    assert answer.json()["error"].endswith(".")
    assert {*answer.json()} >= OLD_SHAPE


@pytest.mark.parametrize(
    ("page", "status", "success", "words"),
    [
        ("parked", 200, True, "was cancelled"),
        ("paused", 200, True, "paused"),
        ("needs_reauthorization", 422, False, "pages add"),
        ("removed", 404, False, "removed"),
    ],
)
def test_what_only_a_person_continues_ends_the_wait(
    control: Receiver, database: Database, page: str, status: int, success: bool, words: str
) -> None:
    with posted(control, PAGE) as one:
        query(database, "update sync_requests set ended_at = now() returning 1")
        if page == "parked":
            change(database, "parked_at = now()")
        else:
            pages.set_page_status(database, "10", page)
            change(database, "updated_at = now()")
    answer = one.result()
    body = answer.json()
    assert (answer.status_code, body["success"], body["hasMore"]) == (status, success, True)
    assert words in body["message"]


def test_a_session_that_is_deleted_ends_the_wait(control: Receiver, database: Database) -> None:
    with posted(control, PAGE) as one, posted_stream(control, database) as stream:
        query(database, "delete from sync_requests returning 1")
        query(database, "delete from sync_state returning 1")
        assert '"success": false' in stream.result()
    assert one.result().status_code == 404
    assert "was deleted" in one.result().json()["error"]


@contextmanager
def posted_stream(control: Receiver, database: Database) -> Iterator[Any]:
    register(database, "11")
    with ThreadPoolExecutor() as pool:
        text = pool.submit(lambda: post(control, {"pageId": "11"}, "-stream").text)
        until(lambda: control.waits.waiting == 2)
        yield text


def test_an_outage_of_the_database_does_not_lose_the_answer(
    control: Receiver, database: Database, url: str
) -> None:
    """All connections are cut again and again, and the session ends while nothing listens."""
    name = url.partition("?")[0].rpartition("/")[2]
    with posted(control, PAGE) as one, database.transaction() as connection:
        cut = 0
        while cut < 20:
            [(found,)] = connection.execute(
                "select count(pg_terminate_backend(pid)) from pg_stat_activity"
                " where datname = %s and pid <> pg_backend_pid()",
                [name],
            ).fetchall()
            cut += found
        assert not one.done()
        connection.execute(
            "update sync_state set outcome = 'completed', ended_at = now(), total_synced = 7,"
            " changes = changes + 1"
        )
    assert (one.result().status_code, one.result().json()["synced"]) == (200, 7)


def test_a_wait_without_the_database_ends_in_time(server: str, template: str) -> None:
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"create database waits_{os.getpid()} template {template}")
        url = database_url(server, f"waits_{os.getpid()}")
        with Database(url) as database:
            register(database, "10")
        with serve_receiver(url) as control:
            with posted(control, PAGE, prefer="wait=2") as one:
                admin.execute(f"drop database waits_{os.getpid()} with (force)")
            body = one.result().json()
    assert (body["success"], body["hasMore"]) == (True, True)
    assert body["resumeSession"] == body["sync_session_id"]


# -- What they cost -----------------------------------------------------------------------------


def test_hundreds_that_wait_cost_no_thread_and_no_connection_each(
    url: str, database: Database
) -> None:
    many = 320
    query(
        database,
        "with pages as (insert into facebook_pages (facebook_page_id)"
        " select (1000 + i)::text from generate_series(1, %s) i returning facebook_page_id)"
        " insert into page_tokens (page_id, token_encrypted)"
        " select facebook_page_id, 'x' from pages returning 1",
        many,
    )
    connections = "from pg_stat_activity where datname = current_database()"

    async def ask(control: Receiver, number: int) -> bytes:
        reader, writer = await raw_post(control, {"pageId": 1001 + number}, "Prefer: wait=270\r\n")
        raw = await reader.read()
        writer.close()
        return raw

    async def run(control: Receiver) -> list[bytes]:
        asking = [asyncio.create_task(ask(control, number)) for number in range(many)]
        while control.waits.waiting < many:
            await asyncio.sleep(0.1)
            assert not any(one.done() for one in asking)
        threads.append(threading.active_count())
        opened.append(await asyncio.to_thread(count, database, connections))
        opened.append(await asyncio.to_thread(count, database, LISTENERS))
        await asyncio.to_thread(end, database)
        return await asyncio.wait_for(asyncio.gather(*asking), 60)

    threads: list[int] = []
    opened: list[int] = []
    with serve_receiver(url) as control:
        answers = asyncio.run(run(control))
        assert control.waits.waiting == 0
    assert all(raw.startswith(b"HTTP/1.1 200 ") for raw in answers)
    sessions = {body_of(raw)["sync_session_id"] for raw in answers}
    assert len(sessions) == many
    assert {body_of(raw)["synced"] for raw in answers} == {7}
    # Forty threads answer the requests of all routes; four connections belong to the pool.
    assert threads[0] < 70, threads
    assert opened[0] <= 12
    assert opened[1] == 1


def test_beyond_the_limit_the_202_comes_at_once(url: str, database: Database) -> None:
    for page in ("10", "11", "12"):
        register(database, page)
    with serve_receiver(url, waiters=1) as control:
        with posted(control, PAGE) as one:
            for route in ("", "-stream"):
                page = {"": "11", "-stream": "12"}[route]
                answer = post(control, {"pageId": page}, route)
                assert answer.status_code == 202
                assert answer.json()["links"]
                assert "preference-applied" not in answer.headers
            end(database)
        assert one.result().status_code == 200
        with posted(control, PAGE):
            end(database)


def test_a_client_that_disconnects_gives_back_its_place(
    control: Receiver, database: Database
) -> None:
    async def leave() -> None:
        _, writer = await raw_post(control, PAGE, "Prefer: wait=270\r\n")
        await asyncio.to_thread(until, lambda: control.waits.waiting == 1)
        writer.close()
        await asyncio.to_thread(until, lambda: control.waits.waiting == 0)

    asyncio.run(leave())
    # The sync itself goes on.
    assert query(database, "select count(*) from sync_requests where ended_at is null") == [(1,)]


def test_a_client_of_http_1_0_is_answered(control: Receiver, database: Database) -> None:
    async def ask() -> bytes:
        reader, writer = await raw_post(control, PAGE, "Prefer: wait=270\r\n", "1.0")
        await asyncio.to_thread(until, lambda: control.waits.waiting == 1)
        await asyncio.to_thread(end, database)
        raw = await reader.read()
        writer.close()
        return raw

    assert body_of(asyncio.run(ask()))["synced"] == 7


def test_the_end_of_the_server_ends_the_waits(url: str, database: Database) -> None:
    register(database, "10")
    with ThreadPoolExecutor() as pool:
        with serve_receiver(url) as control:
            answer = pool.submit(post, control, PAGE)
            until(lambda: control.waits.waiting == 1)
        body = answer.result().json()
    assert (body["success"], body["hasMore"]) == (True, True)
    assert body["resumeSession"] == body["sync_session_id"]


def test_an_older_state_that_is_still_known_ends_no_wait(
    control: Receiver, database: Database
) -> None:
    """Somebody follows the session, whose last run failed, when a request resumes it."""
    with posted(control, PAGE) as one:
        fail(database, "an error")
    session = one.result().json()["resumeSession"]
    with open_stream(control, session) as stream:
        assert next(iter(stream))["state"] == "backing_off"
        with posted(control, {**PAGE, "resumeSession": session}) as again:
            end(database)
        assert again.result().json()["synced"] == 7
