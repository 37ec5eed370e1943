"""Evaluates all alert conditions and sends notifications of the changes.

The receiver and a sensor of Dagster both do this, so either is enough; neither repeats a message of
the other.
"""

import json
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
from messenger_pipeline.errors import DatabaseError, DatabaseUnavailable, reason_of

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
    """Open and close alerts, then send the pending messages to `url`, if there is one. Messages are
    sent even if the conditions cannot be evaluated; then that error is raised."""
    try:
        updated = alerts.update_alerts(database)
    except DatabaseUnavailable:
        raise
    except DatabaseError:
        if url:
            send_messages(database, Notifier(url))
        raise
    sent, failure = send_messages(database, Notifier(url)) if url else (0, None)
    return WatchResult(updated, sent, failure)


def send_messages(database: Database, notifier: Notifier) -> tuple[int, str | None]:
    """Send pending messages until none is left or the notifier is down. A message that cannot be
    built or is refused is retried later, and stops no other. Returns how many were sent, and the
    reason why one was not."""
    sent, deadline = 0, time.monotonic() + _SENDING_SECONDS
    failure: str | None = None
    while time.monotonic() < deadline and (claimed := alerts.claim_message(database)):
        try:
            claimed = _buildable(database, claimed)
            if not claimed:
                continue
            notifier.post(message_for(claimed))
        except NotificationFailed as error:
            failure = str(error)
            alerts.postpone_message(
                database,
                claimed,
                failure,
                seconds=error.retry_after,
                notifier_down=error.unavailable,
            )
            if error.unavailable:
                break
        except DatabaseError:
            raise
        except Exception as error:  # noqa: BLE001 - the others are sent
            failure = reason_of(error)
            alerts.postpone_message(database, claimed, failure, seconds=0.0, notifier_down=False)
        else:
            alerts.settle_message(database, claimed)
            sent += 1
    return sent, failure


def _buildable(database: Database, claimed: list[alerts.ClaimedAlert]) -> list[alerts.ClaimedAlert]:
    """The alerts of a message without those for which none can be built; they are put off."""
    good = []
    for alert in claimed:
        try:
            json.dumps(message_for([alert]))
        except Exception as error:  # noqa: BLE001 - the others are sent
            _log.warning("no message can be built for alert %d: %s", alert.id, reason_of(error))
            alerts.postpone_message(
                database, [alert], reason_of(error), seconds=0.0, notifier_down=False
            )
        else:
            good.append(alert)
    return good


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
            except Exception as error:  # noqa: BLE001 - the next evaluation may succeed
                _log.warning("alerts could not be evaluated: %s", reason_of(error))

    def _evaluate(self) -> None:
        with self._open_database() as database:
            result = watch(database, self._url)
        if result.failure:
            _log.warning("alerts could not be sent: %s", result.failure)

    def close(self) -> None:
        """Stop evaluating. Waits a second for an evaluation in progress."""
        self._closed.set()
        self.join(timeout=1)
