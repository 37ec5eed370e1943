"""Faults that change the world right before a call is answered.

Those that change a list's order or a thread apply immediately, unless they let calls pass first.
"""

from datetime import UTC, datetime

from graph_simulator.faults.types import EVERYWHERE, world_fault
from graph_simulator.history import END
from graph_simulator.page import GoneId, SimulatedPage
from graph_simulator.world import World


@world_fault()
def reorder(world: World, page: SimulatedPage, *, thread: int | None = None) -> None:
    """A thread, by default the last of the list, gets a new message and moves to the head."""
    number = page.last() if thread is None else thread
    world.inject(page, number, "A message during the walk", datetime.now(UTC))


@world_fault()
def insertion(world: World, page: SimulatedPage) -> None:
    """A new thread with one message appears at the head of the list."""
    world.inject(page, None, "A first message during the walk", datetime.now(UTC))


@world_fault()
def deletion(world: World, page: SimulatedPage, *, thread: int | None = None) -> None:
    """A thread, by default the last of the list, is deleted: the list leaves it out, and its own
    calls return code 100, subcode 33."""
    world.delete(page, page.last() if thread is None else thread)


@world_fault(immediate=True)
def hidden(world: World, page: SimulatedPage, *, thread: int = 0) -> None:
    """The list leaves a thread out, but its own calls work, as for idle threads of the request
    folder. A new message lists it again."""
    page.hide(thread)


@world_fault(immediate=True)
def unsorted(world: World, page: SimulatedPage) -> None:
    """The list is not sorted by updated_time: each pair of neighbours is swapped."""
    page.swap_neighbours()


@world_fault(immediate=True)
def future_time(world: World, page: SimulatedPage, *, thread: int = 0, seconds: int = 3600) -> None:
    """A thread is at the head with an updated_time `seconds` in the future, until it gets a new
    message."""
    page.move_to_future(thread, int((END - datetime.now(UTC)).total_seconds()) - seconds)


@world_fault(EVERYWHERE, immediate=True)
def equal_seconds(world: World, page: SimulatedPage, *, thread: int = 0) -> None:
    """All seeded messages of a thread have the same time."""
    world.put_in_one_second(page, thread)


@world_fault(EVERYWHERE, immediate=True)
def long_thread(
    world: World, page: SimulatedPage, *, thread: int = 0, messages: int = 20_000
) -> None:
    """A thread has this many `messages`. Its original messages are the newest of them."""
    world.lengthen(page, thread, messages)


@world_fault(EVERYWHERE, immediate=True)
def shared_contact(world: World, page: SimulatedPage, *, thread: int = 0, other: int = 1) -> None:
    """A thread has the same contact as another."""
    world.share_contact(page, thread, other)


@world_fault(EVERYWHERE, immediate=True)
def deleted_account(
    world: World, page: SimulatedPage, *, thread: int = 0, id: GoneId = "none"
) -> None:
    """The contact of a thread has deleted the account: it is named "Facebook User", like all of
    them, and has no `id` (none), an empty one (empty), "0" (zero), or the number 0 (number)."""
    world.delete_account(page, thread, id)
