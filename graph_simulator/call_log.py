"""A log of the calls so far, and the quotas that block further calls."""

from bisect import bisect_right
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any, Literal

Hint = Literal["retry_after", "date", "nonsense", "header", "none"]
"""What announces when access returns: Retry-After as seconds, as a date, or as no number; the usage
header; or nothing."""


@dataclass(frozen=True)
class Block:
    """A quota that has been used up. It blocks the calls of one page, or of all pages."""

    quota: str
    page_id: str | None
    until: float  # monotonic seconds
    hint: Hint


class CallLog:
    """The calls of each page. A violation is a call that a client made while it was blocked."""

    def __init__(self) -> None:
        self.by_page: Counter[str] = Counter()
        self._lines: list[str] = []
        self._times: defaultdict[str, list[float]] = defaultdict(list)
        self._violations: Counter[str] = Counter()
        self._blocks: list[Block] = []

    def record(self, page_id: str, line: str, at: float) -> None:
        self.by_page[page_id] += 1
        self._lines.append(line)
        self._times[page_id].append(at)

    def count_within(self, page_id: str, seconds: float, now: float) -> int:
        """The number of calls of a page in the `seconds` before now."""
        times = self._times[page_id]
        return bisect_right(times, now) - bisect_right(times, now - seconds)

    def record_violation(self, fault: str) -> None:
        self._violations[fault] += 1

    def add_block(self, block: Block) -> None:
        self._blocks.append(block)

    def active_block(self, page_id: str, now: float) -> Block | None:
        """The block that applies to a page's calls now."""
        self._blocks = [one for one in self._blocks if now < one.until]
        return next((one for one in self._blocks if one.page_id in (None, page_id)), None)

    def clear_blocks(self) -> None:
        self._blocks.clear()

    def as_json(self) -> dict[str, Any]:
        """The number of calls by page, the path and cursor of each, their times by page in
        monotonic seconds, and the violations."""
        return {
            "by_page": self.by_page,
            "log": self._lines,
            "times": self._times,
            "violations": self._violations.total(),
            "violations_by_fault": self._violations,
        }
