"""What a run is held against."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Bar:
    """A sentence that a run proves or disproves, by a value; None where it was not measured.

    The value is at least `least`, at most `most`, and less than `below`.
    """

    sentence: str
    value: float | None
    least: float | None = None
    most: float | None = None
    below: float | None = None

    @property
    def verdict(self) -> str:
        assert self.value is not None
        low = self.least is not None and self.value < self.least
        high = self.most is not None and self.value > self.most
        reached = self.below is not None and self.value >= self.below
        return "FAIL" if low or high or reached else "pass"
