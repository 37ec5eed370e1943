"""A look at everything, and the messages for what changed. The receiver and Dagster's sensor both
look, so that one of them is enough; what one sends the other does not.
"""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from messenger_pipeline.alerting.messages import message_for
from messenger_pipeline.alerting.notifier import Sink, Unsent
from messenger_pipeline.db import alerts
from messenger_pipeline.db.pool import Database
from messenger_pipeline.errors import PipelineError

EVERY = 30.0
"""Seconds between two looks."""
_ROUND = 20.0  # seconds after which no other message is begun: a sensor's tick must end
_START = 60.0  # seconds before the first look of a watcher: what starts beside it needs a moment

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Watched:
    """What one look came to; `looked` is None while another looks."""

    looked: alerts.Looked | None
    sent: int
    unsent: str | None
    """Why not all messages were sent."""


def watch(database: Database, url: str | None) -> Watched:
    """Open and close alerts; send the messages that wait, if there is an address."""
    looked = alerts.update_alerts(database)
    sent, unsent = send_messages(database, Sink(url)) if url else (0, None)
    return Watched(looked, sent, unsent)


def send_messages(database: Database, sink: Sink) -> tuple[int, str | None]:
    """Send what waits, until something is not taken: how many messages were, and why no more."""
    sent, until = 0, time.monotonic() + _ROUND
    while time.monotonic() < until and (told := alerts.claim_message(database)):
        try:
            sink.post(message_for(told))
        except Unsent as error:
            reason = str(error)
            alerts.postpone_message(database, told, reason, seconds=error.seconds, sink=error.sink)
            return sent, reason
        alerts.settle_message(database, told)
        sent += 1
    return sent, None


class Watcher(threading.Thread):
    """Looks again and again, in the background. What hangs or ends here ends nothing else."""

    def __init__(
        self,
        open_database: Callable[[], AbstractContextManager[Database]],
        url: str | None,
        *,
        start: float = _START,
        every: float = EVERY,
    ) -> None:
        # A daemon: a sink that hangs does not keep the process.
        super().__init__(name="alerts", daemon=True)
        self._open_database = open_database
        self._url = url
        self._start_after = start
        self._every = every
        self._ended = threading.Event()

    def run(self) -> None:
        pause = self._start_after
        while not self._ended.wait(pause):
            pause = self._every
            try:
                self._look()
            except PipelineError as error:
                _log.warning("no look for alerts: %s", error)

    def _look(self) -> None:
        with self._open_database() as database:
            watched = watch(database, self._url)
        if watched.unsent:
            _log.warning("alerts could not be sent: %s", watched.unsent)

    def close(self) -> None:
        self._ended.set()
        self.join(timeout=1)
