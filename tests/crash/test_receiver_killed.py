"""The receiver, its drain and the server are killed and started again under load."""

import random
import time
from collections.abc import Callable, Iterator

import pytest

from graph_simulator import World
from messenger_pipeline.db import migrate
from messenger_pipeline.db.embedded import database_url
from messenger_pipeline.db.pool import Database
from tests.crash.databases import ask
from tests.crash.effort import note, share
from tests.crash.own_server import OwnServer, own_server
from tests.crash.receiver import GRACE, Receiver, environment, receiving, register_pages
from tests.crash.senders import Sender, faults_of_inbox, settle
from tests.happened import difference

Interruption = Callable[[OwnServer, Receiver, Sender], None]


@pytest.fixture(scope="module")
def own() -> Iterator[OwnServer]:
    with own_server() as own:
        yield own


def kill(_: OwnServer, receiver: Receiver, __: Sender) -> None:
    receiver.kill()
    receiver.start()


def kill_alone(_: OwnServer, receiver: Receiver, __: Sender) -> None:
    receiver.kill_alone()
    receiver.start()


def kill_drain(_: OwnServer, receiver: Receiver, __: Sender) -> None:
    receiver.drain().kill()


def terminate(_: OwnServer, receiver: Receiver, __: Sender) -> None:
    began = time.monotonic()
    receiver.terminate()
    assert receiver.exit_code() == 0
    assert time.monotonic() - began < GRACE
    receiver.start()


def restart(own: OwnServer, _: Receiver, __: Sender) -> None:
    own.restart("fast")


def crash(own: OwnServer, _: Receiver, __: Sender) -> None:
    own.restart("immediate")


def leave(own: OwnServer, _: Receiver, sender: Sender) -> None:
    own.stop("fast")
    try:
        sender.wait_for(3, status=503)
    finally:
        own.start()


INTERRUPTIONS: list[tuple[str, Interruption]] = [
    ("receivers killed with their drains", kill),
    ("crashes of the server", crash),
    ("drains killed", kill_drain),
    ("receivers asked to end", terminate),
    ("receivers killed", kill_alone),
    ("restarts", restart),
    ("servers away", leave),
]


def test_what_was_answered_200_is_kept_as_sent_and_applied_once_whatever_dies(
    own: OwnServer,
) -> None:
    """And what was not is there as a whole or not at all: it is sent until it was."""
    url = database_url(own.url, "killed")
    migrate.upgrade(url, "public")
    world, chance = World(seed=11, pages=2, conversations=12), random.Random(5)
    register_pages(url, world)
    number = share(0.12)
    turns = (INTERRUPTIONS * number)[:number]
    chance.shuffle(turns)
    with receiving(environment(url)) as receiver:
        sender = Sender(world, receiver.port)
        with sender.sending():
            for kind, interrupt in turns:
                sender.wait_for(chance.randint(5, 150))
                interrupt(own, receiver, sender)
                note(kind)
            sender.wait_for(20)
        settle(url)
    assert faults_of_inbox(url, sender.sent) == []
    assert ask(url, "select distinct state from webhook_inbox") == [("done",)]
    with Database(url) as database:
        assert difference(database, world) == []
        assert {n: told for n, told in migrate.verify(database).items() if told} == {}
