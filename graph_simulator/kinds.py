"""How a fault is defined: a function, whose name is the fault's, whose docstring tells what it
does, and whose keyword parameters are what can be ordered of it.
"""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal, get_type_hints

from pydantic import BaseModel, ConfigDict, create_model

from graph_simulator.call import Call, Edge
from graph_simulator.malformed import IN_LISTS_ONLY, MESSAGES, THREADS, UNUSABLE

Stage = Literal["call", "change", "odd"]
"""What the function works on: a call before it is answered; the world before a call is answered;
or a record, wherever it shows."""

ALWAYS = None
EVERYWHERE: tuple[Edge, ...] = ("conversations", "messages", "thread", "page", "profile")


@dataclass(frozen=True)
class Kind:
    """A fault that can be ordered by its name."""

    name: str
    tells: str
    stage: Stage
    times: int | None  # how often it happens unless ordered otherwise; None: always
    edges: tuple[Edge, ...]  # where it can happen
    parameters: type[BaseModel]
    happen: Callable[..., Any]
    when: Callable[..., bool]  # of the calls there, those that it concerns
    at_once: bool  # a change that is made when it is ordered, unless calls are to pass

    def told(self) -> dict[str, Any]:
        fields = self.parameters.model_fields
        return {
            "tells": self.tells,
            "parameters": {name: field.default for name, field in fields.items()},
            "times": self.times,
            "edges": self.edges,
            "unusable": self.name in UNUSABLE,
        }


def fault(
    times: int | None = 1,
    edges: tuple[Edge, ...] = EVERYWHERE,
    when: Callable[..., bool] = lambda call, **_: True,
) -> Callable[[Callable[..., Any]], Kind]:
    """A fault of calls: the function is given the call, to refuse it or to change how it is
    answered."""

    def define(function: Callable[..., Any]) -> Kind:
        return _kind(function, "call", times, edges, when, at_once=False)

    return define


def change(
    edges: tuple[Edge, ...] = ("conversations",), *, at_once: bool = False
) -> Callable[[Callable[..., Any]], Kind]:
    """A change of the world: the function is given the world and the page of the call."""

    def define(function: Callable[..., Any]) -> Kind:
        return _kind(function, "change", 1, edges, lambda call, **_: True, at_once=at_once)

    return define


def odd_kinds() -> Iterable[Kind]:
    """A kind for each odd record."""
    for name, function in {**THREADS, **MESSAGES}.items():
        in_thread: tuple[Edge, ...] = () if name in IN_LISTS_ONLY else ("thread",)
        in_message: tuple[Edge, ...] = ("messages",) if name in MESSAGES else ()
        edges: tuple[Edge, ...] = ("conversations", *in_thread, *in_message)
        parameters: dict[str, Any] = {"thread": (int, 0)}
        if name in MESSAGES:
            parameters["message"] = (int, -1)
        yield Kind(
            name,
            inspect.getdoc(function) or "",
            "odd",
            ALWAYS,
            edges,
            _model(name, parameters),
            function,
            lambda call, **_: True,
            at_once=False,
        )


def kinds_of(module: ModuleType) -> list[Kind]:
    return [value for value in vars(module).values() if isinstance(value, Kind)]


def _kind(
    function: Callable[..., Any],
    stage: Stage,
    times: int | None,
    edges: tuple[Edge, ...],
    when: Callable[..., bool],
    *,
    at_once: bool,
) -> Kind:
    types = get_type_hints(function)
    parameters = {
        name: (types[name], parameter.default)
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    name = function.__name__
    tells = " ".join((inspect.getdoc(function) or "").split())
    return Kind(name, tells, stage, times, edges, _model(name, parameters), function, when, at_once)


def _model(name: str, parameters: dict[str, Any]) -> type[BaseModel]:
    config = ConfigDict(extra="forbid")
    model: type[BaseModel] = create_model(name, __config__=config, **parameters)
    return model


def with_cursor(call: Call, **_: object) -> bool:
    return call.after is not None
