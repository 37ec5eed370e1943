"""The receiver is killed, asked to end or cut off from its server at a moment that is chosen."""

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
from tests.crash.databases import STOPS, ask, clone, cloned, name_of
from tests.crash.effort import note, selection, share, some
from tests.crash.own_server import OwnServer, own_server
from tests.crash.receiver import Receiver, draining, environment, receiving, register_pages
from tests.crash.senders import bodies_of, post, settle, signed
from tests.crash.stages import firings
from tests.crash.waiting import barrier, until
from tests.happened import difference

META_SECONDS = 5.0
"""After which Meta takes a delivery for not received."""
STOPS_OF_INBOX = """
create trigger crash_before before insert or update on webhook_inbox
    for each statement execute function crash_stop();
create trigger crash_after after insert or update on webhook_inbox
    for each statement execute function crash_stop();
"""


@pytest.fixture(scope="module")
def world() -> World:
    return World(seed=3, pages=2, conversations=6)


@pytest.fixture(scope="module")
def bodies(world: World) -> list[bytes]:
    """Deliveries of all that happens in the world."""
    return bodies_of(world, 12)


@pytest.fixture(scope="module")
def prepared(server: str, template: str, world: World) -> str:
    """The name of a database in which every statement can be waited at."""
    url = clone(server, template)
    ask(url, STOPS)
    ask(url, STOPS_OF_INBOX)
    register_pages(url, world)
    return name_of(url)


@pytest.fixture(scope="module")
def own(world: World) -> Iterator[OwnServer]:
    with own_server() as own:
        url = database_url(own.url, "away")
        migrate.upgrade(url, "public")
        register_pages(url, world)
        yield own


def faults_after(url: str, world: World, bodies: list[bytes]) -> list[str]:
    with Database(url) as database:
        found = difference(database, world)
        found += [f"{n}: {told}" for n, told in migrate.verify(database).items() if told]
    kept = {bytes(body) for (body,) in ask(url, "select body from webhook_inbox")}
    if kept != set(bodies):
        found.append(f"kept is not what was sent: {kept ^ set(bodies)}")
    return found


# -- Killed at a statement ----------------------------------------------------------------------


def test_a_drain_killed_at_any_statement_applied_all_of_its_deliveries_or_none(
    server: str, prepared: str, world: World, bodies: list[bytes]
) -> None:
    def filled(url: str) -> None:
        with Database(url) as database:
            inbox.receive(database, bodies)

    with cloned(server, prepared) as url:
        filled(url)
        first = firings(url)
        with draining(environment(url)):
            settle(url)
        last = firings(url)
        faults = faults_after(url, world, bodies)
    for number in selection(range(first + 1, last + 1), share(0.03)):
        with cloned(server, prepared) as url:
            filled(url)
            with barrier(url, number) as before:
                with draining(environment(url)) as process:
                    until(lambda: before.waiting() != [], "the wanted statement")
                    process.kill()
                    process.wait()
                    note("drains killed at a statement")
                before.open()
            until(lambda: ask(url, LEFT_OVER) == [(0,)], "the dead drain's backend")
            events = "select count(*) from contact_interaction_events"
            if ask(url, events) != [(0,)] or ask(url, SETTLED) != [(0,)]:
                faults.append(f"firing {number}: a part was applied")
            with draining(environment(url)):
                settle(url)
            faults += [f"firing {number}: {one}" for one in faults_after(url, world, bodies)]
    assert faults == []


LEFT_OVER = (
    "select count(*) from pg_stat_activity where datname = current_database()"
    " and pid <> pg_backend_pid() and application_name like 'messenger-pipeline%'"
)
SETTLED = "select count(*) from webhook_inbox where state <> 'pending'"


@pytest.mark.parametrize("statement", some([1, 2]))
def test_a_delivery_whose_receiver_died_within_the_insert_is_there_as_a_whole_or_not_at_all(
    server: str, prepared: str, world: World, bodies: list[bytes], statement: int
) -> None:
    """It was not answered, so it comes again; it is applied once."""
    with cloned(server, prepared) as url, receiving(environment(url)) as receiver:
        with barrier(url, firings(url) + statement) as before:
            with ThreadPoolExecutor(1) as pool:
                answer = pool.submit(deliver, receiver, bodies[0])
                until(lambda: before.waiting() != [], "the insert")
                receiver.kill()
                note("receivers killed within an insert")
                assert answer.result()[0] is None
            before.open()
        until(lambda: ask(url, LEFT_OVER) == [(0,)], "the dead receiver's backend")
        kept = ask(url, "select body from webhook_inbox")
        assert kept in ([], [(bodies[0],)])
        receiver.start()
        assert [deliver(receiver, body)[0] for body in bodies] == [200] * len(bodies)
        settle(url)
        assert faults_after(url, world, bodies) == []


# -- Asked to end -------------------------------------------------------------------------------


def test_a_receiver_that_is_asked_to_end_answers_the_requests_under_way(
    server: str, template: str, bodies: list[bytes]
) -> None:
    """Those whose body it waits for, and those whose commit waits for a lock."""
    with (
        cloned(server, template) as url,
        receiving(environment(url)) as receiver,
        ExitStack() as sockets,
    ):
        begun = [sockets.enter_context(Begun(receiver.port, body)) for body in bodies]
        with psycopg.connect(url) as other:
            other.execute("lock table webhook_inbox in share mode")
            for one in begun[:3]:
                one.finish()
            until(lambda: ask(url, WAITING) == [(1,)], "the insert")
            receiver.terminate()
            until(lambda: not listens(receiver.port), "the end of the listening")
        for one in begun[3:]:
            one.finish()
        assert [one.status() for one in begun] == [200] * len(bodies)
        assert receiver.exit_code() == 0
        note("receivers asked to end")
        kept = ask(url, "select body from webhook_inbox")
        assert sorted(bytes(body) for (body,) in kept) == sorted(bodies)


WAITING = (
    "select count(*) from pg_stat_activity where datname = current_database()"
    " and wait_event_type = 'Lock' and query like '%receive_webhook_deliveries%'"
)


class Begun:
    """A request of which the receiver has read the headers, and waits for the body."""

    def __init__(self, port: int, body: bytes) -> None:
        self._body = body
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=META_SECONDS)
        headers = signed(body) | {"Content-Length": str(len(body)), "Expect": "100-continue"}
        lines = [f"{name}: {value}" for name, value in headers.items()]
        head = "\r\n".join(["POST /api/webhook HTTP/1.1", "Host: here", *lines, "", ""])
        self._socket.sendall(head.encode())
        assert self._socket.recv(1000).startswith(b"HTTP/1.1 100 ")

    def __enter__(self) -> "Begun":
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


# -- Without its server -------------------------------------------------------------------------


@contextmanager
def stopped(own: OwnServer) -> Iterator[None]:
    own.stop("fast")
    try:
        yield
    finally:
        own.start()


@contextmanager
def crashed(own: OwnServer) -> Iterator[None]:
    own.stop("immediate")
    try:
        yield
    finally:
        own.start()


@contextmanager
def frozen(own: OwnServer) -> Iterator[None]:
    own.freeze()
    try:
        yield
    finally:
        own.thaw()


@contextmanager
def locked(own: OwnServer) -> Iterator[None]:
    with psycopg.connect(database_url(own.url, "away")) as other:
        other.execute("lock table webhook_inbox in access exclusive mode")
        yield


@pytest.mark.parametrize("away", some([frozen, stopped, crashed, locked]))
def test_a_server_that_is_away_is_told_in_time_and_used_again_once_it_is_back(
    own: OwnServer, bodies: list[bytes], away: Any
) -> None:
    url = database_url(own.url, "away")
    with receiving(environment(url)) as receiver:
        pid = receiver.pid
        assert deliver(receiver, bodies[0])[0] == 200
        with away(own):
            note("servers away")
            found = deliver_in_turns(receiver, bodies)
            if away is not locked:
                assert receiver.status_of("readyz") == 503
            assert receiver.status_of("healthz") == 200
        until(lambda: deliver(receiver, bodies[1])[0] == 200, "the server", 30)
        assert (receiver.pid, receiver.status_of("readyz")) == (pid, 200)
        settle(url)
    assert {status for status, _ in found} == {503}
    assert max(seconds for _, seconds in found) < META_SECONDS


def deliver(receiver: Receiver, body: bytes) -> tuple[int | None, float]:
    """How it was answered, and after how many seconds."""
    connection = HTTPConnection("127.0.0.1", receiver.port, timeout=30)
    began = time.monotonic()
    status = post(connection, body)
    connection.close()
    return status, time.monotonic() - began


def deliver_in_turns(receiver: Receiver, bodies: list[bytes]) -> list[tuple[int | None, float]]:
    """One begins when another has waited a while: a commit that fails late must not let those wait
    on that came meanwhile."""
    with ThreadPoolExecutor(5) as pool:
        begun: list[Future[tuple[int | None, float]]] = []
        for body in bodies[:5]:
            begun.append(pool.submit(deliver, receiver, body))
            with suppress(TimeoutError):
                begun[-1].result(0.7)
        return [one.result() for one in begun]
