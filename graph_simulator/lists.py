"""Faults of lists: cursors that hold no more, answers that are short, empty or withhold."""

from typing import Literal

from graph_simulator.call import Call
from graph_simulator.cursors import too_deep
from graph_simulator.kinds import ALWAYS, fault, with_cursor


@fault(edges=("conversations",), when=with_cursor)
def cursors_expire(call: Call) -> None:
    """Code 100: at a call with a cursor every cursor of the list of threads so far expires; new
    ones hold. Calls without a cursor do not count."""
    call.page.expiries["list"] += 1


@fault(edges=("messages",), when=with_cursor)
def message_cursors_expire(call: Call) -> None:
    """Code 100: at a call with a cursor every cursor of messages so far expires; new ones hold.
    Calls without a cursor do not count."""
    call.page.expiries["messages"] += 1


def _deeper(call: Call, depth: int) -> bool:
    return call.after is not None and call.world.depth(call.page, call.list_place) > depth


@fault(ALWAYS, ("conversations",), _deeper)
def cursor_depth(call: Call, *, depth: int = 500) -> None:
    """Code 100 to every cursor that stands behind more than `depth` threads."""
    raise too_deep()


def _deeper_in_thread(call: Call, depth: int) -> bool:
    length = call.world.length(call.page, call.number)
    return call.after is not None and length - call.top > depth


@fault(ALWAYS, ("messages",), _deeper_in_thread)
def message_cursor_depth(call: Call, *, depth: int = 500) -> None:
    """Code 100 to every cursor that stands behind more than `depth` messages of a thread."""
    raise too_deep()


@fault(ALWAYS)
def paging_without_cursors(call: Call) -> None:
    """Where a list goes on, `next` is given and `cursors` is absent; in nested lists too."""
    call.bare_paging = True


@fault(edges=("conversations", "messages"))
def empty_with_next(call: Call) -> None:
    """An answer without any record, whose `next` goes on where it was."""
    call.empty = True


@fault(ALWAYS, ("conversations", "messages"))
def short_answers(call: Call) -> None:
    """Every answer of a list has a third of the records that were asked for."""
    call.limit = max(1, call.limit // 3)


@fault(ALWAYS, ("conversations", "messages", "thread"))
def history_limit(
    call: Call, *, newest: int = 20, style: Literal["refused", "ids"] = "refused"
) -> None:
    """Only the `newest` messages of a thread have details. The others are `refused` as if they
    were deleted (code 100, subcode 33), though a list that ends before them has a `next`; or
    they are listed by their `ids` alone."""
    call.newest, call.only_ids = newest, style == "ids"
