"""Observations counted by how large they are, cheap enough for each delivery."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate


class Distribution:
    """How many observations are no greater than each bound, and what they come to.

    One thread observes. Whoever reads meanwhile may miss the observation at hand.
    """

    __slots__ = ("_bounds", "_counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self.total += value

    def buckets(self) -> list[tuple[float, int]]:
        """Each bound, infinity last, with how many are no greater."""
        return list(zip((*self._bounds, float("inf")), accumulate([*self._counts]), strict=True))
