"""The calls so far: how many, which, when; and until when there should be no more."""

from bisect import bisect_right
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Block:
    """A quota that is used up until a time, for the calls of a page or of all."""

    quota: str
    page_id: str | None
    until: float  # monotonic seconds
    told: str


class Ledger:
    """What was called. A violation is a call that came when none was allowed."""

    def __init__(self) -> None:
        self.by_page: Counter[str] = Counter()
        self._log: list[str] = []
        self._times: defaultdict[str, list[float]] = defaultdict(list)
        self._violations: Counter[str] = Counter()
        self._blocks: list[Block] = []

    def note(self, page_id: str, line: str, at: float) -> None:
        self.by_page[page_id] += 1
        self._log.append(line)
        self._times[page_id].append(at)

    def within(self, page_id: str, seconds: float, now: float) -> int:
        """How many calls of a page came within so many seconds up to now."""
        times = self._times[page_id]
        return bisect_right(times, now) - bisect_right(times, now - seconds)

    def violate(self, name: str) -> None:
        self._violations[name] += 1

    def block(self, block: Block) -> None:
        self._blocks.append(block)

    def blocked(self, page_id: str, now: float) -> Block | None:
        """The block that stands in a page's way."""
        self._blocks = [one for one in self._blocks if now < one.until]
        return next((one for one in self._blocks if one.page_id in (None, page_id)), None)

    def unblock(self) -> None:
        self._blocks.clear()

    def told(self) -> dict[str, Any]:
        return {
            "by_page": self.by_page,
            "log": self._log,
            "times": self._times,
            "violations": self._violations.total(),
            "violations_by_fault": self._violations,
        }
