"""How a fault is defined: as a function.

The function's name is the fault's name, its docstring is the description that users read, and its
keyword parameters are the fault's parameters.
"""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal, get_type_hints

from pydantic import BaseModel, ConfigDict, create_model

from graph_simulator.call import Call, Edge
from graph_simulator.faults.malformed import IN_LISTS_ONLY, MESSAGES, THREADS, UNUSABLE

Target = Literal["call", "world", "record"]
"""What the function changes: a call before it is answered, the world before a call is answered, or
a record in each response that contains it."""

ALWAYS = None
EVERYWHERE: tuple[Edge, ...] = ("conversations", "messages", "thread", "page", "profile")


@dataclass(frozen=True)
class FaultType:
    """A fault that can be requested by name."""

    name: str
    description: str
    target: Target
    default_times: int | None  # how often it applies by default; None: always
    edges: tuple[Edge, ...]  # the edges where it can apply
    parameters: type[BaseModel]
    apply: Callable[..., Any]
    condition: Callable[..., bool]  # whether it concerns a call of these edges
    immediate: bool  # a change of the world that does not wait for a call, unless `after` is given

    def as_json(self) -> dict[str, Any]:
        fields = self.parameters.model_fields
        return {
            "description": self.description,
            "parameters": {name: field.default for name, field in fields.items()},
            "times": self.default_times,
            "edges": self.edges,
            "unusable": self.name in UNUSABLE,
        }


def _any_call(call: Call, **_: object) -> bool:
    return True


def call_fault(
    times: int | None = 1,
    edges: tuple[Edge, ...] = EVERYWHERE,
    condition: Callable[..., bool] = _any_call,
) -> Callable[[Callable[..., Any]], FaultType]:
    """Define a fault of calls. The function gets the call, and changes it or raises an error."""

    def define(function: Callable[..., Any]) -> FaultType:
        return _fault_type(function, "call", times, edges, condition, immediate=False)

    return define


def world_fault(
    edges: tuple[Edge, ...] = ("conversations",), *, immediate: bool = False
) -> Callable[[Callable[..., Any]], FaultType]:
    """Define a change of the world. The function gets the world and the page of the call."""

    def define(function: Callable[..., Any]) -> FaultType:
        return _fault_type(function, "world", 1, edges, _any_call, immediate=immediate)

    return define


def record_faults() -> Iterable[FaultType]:
    """A fault type for each kind of malformed record."""
    for name, function in {**THREADS, **MESSAGES}.items():
        in_thread: tuple[Edge, ...] = () if name in IN_LISTS_ONLY else ("thread",)
        in_message: tuple[Edge, ...] = ("messages",) if name in MESSAGES else ()
        parameters: dict[str, Any] = {"thread": (int, 0)}
        if name in MESSAGES:
            parameters["message"] = (int, -1)
        yield FaultType(
            name,
            inspect.getdoc(function) or "",
            "record",
            ALWAYS,
            ("conversations", *in_thread, *in_message),
            _model(name, parameters),
            function,
            _any_call,
            immediate=False,
        )


def fault_types_of(module: ModuleType) -> list[FaultType]:
    return [value for value in vars(module).values() if isinstance(value, FaultType)]


def with_cursor(call: Call, **_: object) -> bool:
    return call.after is not None


def _fault_type(
    function: Callable[..., Any],
    target: Target,
    times: int | None,
    edges: tuple[Edge, ...],
    condition: Callable[..., bool],
    *,
    immediate: bool,
) -> FaultType:
    types = get_type_hints(function)
    parameters = {
        name: (types[name], parameter.default)
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    name = function.__name__
    description = " ".join((inspect.getdoc(function) or "").split())
    model = _model(name, parameters)
    return FaultType(name, description, target, times, edges, model, function, condition, immediate)


def _model(name: str, parameters: dict[str, Any]) -> type[BaseModel]:
    config = ConfigDict(extra="forbid")
    model: type[BaseModel] = create_model(name, __config__=config, **parameters)
    return model
