"""Connections to Dagster's database, for as long as it may be away.

A walk must not fail because Dagster cannot write a line about it: log lines are written by a thread
of their own, as well as possible, and the events that Dagster itself relies on wait.
"""

import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import ContextVar

import sqlalchemy.exc
from dagster._core.events.log import EventLogEntry
from dagster_postgres.event_log import PostgresEventLogStorage
from dagster_postgres.run_storage import PostgresRunStorage
from dagster_postgres.utils import DagsterPostgresException
from sqlalchemy.engine import Connection, Engine

_UNREACHABLE = (
    sqlalchemy.exc.OperationalError,
    sqlalchemy.exc.InterfaceError,
    sqlalchemy.exc.TimeoutError,
    DagsterPostgresException,
)
_SECONDS = 10.0  # of a process without runs, which somebody waits for
_SECONDS_OF_A_RUN = 300.0  # what a run did must not be lost because of a restart
_LINES = 1_000  # further ones are dropped; they are in the run's standard error, too
_FLUSH_SECONDS = 5.0

_process_seconds = _SECONDS
_seconds: ContextVar[float | None] = ContextVar("seconds", default=None)


def wait_for_dagster() -> None:
    """From now on this process waits minutes for Dagster's database: it executes a run."""
    global _process_seconds
    _process_seconds = _SECONDS_OF_A_RUN


@contextmanager
def without_waiting() -> Iterator[None]:
    """Dagster's database is asked once within the context."""
    token = _seconds.set(0.0)
    try:
        yield
    finally:
        _seconds.reset(token)


def _patient_until() -> float:
    seconds = _seconds.get()
    return time.monotonic() + (_process_seconds if seconds is None else seconds)


@contextmanager
def _connection(engine: Engine) -> Iterator[Connection]:
    connection = _connect(engine)
    try:
        yield connection
    finally:
        connection.close()


def _connect(engine: Engine) -> Connection:
    until, pause = _patient_until(), 0.2
    while True:
        try:
            return engine.connect()
        except _UNREACHABLE as error:
            if time.monotonic() + pause > until:
                raise DagsterPostgresException("Dagster's database cannot be reached.") from error
        time.sleep(pause)
        pause = min(2 * pause, 5.0)


class RunStorage(PostgresRunStorage):
    """Waits for its database while a run is executed."""

    def connect(self) -> AbstractContextManager[Connection]:
        return _connection(self._engine)


class EventLogStorage(PostgresEventLogStorage):
    """Waits for its database while a run is executed, but not for a run's log lines."""

    _lines: "_LineWriter | None" = None

    def _connect(self) -> AbstractContextManager[Connection]:
        return _connection(self._engine)

    def store_event(self, event: EventLogEntry) -> None:
        if event.dagster_event is None:
            if self._lines is None:
                self._lines = _LineWriter(super().store_event)
            self._lines.put(event)
            return
        if self._lines:
            self._lines.flush(_FLUSH_SECONDS)
        until = _patient_until()
        while True:
            try:
                super().store_event(event)
                return
            except _UNREACHABLE:
                # Lost between its connection and its commit, so it may be stored twice.
                if time.monotonic() > until:
                    raise
            time.sleep(0.5)

    def dispose(self) -> None:
        if self._lines:
            self._lines.close()
            self._lines = None
        super().dispose()


class _LineWriter:
    """Writes log lines in a thread of its own, and retries while the database is away."""

    def __init__(self, write: Callable[[EventLogEntry], None]) -> None:
        self._write = write
        self._lines: queue.Queue[EventLogEntry | None] = queue.Queue(_LINES)
        threading.Thread(target=self._run, name="dagster-log", daemon=True).start()

    def put(self, line: EventLogEntry) -> None:
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            sys.stderr.write(f"Dagster's record lacks this line: {line.user_message}\n")

    def flush(self, seconds: float) -> None:
        """Wait until every line is written, at most this long."""
        until = time.monotonic() + seconds
        with self._lines.all_tasks_done:
            while self._lines.unfinished_tasks and (left := until - time.monotonic()) > 0:
                self._lines.all_tasks_done.wait(left)

    def close(self) -> None:
        """Write what is left, as far as that is possible now, and end the thread."""
        self.flush(_FLUSH_SECONDS)
        with suppress(queue.Full):
            self._lines.put_nowait(None)

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                self._write_once_possible(line)
            finally:
                self._lines.task_done()

    def _write_once_possible(self, line: EventLogEntry) -> None:
        while True:
            try:
                with without_waiting():
                    self._write(line)
                return
            except _UNREACHABLE:
                time.sleep(1)
            except Exception as error:  # noqa: BLE001 - one line must not end the thread
                sys.stderr.write(f"Dagster's record lacks a line: {error}\n")
                return
