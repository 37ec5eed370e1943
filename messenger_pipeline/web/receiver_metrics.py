"""What this receiver answered, counted in plain numbers: the event loop alone writes them."""

from messenger_pipeline.distribution import Distribution

GONE = 499
"""Counts deliveries whose sender went away before they were whole: nothing is answered then."""

_SECONDS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Tally:
    """`statuses`: deliveries by the HTTP status of their answer. `seconds`: from the headers of one
    that was acknowledged until its answer. `kept_bytes`: of the bodies that were committed."""

    def __init__(self) -> None:
        self.statuses = dict.fromkeys((200, 403, 413, 503), 0)
        self.seconds = Distribution(_SECONDS)
        self.kept_bytes = 0

    def acknowledged(self, seconds: float) -> None:
        self.statuses[200] += 1
        self.seconds.add(seconds)

    def refused(self, status: int) -> None:
        self.statuses[status] = self.statuses.get(status, 0) + 1
