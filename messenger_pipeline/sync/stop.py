"""How a run is asked to end before its work is done."""

import threading


class Stop(threading.Event):
    """Set: the run ends after the response that it is loading, and its session stays open."""

    def is_cancelled(self) -> bool:
        """Whether a person cancelled the run: then no continuation resumes its session."""
        return False
