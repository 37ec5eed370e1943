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
import sys

from messenger_pipeline import logs, runtime
from messenger_pipeline.alerting.watch import Watcher
from messenger_pipeline.engine import Engine
from messenger_pipeline.errors import DatabaseUnavailable
from messenger_pipeline.settings import load_settings
from messenger_pipeline.webhook.drain import drain_batch
from messenger_pipeline.webhook.names import NameFinder

_log = logging.getLogger(__name__)
_POLL_SECONDS = 1.0  # for deliveries of other receivers, and those that are due for a retry
_RETRY_SECONDS = 0.5  # after the database could not be reached
_NICENESS = 5  # acknowledgements go first


def main() -> int:
    logs.configure("drain")
    os.nice(_NICENESS)
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
    return 0


def _drain(engine: Engine) -> None:
    """Apply deliveries until the receiver has ended."""
    names = NameFinder(engine)
    names.start()
    try:
        while True:
            try:
                drained = drain_batch(engine.database)
            except DatabaseUnavailable as error:
                _log.warning("cannot reach the database, retrying: %s", error)
                if not _wait(_RETRY_SECONDS):
                    return
                continue
            names.add(drained.new_contacts)
            if not _wait(0 if drained.deliveries else _POLL_SECONDS):
                return
    finally:
        names.close()


def _wait(seconds: float | None) -> bool:
    """Wait until the receiver reports deliveries, or the time is up. False if it has ended."""
    readable, _, _ = select.select([sys.stdin], [], [], seconds)
    return not readable or bool(os.read(sys.stdin.fileno(), 65_536))


if __name__ == "__main__":
    sys.exit(main())
