"""Faults of lists: expired cursors, and short, empty or incomplete responses."""

from typing import Literal

from graph_simulator.call import Call
from graph_simulator.cursors import cursor_too_deep
from graph_simulator.faults.types import ALWAYS, call_fault, with_cursor


@call_fault(edges=("conversations",), condition=with_cursor)
def cursors_expire(call: Call) -> None:
    """Code 100: a call with a cursor expires every cursor of the list of threads issued so far.
    New cursors are valid. Calls without a cursor do not count."""
    call.page.expiries["list"] += 1


@call_fault(edges=("messages",), condition=with_cursor)
def message_cursors_expire(call: Call) -> None:
    """Code 100: a call with a cursor expires every cursor of messages issued so far. New cursors
    are valid. Calls without a cursor do not count."""
    call.page.expiries["messages"] += 1


def _is_deeper(call: Call, depth: int) -> bool:
    return call.after is not None and call.world.depth(call.page, call.list_position) > depth


@call_fault(ALWAYS, ("conversations",), _is_deeper)
def cursor_depth(call: Call, *, depth: int = 500) -> None:
    """Code 100 for every cursor after more than `depth` threads."""
    raise cursor_too_deep()


def _is_deeper_in_thread(call: Call, depth: int) -> bool:
    length = call.world.length(call.page, call.number)
    return call.after is not None and length - call.top > depth


@call_fault(ALWAYS, ("messages",), _is_deeper_in_thread)
def message_cursor_depth(call: Call, *, depth: int = 500) -> None:
    """Code 100 for every cursor after more than `depth` messages of a thread."""
    raise cursor_too_deep()


@call_fault(ALWAYS)
def paging_without_cursors(call: Call) -> None:
    """Lists, nested ones too, have `paging.next` but no `paging.cursors`."""
    call.omit_cursors = True


@call_fault(edges=("conversations", "messages"))
def empty_with_next(call: Call) -> None:
    """A response without records, whose `next` continues at the same position."""
    call.empty = True


@call_fault(ALWAYS, ("conversations", "messages"))
def short_responses(call: Call) -> None:
    """Every list response has a third of the requested records."""
    call.limit = max(1, call.limit // 3)


@call_fault(ALWAYS, ("conversations", "messages", "thread"))
def history_limit(
    call: Call, *, newest: int = 20, style: Literal["refused", "ids"] = "refused"
) -> None:
    """Only the `newest` messages of a thread have details. With style=refused the list ends before
    the others with a `next`, which is answered as if they were deleted (code 100, subcode 33).
    With style=ids the list has their ids alone."""
    call.detailed, call.only_ids = newest, style == "ids"
