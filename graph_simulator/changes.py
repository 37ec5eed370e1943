"""Faults that change the world, right before the call is answered.

Those that make lists or threads odd do it as soon as they are ordered, unless calls are to pass
first.
"""

from datetime import UTC, datetime

from graph_simulator.history import END
from graph_simulator.kinds import EVERYWHERE, change
from graph_simulator.page import SimulatedPage
from graph_simulator.world import World


@change()
def reorder(world: World, page: SimulatedPage, *, thread: int | None = None) -> None:
    """A thread, the last of the list unless told, gets a new message and jumps to the head."""
    number = page.last() if thread is None else thread
    world.inject(page, number, "A message during the walk", datetime.now(UTC))


@change()
def insertion(world: World, page: SimulatedPage) -> None:
    """A new thread with one message comes to the head of the list."""
    world.inject(page, None, "A first message during the walk", datetime.now(UTC))


@change()
def deletion(world: World, page: SimulatedPage, *, thread: int | None = None) -> None:
    """A thread, the last of the list unless told, is deleted: it is listed no more, and calls of
    its own answer code 100, subcode 33."""
    world.delete(page, page.last() if thread is None else thread)


@change(at_once=True)
def hidden(world: World, page: SimulatedPage, *, thread: int = 0) -> None:
    """A thread is left out of the list, but its own calls are answered, as of those idle in the
    request folder; a new message brings it back."""
    page.hide(thread)


@change(at_once=True)
def unsorted(world: World, page: SimulatedPage) -> None:
    """The list is not in the order of updated_time: each two neighbours change places."""
    page.disorder()


@change(at_once=True)
def future_time(world: World, page: SimulatedPage, *, thread: int = 0, seconds: int = 3600) -> None:
    """A thread stands at the head with an updated_time so many `seconds` in the future, until it
    gets a new message."""
    page.postpone(thread, int((END - datetime.now(UTC)).total_seconds()) - seconds)


@change(EVERYWHERE, at_once=True)
def equal_seconds(world: World, page: SimulatedPage, *, thread: int = 0) -> None:
    """All seeded messages of a thread are of one second."""
    world.level(page, thread)


@change(EVERYWHERE, at_once=True)
def long_thread(
    world: World, page: SimulatedPage, *, thread: int = 0, messages: int = 20_000
) -> None:
    """A thread has so many `messages`; those that it had are the newest of them."""
    world.lengthen(page, thread, messages)


@change(EVERYWHERE, at_once=True)
def shared_contact(world: World, page: SimulatedPage, *, thread: int = 0, other: int = 1) -> None:
    """A thread has the contact of another."""
    world.share_contact(page, thread, other)
