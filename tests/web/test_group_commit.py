"""Deliveries share commits, and get a 503 in time if none is possible."""

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
from tests.web.conftest import Receiver, serve_receiver


def until(condition: Callable[[], Any], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.01)


@pytest.fixture
def alone(url: str) -> Iterator[Receiver]:
    """A receiver with a database of its own, which a test may break."""
    with serve_receiver(url) as receiver:
        yield receiver


@contextmanager
def inbox_locked(url: str) -> Iterator[None]:
    """While this is open no delivery can be inserted."""
    with psycopg.connect(url) as connection:
        connection.execute("lock table messenger_pipeline.webhook_inbox in access exclusive mode")
        yield


def waiting_inserts(connection: "psycopg.Connection[Any]") -> list[int]:
    """The process ids of inserts that wait for the lock."""
    rows = connection.execute(
        "select pid from pg_stat_activity where application_name = 'messenger-pipeline receiver'"
        " and wait_event_type = 'Lock' and datname = current_database()"
    )
    return [pid for (pid,) in rows]


def test_deliveries_that_arrive_during_a_commit_share_the_next(
    receiver: Receiver, web_url: str, web_database: Database
) -> None:
    bodies = [b"%d" % number for number in range(100)]
    with (
        ThreadPoolExecutor(len(bodies) + 1) as threads,
        psycopg.connect(web_url, autocommit=True) as watching,
    ):
        with inbox_locked(web_url):
            first = threads.submit(receiver.post, b"first")
            until(lambda: waiting_inserts(watching))
            rest = [threads.submit(receiver.post, body) for body in bodies]
            until(lambda: receiver.commit.submitted == len(bodies) + 1)
        answers = [future.result() for future in (first, *rest)]
    assert {answer.status_code for answer in answers} == {200}
    found = query(web_database, "select body, xmin::text from webhook_inbox")
    assert {body for body, _ in found} == {b"first", *bodies}
    assert len({commit for _, commit in found}) == 2
    assert sorted(receiver.commits) == [1, 100]


def test_a_commit_has_a_limit_of_bodies_and_of_bytes(
    web_url: str, receiver: Receiver, web_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BATCH", 10)
    monkeypatch.setattr(module, "_MAX_BATCH_BYTES", 100)
    commits: list[int] = []

    async def store_all() -> None:
        async with GroupCommit(web_url, "public", commits.append) as commit:
            await asyncio.gather(*(commit.store(b"x") for _ in range(25)))
            await asyncio.gather(*(commit.store(b"x" * 60) for _ in range(4)))

    asyncio.run(store_all())
    assert commits == [10, 10, 5, 2, 2]
    assert query(web_database, "select count(*) from webhook_inbox") == [(29,)]


def test_bodies_beyond_the_queues_limit_are_refused_until_it_empties(
    web_url: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MAX_QUEUED_BYTES", 1000)
    commits: list[int] = []

    async def store_all() -> list[Any]:
        async with GroupCommit(web_url, "public", commits.append) as commit:
            first = await asyncio.gather(
                *(commit.store(b"x" * 100) for _ in range(15)), return_exceptions=True
            )
            await asyncio.gather(*(commit.store(b"x" * 100) for _ in range(10)))
            return first

    first = asyncio.run(store_all())
    assert [type(one) for one in first] == [type(None)] * 10 + [DatabaseUnavailable] * 5
    assert sum(commits) == 20


def test_a_sender_that_disconnects_does_not_delay_others(web_url: str, receiver: Receiver) -> None:
    commits: list[int] = []

    async def store_all() -> None:
        async with GroupCommit(web_url, "public", commits.append) as commit:
            disconnects = asyncio.create_task(commit.store(b"disconnects"))
            stays = asyncio.create_task(commit.store(b"stays"))
            await asyncio.sleep(0)
            disconnects.cancel()
            await stays
            await commit.store(b"next")

    asyncio.run(store_all())
    assert commits == [2, 1]


def test_deliveries_get_503_while_the_database_is_down_and_200_afterwards(
    alone: Receiver, url: str, server: str, database: Database
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
        found = direct.execute(
            "select body from messenger_pipeline.webhook_inbox order by id"
        ).fetchall()
    assert found == [(b"before",), (b"after",)]


def test_a_blocked_commit_gets_its_503_within_five_seconds(alone: Receiver, url: str) -> None:
    assert alone.post(b"before").status_code == 200
    with inbox_locked(url):
        answer = alone.post(b"meanwhile")
        assert answer.status_code == 503
        assert answer.elapsed.total_seconds() < 5, "Meta waits five seconds for a response"
    assert alone.post(b"after").status_code == 200


def test_a_hanging_server_costs_a_delivery_less_than_five_seconds(
    alone: Receiver, url: str
) -> None:
    """The server does not react to a request to cancel either."""
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
            until(lambda: alone.commit.submitted == 2)
            second = threads.submit(alone.post, b"behind it")
            for answer in (first.result(), second.result()):
                assert answer.status_code == 503
                assert answer.elapsed.total_seconds() < 5, "Meta waits five seconds for a response"
        assert alone.post(b"after").status_code == 200
    finally:
        backend.resume()


def test_concurrent_deliveries_are_each_stored_once(
    receiver: Receiver, web_database: Database
) -> None:
    bodies = [b"%d" % number for number in range(200)]
    barrier = threading.Barrier(20)

    def send(portion: list[bytes]) -> None:
        barrier.wait()
        for body in portion:
            assert receiver.post(body).status_code == 200

    with ThreadPoolExecutor(20) as threads:
        list(threads.map(send, [bodies[start::20] for start in range(20)]))
    assert sorted(query(web_database, "select body from webhook_inbox")) == sorted(
        (body,) for body in bodies
    )


@pytest.mark.parametrize("error", [AssertionError, ValueError, MemoryError])
def test_a_callback_that_fails_ends_no_commit(web_url: str, error: type[Exception]) -> None:
    called: list[int] = []

    def failing(deliveries: int) -> None:
        called.append(deliveries)
        raise error

    async def store_all() -> None:
        async with GroupCommit(web_url, "public", failing) as commit:
            await commit.store(b"first")
            await commit.store(b"second")
            await commit.check()

    asyncio.run(store_all())
    assert called == [1, 1]


def test_an_error_that_nobody_foresaw_fails_one_commit_only(
    web_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert, failures = GroupCommit._insert, iter([KeyError, MemoryError])

    async def failing(self: GroupCommit, bodies: list[bytes]) -> None:
        if (error := next(failures, None)) is not None:
            raise error
        await insert(self, bodies)

    monkeypatch.setattr(GroupCommit, "_insert", failing)

    async def store_all() -> None:
        async with GroupCommit(web_url, "public", lambda _: None) as commit:
            for _ in range(2):
                with pytest.raises(DatabaseUnavailable, match="could not be committed"):
                    await commit.store(b"first")
            await commit.store(b"second")

    asyncio.run(store_all())
