"""What requests that wait cost: places, threads, connections; and how they end early."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from messenger_pipeline.db.pool import Database
from tests.db.test_load import query
from tests.web.conftest import Receiver, serve_receiver
from tests.web.sse import open_stream
from tests.web.test_events import LISTENERS, count
from tests.web.waiting import (
    PAGE,
    body_of,
    end,
    fail,
    post,
    posted,
    raw_post,
    until,
)
from tests.webhook.test_drain import register


@pytest.fixture
def control(url: str, database: Database) -> Iterator[Receiver]:
    """A receiver on a database with one page, which nothing syncs."""
    register(database, "10")
    with serve_receiver(url) as receiver:
        yield receiver


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
        threads.append(threading.active_count() - before)
        opened.append(await asyncio.to_thread(count, database, connections))
        opened.append(await asyncio.to_thread(count, database, LISTENERS))
        await asyncio.to_thread(end, database)
        return await asyncio.wait_for(asyncio.gather(*asking), 60)

    threads: list[int] = []
    opened: list[int] = []
    before = threading.active_count()  # earlier tests may have left some
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
