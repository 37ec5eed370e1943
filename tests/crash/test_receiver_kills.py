"""The receiver, its drain and PostgreSQL are killed and restarted under load."""

import random
import time
from collections.abc import Callable, Iterator

import pytest

from graph_simulator import World
from messenger_pipeline.db import migrate
from messenger_pipeline.db.embedded import database_url
from messenger_pipeline.db.pool import Database
from tests.activity import activity_differences
from tests.crash.databases import query
from tests.crash.interruption_counts import case_count, record
from tests.crash.receiver import GRACE, Receiver, environment, register_pages, running_receiver
from tests.crash.restartable_server import RestartableServer, restartable_server
from tests.crash.webhook_senders import Sender, inbox_differences, wait_until_drained

pytestmark = pytest.mark.large

Interruption = Callable[[RestartableServer, Receiver, Sender], None]


@pytest.fixture(scope="module")
def restartable() -> Iterator[RestartableServer]:
    with restartable_server() as restartable:
        yield restartable


def kill(_: RestartableServer, receiver: Receiver, __: Sender) -> None:
    receiver.kill()
    receiver.start()


def kill_alone(_: RestartableServer, receiver: Receiver, __: Sender) -> None:
    receiver.kill_alone()
    receiver.start()


def kill_drain(_: RestartableServer, receiver: Receiver, __: Sender) -> None:
    receiver.drain().kill()


def terminate(_: RestartableServer, receiver: Receiver, __: Sender) -> None:
    began = time.monotonic()
    receiver.terminate()
    assert receiver.exit_code() == 0
    assert time.monotonic() - began < GRACE
    receiver.start()


def restart(restartable: RestartableServer, _: Receiver, __: Sender) -> None:
    restartable.restart("fast")


def crash(restartable: RestartableServer, _: Receiver, __: Sender) -> None:
    restartable.restart("immediate")


def leave(restartable: RestartableServer, _: Receiver, sender: Sender) -> None:
    restartable.stop("fast")
    try:
        sender.wait_for(3, status=503)
    finally:
        restartable.start()


INTERRUPTIONS: list[tuple[str, Interruption]] = [
    ("receivers killed with their drains", kill),
    ("crashes of the server", crash),
    ("drains killed", kill_drain),
    ("receivers terminated", terminate),
    ("receivers killed", kill_alone),
    ("restarts", restart),
    ("servers away", leave),
]


def test_deliveries_answered_with_200_are_stored_as_sent_and_applied_once(
    restartable: RestartableServer,
) -> None:
    """Others are stored completely or not at all, and are sent until they get 200."""
    url = database_url(restartable.url, "killed")
    migrate.upgrade(url, "public")
    world, chance = World(seed=11, pages=2, conversations=12), random.Random(5)
    register_pages(url, world)
    number = case_count(0.12)
    turns = (INTERRUPTIONS * number)[:number]
    chance.shuffle(turns)
    with running_receiver(environment(url)) as receiver:
        sender = Sender(world, receiver.port)
        with sender.sending():
            for kind, interrupt in turns:
                sender.wait_for(chance.randint(5, 150))
                interrupt(restartable, receiver, sender)
                record(kind)
            sender.wait_for(20)
        wait_until_drained(url)
    assert inbox_differences(url, sender.sent) == []
    assert query(url, "select distinct state from messenger_pipeline.webhook_inbox") == [("done",)]
    with Database(url) as database:
        assert activity_differences(database, world) == []
        assert {n: finding for n, finding in migrate.verify(database).items() if finding} == {}
