"""The receiver is killed, terminated or cut off from PostgreSQL at a chosen moment."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPConnection
from typing import Any

import psycopg
import pytest

from graph_simulator import World
from messenger_pipeline.db import inbox, migrate
from messenger_pipeline.db.embedded import database_url
from messenger_pipeline.db.pool import Database
from tests.activity import activity_differences
from tests.crash.barriers import barrier, until
from tests.crash.databases import STOPS, clone, cloned, name_of, query
from tests.crash.interruption_counts import case_count, record, sample, subset
from tests.crash.receiver import (
    Receiver,
    environment,
    register_pages,
    running_drain,
    running_receiver,
)
from tests.crash.restartable_server import RestartableServer, restartable_server
from tests.crash.scenarios import trigger_firings
from tests.crash.webhook_senders import bodies_of, post, signed, wait_until_drained

META_SECONDS = 5.0
"""Seconds after which Meta counts a delivery as failed."""
STOPS_OF_INBOX = """
create trigger crash_before before insert or update on messenger_pipeline.webhook_inbox
    for each statement execute function crash_stop();
create trigger crash_after after insert or update on messenger_pipeline.webhook_inbox
    for each statement execute function crash_stop();
"""


@pytest.fixture(scope="module")
def world() -> World:
    return World(seed=3, pages=2, conversations=6)


@pytest.fixture(scope="module")
def bodies(world: World) -> list[bytes]:
    """Deliveries of all activity in the world."""
    return bodies_of(world, 12)


@pytest.fixture(scope="module")
def prepared(server: str, template: str, world: World) -> str:
    """The name of a database in which a barrier can block every statement."""
    url = clone(server, template)
    query(url, STOPS)
    query(url, STOPS_OF_INBOX)
    register_pages(url, world)
    return name_of(url)


@pytest.fixture(scope="module")
def restartable(world: World) -> Iterator[RestartableServer]:
    with restartable_server() as restartable:
        url = database_url(restartable.url, "away")
        migrate.upgrade(url, "public")
        register_pages(url, world)
        yield restartable


def differences_after(url: str, world: World, bodies: list[bytes]) -> list[str]:
    with Database(url) as database:
        found = activity_differences(database, world)
        found += [f"{n}: {finding}" for n, finding in migrate.verify(database).items() if finding]
    kept = {
        bytes(body) for (body,) in query(url, "select body from messenger_pipeline.webhook_inbox")
    }
    if kept != set(bodies):
        found.append(f"the inbox differs from what was sent: {kept ^ set(bodies)}")
    return found


# -- Killed at a statement ----------------------------------------------------------------------


def test_a_drain_killed_at_any_statement_has_applied_all_of_its_deliveries_or_none(
    server: str, prepared: str, world: World, bodies: list[bytes]
) -> None:
    def fill(url: str) -> None:
        with Database(url) as database:
            inbox.receive(database, bodies)

    with cloned(server, prepared) as url:
        fill(url)
        first = trigger_firings(url)
        with running_drain(environment(url)):
            wait_until_drained(url)
        last = trigger_firings(url)
        differences = differences_after(url, world, bodies)
    for number in sample(range(first + 1, last + 1), case_count(0.03)):
        with cloned(server, prepared) as url:
            fill(url)
            with barrier(url, number) as before:
                with running_drain(environment(url)) as process:
                    until(lambda: before.waiting() != [], "the wanted statement")
                    process.kill()
                    process.wait()
                    record("drains killed at a statement")
                before.open()
            until(lambda: query(url, LEFT_OVER) == [(0,)], "the dead drain's backend")
            events = "select count(*) from contact_interaction_events"
            if query(url, events) != [(0,)] or query(url, SETTLED) != [(0,)]:
                differences.append(f"firing {number}: only a part was applied")
            with running_drain(environment(url)):
                wait_until_drained(url)
            differences += [
                f"firing {number}: {one}" for one in differences_after(url, world, bodies)
            ]
    assert differences == []


LEFT_OVER = (
    "select count(*) from pg_stat_activity where datname = current_database()"
    " and pid <> pg_backend_pid() and application_name like 'messenger-pipeline%'"
)
SETTLED = "select count(*) from messenger_pipeline.webhook_inbox where state <> 'pending'"


@pytest.mark.parametrize("statement", subset([1, 2]))
def test_a_receiver_killed_during_the_insert_stores_the_delivery_completely_or_not_at_all(
    server: str, prepared: str, world: World, bodies: list[bytes], statement: int
) -> None:
    """The delivery got no response, so it is sent again. It is applied once."""
    with cloned(server, prepared) as url, running_receiver(environment(url)) as receiver:
        with barrier(url, trigger_firings(url) + statement) as before:
            with ThreadPoolExecutor(1) as pool:
                response = pool.submit(deliver, receiver, bodies[0])
                until(lambda: before.waiting() != [], "the insert")
                receiver.kill()
                record("receivers killed during an insert")
                assert response.result()[0] is None
            before.open()
        until(lambda: query(url, LEFT_OVER) == [(0,)], "the dead receiver's backend")
        kept = query(url, "select body from messenger_pipeline.webhook_inbox")
        assert kept in ([], [(bodies[0],)])
        receiver.start()
        assert [deliver(receiver, body)[0] for body in bodies] == [200] * len(bodies)
        wait_until_drained(url)
        assert differences_after(url, world, bodies) == []


# -- Terminated ---------------------------------------------------------------------------------


def test_a_terminated_receiver_finishes_open_requests(
    server: str, template: str, bodies: list[bytes]
) -> None:
    """Both those whose body has not arrived and those whose commit waits for a lock."""
    with (
        cloned(server, template) as url,
        running_receiver(environment(url)) as receiver,
        ExitStack() as sockets,
    ):
        requests = [sockets.enter_context(OpenRequest(receiver.port, body)) for body in bodies]
        with psycopg.connect(url) as other:
            other.execute("lock table messenger_pipeline.webhook_inbox in share mode")
            for one in requests[:3]:
                one.finish()
            until(lambda: query(url, WAITING) == [(1,)], "the insert")
            receiver.terminate()
            until(lambda: not listens(receiver.port), "the listener to close")
        for one in requests[3:]:
            one.finish()
        assert [one.status() for one in requests] == [200] * len(bodies)
        assert receiver.exit_code() == 0
        record("receivers terminated")
        kept = query(url, "select body from messenger_pipeline.webhook_inbox")
        assert sorted(bytes(body) for (body,) in kept) == sorted(bodies)


WAITING = (
    "select count(*) from pg_stat_activity where datname = current_database()"
    " and wait_event_type = 'Lock' and query like '%receive_webhook_deliveries%'"
)


class OpenRequest:
    """A request whose headers the receiver has read. Its body is still missing."""

    def __init__(self, port: int, body: bytes) -> None:
        self._body = body
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=META_SECONDS)
        headers = signed(body) | {"Content-Length": str(len(body)), "Expect": "100-continue"}
        lines = [f"{name}: {value}" for name, value in headers.items()]
        head = "\r\n".join(["POST /api/webhook HTTP/1.1", "Host: here", *lines, "", ""])
        self._socket.sendall(head.encode())
        assert self._socket.recv(1000).startswith(b"HTTP/1.1 100 ")

    def __enter__(self) -> "OpenRequest":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def finish(self) -> None:
        self._socket.sendall(self._body)

    def status(self) -> int:
        return int(self._socket.recv(1000).split()[1])


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=META_SECONDS).close()
    except ConnectionRefusedError:
        return False
    return True


# -- Without PostgreSQL -------------------------------------------------------------------------


@contextmanager
def stopped(restartable: RestartableServer) -> Iterator[None]:
    restartable.stop("fast")
    try:
        yield
    finally:
        restartable.start()


@contextmanager
def crashed(restartable: RestartableServer) -> Iterator[None]:
    restartable.stop("immediate")
    try:
        yield
    finally:
        restartable.start()


@contextmanager
def frozen(restartable: RestartableServer) -> Iterator[None]:
    restartable.freeze()
    try:
        yield
    finally:
        restartable.thaw()


@contextmanager
def locked(restartable: RestartableServer) -> Iterator[None]:
    with psycopg.connect(database_url(restartable.url, "away")) as other:
        other.execute("lock table messenger_pipeline.webhook_inbox in access exclusive mode")
        yield


@pytest.mark.parametrize("away", subset([frozen, stopped, crashed, locked]))
def test_during_an_outage_the_receiver_answers_503_in_time_and_recovers_afterwards(
    restartable: RestartableServer, bodies: list[bytes], away: Any
) -> None:
    url = database_url(restartable.url, "away")
    with running_receiver(environment(url)) as receiver:
        pid = receiver.pid
        assert deliver(receiver, bodies[0])[0] == 200
        with away(restartable):
            record("servers away")
            found = deliver_staggered(receiver, bodies)
            if away is not locked:
                assert receiver.status_of("readyz") == 503
            assert receiver.status_of("healthz") == 200
        until(lambda: deliver(receiver, bodies[1])[0] == 200, "the server", 30)
        assert (receiver.pid, receiver.status_of("readyz")) == (pid, 200)
        wait_until_drained(url)
    assert {status for status, _ in found} == {503}
    assert max(seconds for _, seconds in found) < META_SECONDS


def deliver(receiver: Receiver, body: bytes) -> tuple[int | None, float]:
    """The status of the response, and the seconds until it came."""
    connection = HTTPConnection("127.0.0.1", receiver.port, timeout=30)
    began = time.monotonic()
    status = post(connection, body)
    connection.close()
    return status, time.monotonic() - began


def deliver_staggered(receiver: Receiver, bodies: list[bytes]) -> list[tuple[int | None, float]]:
    """Send each a while after the one before: a commit that fails late must not delay the requests
    that arrived during it."""
    with ThreadPoolExecutor(5) as pool:
        requests: list[Future[tuple[int | None, float]]] = []
        for body in bodies[:5]:
            requests.append(pool.submit(deliver, receiver, body))
            with suppress(TimeoutError):
                requests[-1].result(0.7)
        return [one.result() for one in requests]
