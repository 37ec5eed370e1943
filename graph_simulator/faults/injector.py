"""Applies requested faults to calls."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from graph_simulator.call import Call, Edge
from graph_simulator.call_log import CallLog
from graph_simulator.faults import limits, lists, tokens, transport, world_changes
from graph_simulator.faults.malformed import Malformation
from graph_simulator.faults.types import FaultType, fault_types_of, record_faults
from graph_simulator.page import SimulatedPage
from graph_simulator.world import World

_MODULES = (transport, limits, lists, world_changes, tokens)

FAULT_TYPES: dict[str, FaultType] = {
    one.name: one
    for one in [
        *(one for module in _MODULES for one in fault_types_of(module)),
        *record_faults(),
    ]
}
"""Every known fault, by name."""


class InvalidFault(ValueError):
    """The requested fault is unknown or has wrong parameters. The message names valid ones."""


class FaultRequest(BaseModel):
    """When and where a fault applies: to the matching calls of a page, or of every page. It lets
    the first `after` calls pass, then applies `times` times."""

    model_config = ConfigDict(extra="forbid")

    name: str
    page: str | None = None
    edge: Edge | None = None
    after: int = Field(default=0, ge=0)
    times: int | None = Field(default=None, ge=1)


@dataclass
class RequestedFault:
    """A requested fault, and how often it has applied."""

    type: FaultType
    request: FaultRequest
    parameters: dict[str, Any]
    pages: list[SimulatedPage] = field(default_factory=list)
    passed: int = 0
    hits: int = 0

    @property
    def times(self) -> int | None:
        return self.request.times or self.type.default_times

    @property
    def spent(self) -> bool:
        return self.times is not None and self.hits >= self.times

    def matches(self, call: Call) -> bool:
        edges = (self.request.edge,) if self.request.edge else self.type.edges
        here = call.edge in edges and any(page is call.page for page in self.pages)
        return here and self.type.condition(call, **self.parameters)

    def lets_pass(self) -> bool:
        """Whether the fault leaves a matching call alone. Counts the call."""
        if self.passed < self.request.after:
            self.passed += 1
            return True
        return self.spent

    def record_hit(self) -> None:
        self.hits += 1

    def malformation(self) -> Malformation:
        return Malformation(self.type.name, self.request.page, **self.parameters)

    def as_json(self) -> dict[str, Any]:
        request = self.request.model_dump() | {"times": self.times}
        return {**request, **self.parameters, "passed": self.passed, "hits": self.hits}


class FaultInjector:
    """The requested faults of a world."""

    def __init__(self, world: World, log: CallLog) -> None:
        self._world = world
        self._log = log
        self._requested: list[RequestedFault] = []

    def add(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Request a fault. Returns the request with its defaults. Raises InvalidFault."""
        fault = _parse(request)
        fault.pages = self._pages(fault)
        if fault.type.immediate and not fault.request.after:
            for page in fault.pages:
                fault.type.apply(self._world, page, **fault.parameters)
            fault.hits = fault.times or 1
        if fault.type.target == "record" and fault.times is None:
            self._world.malformations.append(fault.malformation())
        self._requested.append(fault)
        return fault.as_json()

    def clear(self) -> None:
        """Remove all faults. Messages that they added or deleted stay so."""
        self._requested.clear()
        self._world.malformations.clear()
        self._world.restore_order()
        self._log.clear_blocks()

    async def apply(self, call: Call) -> None:
        """Apply the requested faults to a call. Raises the error that a fault answers with."""
        for fault in self._requested:
            if not fault.matches(call) or fault.lets_pass():
                continue
            if fault.type.target == "record":
                call.malformations.append((fault.malformation(), _once(fault.record_hit)))
                continue
            fault.record_hit()
            target = (self._world, call.page) if fault.type.target == "world" else (call,)
            result = fault.type.apply(*target, **fault.parameters)
            if inspect.isawaitable(result):
                await result

    def has_token_fault(self, page: SimulatedPage) -> bool:
        """Whether a fault has invalidated the page's token."""
        return any(
            fault.type.name in tokens.INVALIDATING
            and any(own is page for own in fault.pages)
            and fault.passed >= fault.request.after
            and not fault.spent
            for fault in self._requested
        )

    def status(self) -> dict[str, Any]:
        return {
            "known": {name: one.as_json() for name, one in sorted(FAULT_TYPES.items())},
            "active": [one.as_json() for one in self._requested if not one.spent],
            "spent": [one.as_json() for one in self._requested if one.spent],
        }

    def _pages(self, fault: RequestedFault) -> list[SimulatedPage]:
        """The pages whose calls the fault concerns. Raises InvalidFault."""
        pages = self._world.pages
        if fault.request.page not in (None, *pages):
            raise InvalidFault(
                f"Page {fault.request.page} does not exist. Existing pages: {', '.join(pages)}."
            )
        concerned = [page for page in pages.values() if fault.request.page in (None, page.id)]
        for name in ("thread", "other"):
            number = fault.parameters.get(name)
            concerned = [page for page in concerned if number is None or page.has(number)]
            if not concerned:
                raise InvalidFault(f"None of the fault's pages has a thread {number}.")
        return concerned


def _parse(request: Mapping[str, Any]) -> RequestedFault:
    """Raises InvalidFault."""
    name = request.get("name")
    fault_type = FAULT_TYPES.get(name) if isinstance(name, str) else None
    if fault_type is None:
        raise InvalidFault(
            f"Unknown fault {name!r}. Known faults: {', '.join(sorted(FAULT_TYPES))}."
        )
    common = {key: value for key, value in request.items() if key in FaultRequest.model_fields}
    own = {key: value for key, value in request.items() if key not in FaultRequest.model_fields}
    try:
        parsed = FaultRequest.model_validate(common)
        parameters = fault_type.parameters.model_validate(own)
    except ValidationError as error:
        known = [*list(FaultRequest.model_fields)[1:], *fault_type.parameters.model_fields]
        wrong = "; ".join(
            f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()
        )
        raise InvalidFault(f"{name}: {wrong}. Its parameters: {', '.join(known)}.") from None
    # A change of the world can precede a call of any edge.
    if parsed.edge and parsed.edge not in fault_type.edges and fault_type.target != "world":
        edges = ", ".join(fault_type.edges)
        raise InvalidFault(f"{name}: it cannot apply to {parsed.edge}, only to: {edges}.")
    return RequestedFault(fault_type, parsed, parameters.model_dump())


def _once(record_hit: Callable[[], None]) -> Callable[[], None]:
    """Record one hit per call, however many records of the call are malformed."""
    left = [record_hit]
    return lambda: left.pop()() if left else None
