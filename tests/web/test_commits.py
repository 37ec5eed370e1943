"""Commits that deliveries share, and what happens when none is possible."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psutil
import psycopg
import pytest
import requests

from messenger_pipeline.db import group_commit as module
from messenger_pipeline.db.group_commit import GroupCommit
from messenger_pipeline.db.pool import Database
from messenger_pipeline.errors import DatabaseUnavailable
from tests.db.test_load import query
from tests.web.conftest import Receiving, received_at


def until(is_so: Callable[[], Any], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


@pytest.fixture
def alone(url: str) -> Iterator[Receiving]:
    """A receiver with a database that it may lose."""
    with received_at(url) as receiving:
        yield receiving


@contextmanager
def inbox_locked(url: str) -> Iterator[None]:
    """No delivery can be inserted meanwhile."""
    with psycopg.connect(url) as connection:
        connection.execute("lock table webhook_inbox in access exclusive mode")
        yield


def waiting_inserts(connection: "psycopg.Connection[Any]") -> list[int]:
    """The server's processes that wait for the lock."""
    rows = connection.execute(
        "select pid from pg_stat_activity where application_name = 'messenger-pipeline receiver'"
        " and wait_event_type = 'Lock' and datname = current_database()"
    )
    return [pid for (pid,) in rows]


def test_deliveries_that_come_together_share_a_commit(
    receiving: Receiving, web_url: str, web_database: Database
) -> None:
    bodies = [b"%d" % number for number in range(100)]
    with (
        ThreadPoolExecutor(len(bodies) + 1) as threads,
        psycopg.connect(web_url, autocommit=True) as watching,
    ):
        with inbox_locked(web_url):
            first = threads.submit(receiving.post, b"first")
            until(lambda: waiting_inserts(watching))
            rest = [threads.submit(receiving.post, body) for body in bodies]
            until(lambda: receiving.commit.asked == len(bodies) + 1)
        answers = [future.result() for future in (first, *rest)]
    assert {answer.status_code for answer in answers} == {200}
    found = query(web_database, "select body, xmin::text from webhook_inbox")
    assert {body for body, _ in found} == {b"first", *bodies}
    assert len({commit for _, commit in found}) == 2
    assert sorted(receiving.kept) == [1, 100]


def test_a_commit_holds_no_more_than_its_share(
    web_url: str, receiving: Receiving, web_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST", 10)
    monkeypatch.setattr(module, "_MOST_BYTES", 100)
    kept: list[int] = []

    async def keep_all() -> None:
        async with GroupCommit(web_url, "public", kept.append) as commit:
            await asyncio.gather(*(commit.keep(b"x") for _ in range(25)))
            await asyncio.gather(*(commit.keep(b"x" * 60) for _ in range(4)))

    asyncio.run(keep_all())
    assert kept == [10, 10, 5, 2, 2]
    assert query(web_database, "select count(*) from webhook_inbox") == [(29,)]


def test_more_than_memory_holds_is_refused_and_room_is_made_again(
    web_url: str, receiving: Receiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_WAITING", 1000)
    kept: list[int] = []

    async def keep_all() -> list[Any]:
        async with GroupCommit(web_url, "public", kept.append) as commit:
            first = await asyncio.gather(
                *(commit.keep(b"x" * 100) for _ in range(15)), return_exceptions=True
            )
            await asyncio.gather(*(commit.keep(b"x" * 100) for _ in range(10)))
            return first

    first = asyncio.run(keep_all())
    assert [type(one) for one in first] == [type(None)] * 10 + [DatabaseUnavailable] * 5
    assert sum(kept) == 20


def test_a_sender_that_went_away_delays_nobody(web_url: str, receiving: Receiving) -> None:
    kept: list[int] = []

    async def keep_all() -> None:
        async with GroupCommit(web_url, "public", kept.append) as commit:
            gone = asyncio.create_task(commit.keep(b"gone"))
            stays = asyncio.create_task(commit.keep(b"stays"))
            await asyncio.sleep(0)
            gone.cancel()
            await stays
            await commit.keep(b"next")

    asyncio.run(keep_all())
    assert kept == [2, 1]


def test_while_the_database_is_away_it_is_503_and_works_when_it_is_back(
    alone: Receiving, url: str, server: str, database: Database
) -> None:
    assert alone.post(b"before").status_code == 200
    name = url.partition("?")[0].rpartition("/")[2]
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"alter database {name} allow_connections false")
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [name]
        )
        for _ in range(3):
            answer = alone.post(b"meanwhile")
            assert answer.status_code == 503
            assert answer.json() == {"error": "The database cannot be reached; send it again."}
        unready = requests.get(alone.url + "/readyz", timeout=30)
        assert (unready.status_code, unready.json()["status"]) == (503, "not ready")
        assert requests.get(alone.url + "/healthz", timeout=30).status_code == 200
        connection.execute(f"alter database {name} allow_connections true")
    assert alone.post(b"after").status_code == 200
    assert requests.get(alone.url + "/readyz", timeout=30).status_code == 200
    with psycopg.connect(url) as direct:
        found = direct.execute("select body from webhook_inbox order by id").fetchall()
    assert found == [(b"before",), (b"after",)]


def test_a_commit_that_is_blocked_is_given_up_in_time(alone: Receiving, url: str) -> None:
    assert alone.post(b"before").status_code == 200
    with inbox_locked(url):
        answer = alone.post(b"meanwhile")
        assert answer.status_code == 503
        assert answer.elapsed.total_seconds() < 5, "Meta waits five seconds"
    assert alone.post(b"after").status_code == 200


def test_a_server_that_answers_nothing_is_given_up_in_time(alone: Receiving, url: str) -> None:
    """Not even to a request to cancel."""
    assert alone.post(b"before").status_code == 200
    with psycopg.connect(url, autocommit=True) as watching:
        [(pid,)] = watching.execute(
            "select pid from pg_stat_activity where datname = current_database()"
            " and application_name = 'messenger-pipeline receiver'"
        ).fetchall()
    backend = psutil.Process(pid)
    backend.suspend()
    try:
        with ThreadPoolExecutor(2) as threads:
            first = threads.submit(alone.post, b"meanwhile")
            until(lambda: alone.commit.asked == 2)
            second = threads.submit(alone.post, b"behind it")
            for answer in (first.result(), second.result()):
                assert answer.status_code == 503
                assert answer.elapsed.total_seconds() < 5, "Meta waits five seconds"
        assert alone.post(b"after").status_code == 200
    finally:
        backend.resume()


def test_deliveries_at_once_are_each_stored_once(
    receiving: Receiving, web_database: Database
) -> None:
    bodies = [b"%d" % number for number in range(200)]
    barrier = threading.Barrier(20)

    def send(portion: list[bytes]) -> None:
        barrier.wait()
        for body in portion:
            assert receiving.post(body).status_code == 200

    with ThreadPoolExecutor(20) as threads:
        list(threads.map(send, [bodies[start::20] for start in range(20)]))
    assert sorted(query(web_database, "select body from webhook_inbox")) == sorted(
        (body,) for body in bodies
    )
