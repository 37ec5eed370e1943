"""Whether the receiver's drain works, as recorded in the database for alerts and readiness."""

import logging
import socket

from messenger_pipeline.db import inbox
from messenger_pipeline.db.pool import Database
from messenger_pipeline.errors import DatabaseError

_log = logging.getLogger(__name__)


def drain_name() -> str:
    """What identifies this receiver's drain."""
    return f"the receiver's drain on {socket.gethostname()}"


class DrainState:
    """Records changes only: a drain that goes on working writes nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._recorded: bool | None = None

    def failed(self, reason: str) -> None:
        self._recorded = False
        try:
            inbox.record_drain_failure(self._database, drain_name(), reason)
        except DatabaseError as error:
            _log.warning("the failure of the drain could not be recorded: %s", error)

    def worked(self) -> None:
        if self._recorded:
            return
        try:
            inbox.record_drain_success(self._database, drain_name())
            self._recorded = True
        except DatabaseError as error:  # recorded next time
            _log.warning("the success of the drain could not be recorded: %s", error)
