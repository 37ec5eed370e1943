"""Runs: which are unfinished or ended, who cancelled one, and how a run learns to stop."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import FrameType

import dagster as dg

# Dagster does not export it; its version is pinned.
from dagster._core.storage.tags import MAX_RUNTIME_SECONDS_TAG

from messenger_pipeline.defs.patience import without_waiting
from messenger_pipeline.defs.tags import CAUSE
from messenger_pipeline.sync.stop import Stop

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_CANCELLED = (dg.DagsterRunStatus.CANCELING, dg.DagsterRunStatus.CANCELED)


def ended_at(record: dg.RunRecord) -> datetime:
    """When Dagster ended a finished run: not when its process ends."""
    if record.end_time is not None:
        return datetime.fromtimestamp(record.end_time, UTC)
    return record.update_timestamp


def is_cancelled_by_person(
    record: dg.RunRecord, now: datetime, max_runtime: float | None = None
) -> bool:
    """Whether a person cancelled a run. Dagster itself cancels one only after its maximum runtime:
    `max_runtime` in seconds, unless the run has its own; None or 0 is none."""
    run = record.dagster_run
    if run.status not in _CANCELLED:
        return False
    seconds = _own_max_runtime(run, max_runtime)
    if not seconds or record.start_time is None:
        return True
    end = ended_at(record) if run.status == dg.DagsterRunStatus.CANCELED else now
    return end.timestamp() - record.start_time <= seconds


def _own_max_runtime(run: dg.DagsterRun, default: float | None) -> float | None:
    own = run.tags.get(MAX_RUNTIME_SECONDS_TAG, run.tags.get("dagster/max_runtime_seconds"))
    try:
        return float(own) if own else default
    except ValueError:
        return None  # as Dagster does


class RunStop(Stop):
    """Asks a run in Dagster to end. SIGINT and SIGTERM set it."""

    def __init__(self, instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
        super().__init__()
        self._instance, self._run = instance, run
        self._is_command = run.tags.get(CAUSE) == "command_line"
        self.interrupted = False

    def is_cancelled(self) -> bool:
        """Whether a person cancelled the run: in Dagster, or with Ctrl-C on the command line. A
        deployment, or the end of the maximum runtime, only ends it."""
        if not self.is_set():
            return False
        if self._is_command and self.interrupted:
            return True
        record = self._get_record()
        return record is not None and is_cancelled_by_person(
            record, datetime.now(UTC), self._instance.run_monitoring_max_runtime_seconds
        )

    def is_ended_by_dagster(self) -> bool:
        """Whether Dagster is ending the run, or has ended it, and only its process is left."""
        if not self.is_set():
            return False
        record = self._get_record()
        return record is not None and record.dagster_run.status != dg.DagsterRunStatus.STARTED

    def _get_record(self) -> dg.RunRecord | None:
        try:
            with without_waiting():
                return self._instance.get_run_record_by_id(self._run.run_id)
        except Exception:  # noqa: BLE001 - whatever keeps Dagster from answering
            return None


@contextmanager
def stop_on_signal(stop: RunStop) -> Iterator[None]:
    """Let SIGINT and SIGTERM set `stop`, so that the current response is still loaded.

    Dagster's own handlers would raise anywhere in the program.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def set_stop(which: int, _frame: FrameType | None) -> None:
        stop.interrupted = stop.interrupted or which == signal.SIGINT
        stop.set()

    before = {which: signal.signal(which, set_stop) for which in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)
