"""When a client may call Meta: its turns, and the pauses that Meta's limits impose."""

from typing import Protocol

MAX_PAUSE = 30.0
"""Seconds of pauses that one call waits for; after longer ones it raises RateLimited."""


class Pace(Protocol):
    """Spaces a client's calls. Each method raises RateLimited if the wait is too long."""

    def wait(self) -> None:
        """Wait for the next turn."""

    def record_usage(self, app: int, page: int) -> None:
        """Record how many percent of the app's and the page's quota are used up."""

    def pause(self, scope: str, seconds: float | None) -> float:
        """Record that Meta refused a call because of the limit of the app, token or page.

        `seconds` is how long Meta asked to wait; None if it did not say. Returns how many seconds
        the pause lasts.
        """


class Unpaced:
    """No pace: for one or two calls that a person waits for."""

    def wait(self) -> None:
        pass

    def record_usage(self, app: int, page: int) -> None:
        pass

    def pause(self, scope: str, seconds: float | None) -> float:
        return seconds or MAX_PAUSE + 1
