"""Barriers: statements in the server that wait for a lock of the test."""

import contextlib
import time
from collections.abc import Callable, Iterator

import psycopg
from psycopg.rows import TupleRow

from tests.crash.fork_server import TIMEOUT


def until(done: Callable[[], bool], what: str, seconds: float = TIMEOUT) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"timed out waiting for {what}"
        time.sleep(0.002)


class Barrier:
    """Blocks the wanted firing of the triggers (see databases.STOPS)."""

    def __init__(self, connection: psycopg.Connection[TupleRow]) -> None:
        self._connection = connection

    def waiting(self, event: str = "advisory") -> list[int]:
        """The backends that wait for a lock. Row locks are `transactionid` and `tuple`."""
        found = self._connection.execute(
            "select pid from pg_stat_activity where datname = current_database()"
            " and wait_event_type = 'Lock' and wait_event = any (%s)",
            [event.split()],
        ).fetchall()
        return [pid for (pid,) in found]

    def terminate(self, backend: int) -> None:
        """Terminate a backend, and wait until it has ended."""
        self._connection.execute("select pg_terminate_backend(%s, 10000)", [backend])

    def open(self) -> None:
        self._connection.execute("select pg_advisory_unlock_all()")


@contextlib.contextmanager
def barrier(url: str, number: int) -> Iterator[Barrier]:
    """Block the firing with this number until the barrier is opened."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("select pg_advisory_lock(1)")
        connection.execute("insert into crash_wanted values (%s)", [number])
        yield Barrier(connection)
