"""Evaluates all alert conditions and sends notifications of the changes.

The receiver and a sensor of Dagster both do this, so either is enough; neither repeats a message of
the other.
"""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from messenger_pipeline.alerting.messages import message_for
from messenger_pipeline.alerting.notifier import NotificationFailed, Notifier
from messenger_pipeline.db import alerts
from messenger_pipeline.db.pool import Database
from messenger_pipeline.errors import PipelineError

INTERVAL_SECONDS = 30.0
"""Between two evaluations."""
_SENDING_SECONDS = 20.0  # then no further message is sent: a sensor's tick must end
_START_SECONDS = 60.0  # before a watcher's first evaluation: processes that start now need a moment

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WatchResult:
    """The result of one evaluation. `counts` is None if another process was evaluating; `failure`
    is the reason why not all messages were sent."""

    counts: alerts.AlertCounts | None
    sent: int
    failure: str | None


def watch(database: Database, url: str | None) -> WatchResult:
    """Open and close alerts, then send the pending messages to `url`, if there is one."""
    updated = alerts.update_alerts(database)
    sent, failure = send_messages(database, Notifier(url)) if url else (0, None)
    return WatchResult(updated, sent, failure)


def send_messages(database: Database, notifier: Notifier) -> tuple[int, str | None]:
    """Send pending messages until one fails. Returns how many were sent, and the failure's
    reason."""
    sent, deadline = 0, time.monotonic() + _SENDING_SECONDS
    while time.monotonic() < deadline and (claimed := alerts.claim_message(database)):
        try:
            notifier.post(message_for(claimed))
        except NotificationFailed as error:
            reason = str(error)
            alerts.postpone_message(
                database,
                claimed,
                reason,
                seconds=error.retry_after,
                notifier_down=error.unavailable,
            )
            return sent, reason
        alerts.settle_message(database, claimed)
        sent += 1
    return sent, None


class Watcher(threading.Thread):
    """Evaluates alerts periodically in the background. Its failures affect nothing else."""

    def __init__(
        self,
        open_database: Callable[[], AbstractContextManager[Database]],
        url: str | None,
        *,
        start: float = _START_SECONDS,
        every: float = INTERVAL_SECONDS,
    ) -> None:
        # A daemon thread: a notifier that hangs does not keep the process alive.
        super().__init__(name="alerts", daemon=True)
        self._open_database = open_database
        self._url = url
        self._start_after = start
        self._every = every
        self._closed = threading.Event()

    def run(self) -> None:
        pause = self._start_after
        while not self._closed.wait(pause):
            pause = self._every
            try:
                self._evaluate()
            except PipelineError as error:
                _log.warning("alerts could not be evaluated: %s", error)

    def _evaluate(self) -> None:
        with self._open_database() as database:
            result = watch(database, self._url)
        if result.failure:
            _log.warning("alerts could not be sent: %s", result.failure)

    def close(self) -> None:
        """Stop evaluating. Waits a second for an evaluation in progress."""
        self._closed.set()
        self.join(timeout=1)
