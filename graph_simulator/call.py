"""A call of the Graph API: who calls, what for, and what about its answer faults have changed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import Response

from graph_simulator.cursors import read_list_cursor, read_message_cursor
from graph_simulator.ledger import Ledger
from graph_simulator.malformed import Oddity, Record
from graph_simulator.page import SimulatedPage
from graph_simulator.profiles import find_contact
from graph_simulator.wire import Fields, Refused, gone, limit_in, parse_fields
from graph_simulator.world import Place, World

Edge = Literal["conversations", "messages", "thread", "page", "profile"]

Strike = Callable[[], None]
"""Tells a fault that it showed."""

MAX_MESSAGES = 100  # cut silently, as Meta does
_MOST: dict[str, int] = {"conversations": 200, "messages": MAX_MESSAGES}
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
    ledger: Ledger
    page: SimulatedPage
    edge: Edge
    number: int  # of the thread, on its own edges; of the contact, on theirs
    fields: Fields
    limit: int
    at: float  # monotonic seconds
    # How faults have it answered:
    headers: dict[str, str] = field(default_factory=dict)
    spoil: Callable[[Response], Response] | None = None  # what becomes of the finished answer
    empty: bool = False  # a list without records that goes on
    bare_paging: bool = False  # `next` without cursors
    newest: int | None = None  # how many messages of a thread have details
    only_ids: bool = False  # of the others, rather than an error
    oddities: list[tuple[Oddity, Strike]] = field(default_factory=list)

    @property
    def after(self) -> str | None:
        return self.request.query_params.get("after") or None

    @property
    def list_place(self) -> Place | None:
        """Where the list of threads goes on. Raises Refused."""
        return read_list_cursor(self.page, self.world.cursors, self.after) if self.after else None

    @property
    def top(self) -> int:
        """The ordinal above the newest message asked for. Raises Refused."""
        if self.edge == "messages" and self.after:
            return read_message_cursor(self.page, self.after)
        return self.world.length(self.page, self.number)

    @property
    def nested_limit(self) -> int:
        """How many messages are asked for with each thread."""
        if self.edge == "messages" or "messages" not in self.fields:
            return 0
        return min(self.fields["messages"][0] or 25, MAX_MESSAGES)

    @property
    def weight(self) -> int:
        """How many records are asked for, threads and messages."""
        return self.limit * (1 + self.nested_limit)

    def thread_as_told(self, number: int, thread: Record) -> Any:
        """What odd records make of a thread."""
        for oddity, strike in self.oddities:
            if oddity.concerns(self.page, number):
                before, thread = thread, oddity.thread_as_told(thread)
                if thread is not before:
                    strike()
        return thread

    def message_as_told(self, number: int, ordinal: int, message: Record) -> Record:
        """What odd records make of a message."""
        for oddity, strike in self.oddities:
            if oddity.concerns(self.page, number):
                before, message = message, oddity.message_as_told(self.page, ordinal, message)
                if message is not before:
                    strike()
        return message


def parse_call(
    request: Request, world: World, ledger: Ledger, page: SimulatedPage, at: float
) -> Call:
    """What a call asks for. Raises Refused if there is no such thing."""
    object_id, query = request.path_params["object_id"], request.query_params
    edge = _edge(object_id, request.path_params.get("edge", ""), page)
    number = 0
    if edge in ("thread", "messages"):
        found = world.find_thread(object_id)
        if found is None or found[0] is not page:
            raise gone(object_id)
        number = found[1]
    elif edge == "profile":
        number = find_contact(page, object_id)
    fields = parse_fields(query.get("fields", _DEFAULT_FIELDS[edge]))
    limit = limit_in(query.get("limit"), _MOST[edge]) if edge in _MOST else 1
    return Call(request, world, ledger, page, edge, number, fields, limit, at)


def _edge(object_id: str, named: str, page: SimulatedPage) -> Edge:
    own = object_id in (page.id, "me")
    if named == "conversations":
        if not own:
            raise Refused(403, 200, f"(#200) The token gives no permission on page {object_id}")
        return "conversations"
    if named == "messages":
        return "messages"
    if own and named in ("", "subscribed_apps"):
        return "page"
    if named == "":
        return "profile" if object_id.isdecimal() else "thread"
    raise gone(object_id)
