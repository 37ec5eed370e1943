"""A call of the Graph API: its page, what it requests, and how faults change its response."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import Response

from graph_simulator.call_log import CallLog
from graph_simulator.cursors import read_list_cursor, read_message_cursor
from graph_simulator.errors import ApiError, not_found
from graph_simulator.faults.malformed import Malformation, Record
from graph_simulator.fields import Fields, parse_fields, parse_limit
from graph_simulator.page import SimulatedPage
from graph_simulator.profiles import find_contact
from graph_simulator.world import ListPosition, World

Edge = Literal["conversations", "messages", "thread", "page", "profile"]

RecordHit = Callable[[], None]
"""Counts a hit of a fault."""

MAX_MESSAGES = 100  # cut silently, as Meta does
_MAX_LIMITS: dict[str, int] = {"conversations": 200, "messages": MAX_MESSAGES}
_DEFAULT_FIELDS = {
    "conversations": "id,updated_time",
    "messages": "id,created_time",
    "thread": "id,name",
    "page": "id,name",
    "profile": "first_name,last_name,profile_pic",
}


@dataclass
class Call:
    request: Request
    world: World
    log: CallLog
    page: SimulatedPage
    edge: Edge
    number: int  # the thread's on its own edges, the contact's on a profile's
    fields: Fields
    limit: int
    at: float  # monotonic seconds
    # Set by faults:
    headers: dict[str, str] = field(default_factory=dict)
    transform: Callable[[Response], Response] | None = None  # applied to the finished response
    empty: bool = False  # a list without records that continues
    omit_cursors: bool = False  # `next` without `cursors`
    detailed: int | None = None  # how many of a thread's newest messages have details
    only_ids: bool = False  # list the others by id instead of refusing them
    malformations: list[tuple[Malformation, RecordHit]] = field(default_factory=list)

    @property
    def after(self) -> str | None:
        return self.request.query_params.get("after") or None

    @property
    def requested_limit(self) -> int:
        """The `limit` as it was requested, which lists cut silently."""
        return parse_limit(self.request.query_params.get("limit"), sys.maxsize)

    @property
    def list_position(self) -> ListPosition | None:
        """Where the list of threads continues. Raises ApiError."""
        return read_list_cursor(self.page, self.world.cursors, self.after) if self.after else None

    @property
    def top(self) -> int:
        """The ordinal above the newest requested message. Raises ApiError."""
        if self.edge == "messages" and self.after:
            return read_message_cursor(self.page, self.after)
        return self.world.length(self.page, self.number)

    @property
    def nested_limit(self) -> int:
        """How many messages are requested with each thread."""
        if self.edge == "messages" or "messages" not in self.fields:
            return 0
        return min(self.fields["messages"][0] or 25, MAX_MESSAGES)

    @property
    def weight(self) -> int:
        """How many records are requested, threads and messages."""
        return self.limit * (1 + self.nested_limit)

    def malform_thread(self, number: int, thread: Record) -> Any:
        """Apply the faults that concern a thread's record."""
        for malformation, record_hit in self.malformations:
            if malformation.concerns(self.page, number):
                before, thread = thread, malformation.apply_to_thread(thread)
                if thread is not before:
                    record_hit()
        return thread

    def malform_message(self, number: int, ordinal: int, message: Record) -> Record:
        """Apply the faults that concern a message's record."""
        for malformation, record_hit in self.malformations:
            if malformation.concerns(self.page, number):
                before = message
                message = malformation.apply_to_message(self.page, ordinal, message)
                if message is not before:
                    record_hit()
        return message


def parse_call(
    request: Request, world: World, log: CallLog, page: SimulatedPage, at: float
) -> Call:
    """Parse the path and query of a call by a page's token. Raises ApiError for what the API does
    not have."""
    object_id, query = request.path_params["object_id"], request.query_params
    edge = _edge(object_id, request.path_params.get("edge", ""), page)
    number = 0
    if edge == "conversations":
        page = _inbox(world, page, query.get("platform", "messenger"))
    elif edge in ("thread", "messages"):
        found = world.find_thread(object_id)
        if found is None or found[0].token != page.token:
            raise not_found(object_id)
        page, number = found
    elif edge == "profile":
        page, number = find_contact(world, page, object_id)
    fields = parse_fields(query.get("fields", _DEFAULT_FIELDS[edge]))
    limit = parse_limit(query.get("limit"), _MAX_LIMITS[edge]) if edge in _MAX_LIMITS else 1
    return Call(request, world, log, page, edge, number, fields, limit, at)


def _inbox(world: World, page: SimulatedPage, platform: str) -> SimulatedPage:
    found = world.inbox(page, platform)
    if found is None:
        raise ApiError(400, 100, f"(#100) Page {page.id} has no Instagram professional account")
    return found


def _edge(object_id: str, name: str, page: SimulatedPage) -> Edge:
    own = object_id in (page.id, "me")
    if name == "conversations":
        if not own:
            raise ApiError(403, 200, f"(#200) The token gives no permission on page {object_id}")
        return "conversations"
    if name == "messages":
        return "messages"
    if own and name in ("", "subscribed_apps"):
        return "page"
    if name == "":
        return "profile" if object_id.isdecimal() else "thread"
    raise not_found(object_id)
