"""The points of a run at which a test can interrupt it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

Moment = Literal["before", "sent", "answered", "after"]
"""Of a statement: before it is sent; sent, without a result yet; the result has arrived and is not
read yet; after it."""
Action = Literal["kill", "stop", "cut"]
"""SIGKILL; SIGSTOP; or drop the result and the connection, and leave the process alive."""


@dataclass(frozen=True)
class Point:
    """A moment of a statement in the n-th call of a SQL function. All numbers start at 1."""

    function: str
    number: int
    statement: int
    moment: Moment

    def __str__(self) -> str:
        return f"{self.moment} statement {self.statement} of {self.function} {self.number}"


def last_of(points: Sequence[Point], function: str, number: int, moment: Moment) -> Point:
    """The moment in a call's last statement, which commits it."""
    here = (function, number, moment)
    return [point for point in points if (point.function, point.number, point.moment) == here][-1]


def without_duplicates(points: Sequence[Point]) -> list[Point]:
    """The points, but only one of `after` a statement and `before` the next of the same call."""
    calls: dict[tuple[str, int], list[Point]] = {}
    for point in points:
        calls.setdefault((point.function, point.number), []).append(point)
    duplicates = {
        one
        for of_call in calls.values()
        for one, other in pairwise(of_call)
        if (one.moment, other.moment) == ("after", "before")
    }
    return [point for point in points if point not in duplicates]
