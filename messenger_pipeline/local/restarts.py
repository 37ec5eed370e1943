"""When a process of the stack that ended is started again. Pure; the clock is an argument."""

from dataclasses import dataclass, field

PAUSES = (1.0, 2.0, 5.0, 15.0, 60.0)
"""Seconds before each restart. A process that ends once more is given up."""
HEALTHY_AFTER = 600.0
"""A process that ran for so many seconds starts with the first pause again."""


@dataclass
class Restarts:
    """The restarts of one process. Times are seconds of the monotonic clock."""

    started_at: float
    due_at: float | None = field(default=None, init=False)
    count: int = field(default=0, init=False)

    def plan(self, now: float) -> float | None:
        """Plan the restart of a process that has ended. Returns the pause; None: it is given up."""
        if now - self.started_at >= HEALTHY_AFTER:
            self.count = 0
        if self.count == len(PAUSES):
            return None
        pause = PAUSES[self.count]
        self.count += 1
        self.due_at = now + pause
        return pause

    def is_due(self, now: float) -> bool:
        """Whether the planned restart is due."""
        return self.due_at is not None and now >= self.due_at

    def start(self, now: float) -> None:
        """Record that the process was started."""
        self.started_at, self.due_at = now, None
