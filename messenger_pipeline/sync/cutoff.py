"""Where the walk of a list, newest first, may stop, and the watermark that it leaves. Pure.

Meta documents no order of a page's threads. The walk relies on what it observes: as soon as one
thread is newer than one before it, an old thread proves nothing about those behind it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise


@dataclass(frozen=True)
class Cutoff:
    """How far down a list is read.

    `time`: an answer whose threads were all updated before it ends the walk. None: read to the
    end of the list. `oldest`: the oldest update in the answers read so far; None before the first.
    """

    time: datetime | None
    oldest: datetime | None = None

    def is_out_of_order(self, times: Sequence[datetime]) -> bool:
        """Whether an answer's times rise, among themselves or above those read before."""
        read = times if self.oldest is None else [self.oldest, *times]
        return any(later > earlier for earlier, later in pairwise(read))

    def is_past(self, times: Sequence[datetime]) -> bool:
        """Whether an answer ends the walk: in order, and all of it before the cutoff.

        An answer without threads does not.
        """
        if self.time is None or not times or self.is_out_of_order(times):
            return False
        return max(times) < self.time

    def after(self, times: Sequence[datetime]) -> "Cutoff":
        """The cutoff for the next answer; none if this one is out of order."""
        time = None if self.is_out_of_order(times) else self.time
        return replace(self, time=time, oldest=min(times, default=self.oldest))


def next_watermark(times: Sequence[datetime], answered_at: datetime) -> datetime | None:
    """The watermark that an answer allows; None without threads.

    Not later than the answer itself: a time in the future would hide the updates before it.
    """
    return min(max(times), answered_at) if times else None
