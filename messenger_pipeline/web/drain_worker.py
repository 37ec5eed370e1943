"""The receiver's drain: a process of its own, so that it delays no acknowledgement.

The receiver holds the other end of its standard input, and writes to it when deliveries were
committed. When that end closes, the process finishes its batch and exits.

It also checks the alert conditions, so that alerts are sent while Dagster is down. With
--no-drain it does only that.

    python -m messenger_pipeline.web.drain_worker [--no-drain]
"""

import logging
import os
import select
import signal
import sys
import time

from messenger_pipeline import logs, runtime
from messenger_pipeline.alerting.watch import Watcher
from messenger_pipeline.engine import Engine
from messenger_pipeline.errors import DatabaseUnavailable, PipelineError, reason_of
from messenger_pipeline.quarantine import retry_due
from messenger_pipeline.settings import load_settings
from messenger_pipeline.web.drain_state import DrainState
from messenger_pipeline.webhook.drain import drain_batch
from messenger_pipeline.webhook.names import NameFinder

_log = logging.getLogger(__name__)
_POLL_SECONDS = 1.0  # for deliveries of other receivers, and those that are due for a retry
_RETRY_SECONDS = 0.5  # after the database could not be reached
_FAILURE_SECONDS = (1.0, 60.0)
"""The pause after any other error that stops the drain, doubled from the first to the longest."""
_RECORDS_SECONDS = 60.0  # between two attempts at quarantined records
_NICENESS = 5  # acknowledgements go first


def main() -> int:
    logs.configure("drain")
    os.nice(_NICENESS)
    # An orderly end, so that the claimed deliveries are not taken for what ended the process.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        _run()
    except PipelineError as error:
        _log.error("the drain cannot work: %s", error)
        return error.exit_code
    return 0


def _run() -> None:
    settings = load_settings()
    url = settings.alert_url.get_secret_value() if settings.alert_url else None
    watcher = Watcher(lambda: runtime.open_database(settings, timeout=10), url)
    watcher.start()
    try:
        if "--no-drain" in sys.argv:
            while _wait(None):
                pass
        else:
            with runtime.open_engine(settings) as engine:
                _drain(engine)
    finally:
        watcher.close()


def _drain(engine: Engine) -> None:
    """Apply deliveries until the receiver has ended. No error ends it."""
    names = NameFinder(engine)
    names.start()
    state = DrainState(engine.database)
    shortest, longest = _FAILURE_SECONDS
    pause, retried_at = shortest, 0.0
    try:
        while True:
            try:
                drained = drain_batch(engine.database, app_id=engine.app_id)
                names.add(drained.new_contacts)
            except DatabaseUnavailable as error:
                _log.warning("cannot reach the database, retrying: %s", error)
                if not _wait(_RETRY_SECONDS):
                    return
            except Exception as error:  # noqa: BLE001 - any error is retried
                _log.error("no delivery can be applied, retrying in %.0f s", pause, exc_info=error)
                state.failed(reason_of(error))
                if not _pause(pause):
                    return
                pause = min(pause * 2, longest)
            else:
                state.worked()
                pause = shortest
                if not drained.deliveries:
                    retried_at = _retry_records(engine, retried_at)
                if not _wait(0 if drained.deliveries else _POLL_SECONDS):
                    return
    finally:
        names.close()


def _retry_records(engine: Engine, retried_at: float) -> float:
    """Try quarantined records again, once a minute. Returns when that was last done."""
    if time.monotonic() - retried_at < _RECORDS_SECONDS:
        return retried_at
    try:
        retry_due(engine.database, app_id=engine.app_id)
    except Exception as error:  # noqa: BLE001 - deliveries go on
        _log.warning("quarantined records could not be tried again: %s", reason_of(error))
    return time.monotonic()


def _wait(seconds: float | None) -> bool:
    """Wait until the receiver reports deliveries, or the time is up. False if it has ended."""
    readable, _, _ = select.select([sys.stdin], [], [], seconds)
    return not readable or bool(os.read(sys.stdin.fileno(), 65_536))


def _pause(seconds: float) -> bool:
    """Wait until the time is up, whatever is delivered. False if the receiver has ended."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if not _wait(left):
            return False
    return True


if __name__ == "__main__":
    sys.exit(main())
