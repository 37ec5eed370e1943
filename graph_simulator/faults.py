"""Faults ordered by name: what is known, what is ordered, and what of it meets a call."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from graph_simulator import changes, lists, quota, tokens, transport
from graph_simulator.call import Call, Edge
from graph_simulator.kinds import Kind, kinds_of, odd_kinds
from graph_simulator.ledger import Ledger
from graph_simulator.malformed import Oddity
from graph_simulator.page import SimulatedPage
from graph_simulator.world import World

_MODULES = (transport, quota, lists, changes, tokens)

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in [*(one for module in _MODULES for one in kinds_of(module)), *odd_kinds()]
}


class UnknownFault(ValueError):
    """An order that cannot be carried out; the message tells what can be."""


class Order(BaseModel):
    """When and where a fault is to happen: at the matching calls of a page, or of every page,
    once `after` of them have passed, so many `times`."""

    model_config = ConfigDict(extra="forbid")

    name: str
    page: str | None = None
    edge: Edge | None = None
    after: int = Field(default=0, ge=0)
    times: int | None = Field(default=None, ge=1)


@dataclass
class Ordered:
    """A fault that was ordered, and what came of it."""

    kind: Kind
    order: Order
    parameters: dict[str, Any]
    pages: list[SimulatedPage] = field(default_factory=list)
    passed: int = 0
    hits: int = 0

    @property
    def times(self) -> int | None:
        return self.order.times or self.kind.times

    @property
    def spent(self) -> bool:
        return self.times is not None and self.hits >= self.times

    def matches(self, call: Call) -> bool:
        edges = (self.order.edge,) if self.order.edge else self.kind.edges
        here = call.edge in edges and any(page is call.page for page in self.pages)
        return here and self.kind.when(call, **self.parameters)

    def passes(self) -> bool:
        """Whether a matching call is one of those that are to pass."""
        if self.passed < self.order.after:
            self.passed += 1
            return True
        return self.spent

    def strike(self) -> None:
        self.hits += 1

    def oddity(self) -> Oddity:
        return Oddity(self.kind.name, self.order.page, **self.parameters)

    def told(self) -> dict[str, Any]:
        order = self.order.model_dump() | {"times": self.times}
        return {**order, **self.parameters, "passed": self.passed, "hits": self.hits}


class Faults:
    """The faults that were ordered, of a world."""

    def __init__(self, world: World, ledger: Ledger) -> None:
        self._world = world
        self._ledger = ledger
        self._ordered: list[Ordered] = []

    def order(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Order a fault; what it is as ordered. Raises UnknownFault."""
        ordered = _parse(asked)
        ordered.pages = self._pages(ordered)
        if ordered.kind.at_once and not ordered.order.after:
            for page in ordered.pages:
                ordered.kind.happen(self._world, page, **ordered.parameters)
            ordered.hits = ordered.times or 1
        if ordered.kind.stage == "odd" and ordered.times is None:
            self._world.oddities.append(ordered.oddity())
        self._ordered.append(ordered)
        return ordered.told()

    def clear(self) -> None:
        """Order none anymore. What they changed of a thread's messages stays."""
        self._ordered.clear()
        self._world.oddities.clear()
        self._world.order_again()
        self._ledger.unblock()

    async def meet(self, call: Call) -> None:
        """Let what was ordered happen to a call. Raises what refuses it."""
        for ordered in self._ordered:
            if not ordered.matches(call) or ordered.passes():
                continue
            if ordered.kind.stage == "odd":
                call.oddities.append((ordered.oddity(), _once(ordered.strike)))
                continue
            ordered.strike()
            before = (self._world, call.page) if ordered.kind.stage == "change" else (call,)
            waiting = ordered.kind.happen(*before, **ordered.parameters)
            if inspect.isawaitable(waiting):
                await waiting

    def killed(self, page: SimulatedPage) -> bool:
        """Whether a fault has ended the page's token."""
        return any(
            ordered.kind.name in tokens.DEADLY
            and any(own is page for own in ordered.pages)
            and ordered.passed >= ordered.order.after
            and not ordered.spent
            for ordered in self._ordered
        )

    def told(self) -> dict[str, Any]:
        return {
            "known": {name: kind.told() for name, kind in sorted(KINDS.items())},
            "active": [one.told() for one in self._ordered if not one.spent],
            "spent": [one.told() for one in self._ordered if one.spent],
        }

    def _pages(self, ordered: Ordered) -> list[SimulatedPage]:
        """The pages whose calls it concerns. Raises UnknownFault."""
        pages = self._world.pages
        if ordered.order.page not in (None, *pages):
            raise UnknownFault(
                f"There is no page {ordered.order.page}; there are: {', '.join(pages)}."
            )
        concerned = [page for page in pages.values() if ordered.order.page in (None, page.id)]
        for name in ("thread", "other"):
            number = ordered.parameters.get(name)
            concerned = [page for page in concerned if number is None or page.has(number)]
            if not concerned:
                raise UnknownFault(f"No page that it concerns has a thread {number}.")
        return concerned


def _parse(asked: Mapping[str, Any]) -> Ordered:
    """Raises UnknownFault."""
    name = asked.get("name")
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise UnknownFault(f"There is no fault {name!r}; there are: {', '.join(sorted(KINDS))}.")
    common = {key: value for key, value in asked.items() if key in Order.model_fields}
    own = {key: value for key, value in asked.items() if key not in Order.model_fields}
    try:
        order, parameters = Order.model_validate(common), kind.parameters.model_validate(own)
    except ValidationError as error:
        known = ", ".join([*list(Order.model_fields)[1:], *kind.parameters.model_fields])
        wrong = "; ".join(
            f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()
        )
        raise UnknownFault(f"{name}: {wrong}. Its parameters are: {known}.") from None
    # A change of the world can come before any call.
    if order.edge and order.edge not in kind.edges and kind.stage != "change":
        raise UnknownFault(f"{name}: it happens only at: {', '.join(kind.edges)}.")
    return Ordered(kind, order, parameters.model_dump())


def _once(strike: Callable[[], None]) -> Callable[[], None]:
    """Tells a fault once, however many records of a call show it."""
    left = [strike]
    return lambda: left.pop()() if left else None
