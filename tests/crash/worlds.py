"""The states of the page that the walks read. It is small, but has what makes walks difficult."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta

import uvicorn

from graph_simulator import World, create_app
from graph_simulator.world import END
from tests.conftest import Simulated

FAULTS = (
    # The list takes several responses, and so does the history of a long thread.
    {"name": "too_much_data", "weight": 160},
    {"name": "message_bad_time", "thread": 2, "message": 0},
)
REFUSED_TEXT = "PostgreSQL refuses this one"
DELETED = 9


def first() -> World:
    """14 threads. Three are longer than the nested page, one of them takes several more calls."""
    return World(seed=7, pages=1, conversations=14)


def later() -> World:
    """The same with new messages, in one thread more than the nested page, and a new contact."""
    world = first()
    page = next(iter(world.pages.values()))
    for number in range(40):
        world.inject(page, 5, f"number {number}", END + timedelta(hours=1, minutes=number))
    for number in (0, 3, 8):
        world.inject(page, number, "new", END + timedelta(hours=2, seconds=number))
    world.inject(page, None, "from a new contact", END + timedelta(hours=3))
    world.inject(page, 1, REFUSED_TEXT, END + timedelta(hours=3))
    return world


def last() -> World:
    """The same with a thread deleted and two more messages."""
    world = later()
    page = next(iter(world.pages.values()))
    world.delete(page, DELETED)
    for number in (2, 11):
        world.inject(page, number, "newer", END + timedelta(hours=4))
    return world


@contextlib.contextmanager
def served(world: World) -> Iterator[Simulated]:
    """Serve a world over HTTP with its faults."""
    app = create_app(world, faults=FAULTS)
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield Simulated(world, listening.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join()
