"""The places of a run at which it can be interrupted."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

Moment = Literal["before", "sent", "answered", "after"]
"""Of a statement: not sent yet; sent, the answer not there; the answer there, not read; done."""
Action = Literal["kill", "stop", "cut"]
"""SIGKILL; SIGSTOP; or the answer and the connection are lost, and the process lives."""


@dataclass(frozen=True)
class Point:
    """A moment of a statement of a run's n-th call of a SQL function; all count from 1."""

    function: str
    number: int
    statement: int
    moment: Moment

    def __str__(self) -> str:
        return f"{self.moment} statement {self.statement} of {self.function} {self.number}"


def last_of(points: Sequence[Point], function: str, number: int, moment: Moment) -> Point:
    """A moment of the statement that commits a call."""
    here = (function, number, moment)
    return [point for point in points if (point.function, point.number, point.moment) == here][-1]


def without_twins(points: Sequence[Point]) -> list[Point]:
    """Without those after a statement that are those before the next of the same call."""
    calls: dict[tuple[str, int], list[Point]] = {}
    for point in points:
        calls.setdefault((point.function, point.number), []).append(point)
    twins = {
        one
        for of_call in calls.values()
        for one, other in pairwise(of_call)
        if (one.moment, other.moment) == ("after", "before")
    }
    return [point for point in points if point not in twins]
