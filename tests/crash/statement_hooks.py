"""Connections that report each statement of a run. Used in the process that is interrupted."""

import select
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from psycopg.abc import PQGen
from psycopg.waiting import READY_NONE, READY_R, READY_RW, READY_W, WAIT_R, WAIT_W

from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.server import Connection
from tests.crash.interruption_points import Moment, Point

Value = TypeVar("Value")
Reached = Callable[[Point, int], None]
"""Called at each point of a run with the socket of its connection."""


class HookedDatabase(Database):
    """A database that counts its calls by function, and reports each moment of their statements."""

    def __init__(self, url: str, timeout: float, reached: Reached) -> None:
        super().__init__(url, timeout=timeout)
        for pool in (self._pool, self._loading):
            pool.connection_class = _HookedConnection
        self._reached = reached
        self._numbers: Counter[str] = Counter()

    def call(self, function: str, row: type[Any] | None = None, **arguments: Any) -> list[Any]:
        self._numbers[function] += 1
        with _within(_Call(function, self._numbers[function], self._reached)):
            return super().call(function, row, **arguments)


_READY = {
    (False, False): READY_NONE,
    (True, False): READY_R,
    (False, True): READY_W,
    (True, True): READY_RW,
}


class _Call:
    """A call of a function, and the number of its current statement."""

    def __init__(self, function: str, number: int, reached: Reached) -> None:
        self._function = function
        self._number = number
        self._reached = reached
        self._statement = 0

    def send(self, generator: PQGen[Value], fileno: int) -> Value:
        """Do what psycopg does to send a statement and wait for its result."""
        self._statement += 1
        self._report("before", fileno)
        answered = False
        try:
            state = next(generator)
            while True:
                if state == WAIT_R and not answered:
                    self._report("sent", fileno)
                readable, writable, _ = select.select(
                    [fileno] if state & WAIT_R else [], [fileno] if state & WAIT_W else [], []
                )
                if readable and not answered:
                    answered = True
                    self._report("answered", fileno)
                state = generator.send(_READY[bool(readable), bool(writable)])
        except StopIteration as end:
            value: Value = end.value
        self._report("after", fileno)
        return value

    def _report(self, moment: Moment, fileno: int) -> None:
        self._reached(Point(self._function, self._number, self._statement, moment), fileno)


class _Current(threading.local):
    call: _Call | None = None


_current = _Current()


@contextmanager
def _within(call: _Call) -> Iterator[None]:
    _current.call = call
    try:
        yield
    finally:
        _current.call = None


class _HookedConnection(Connection):
    def wait(self, gen: PQGen[Value], interval: float = 0.1, timeout: float | None = None) -> Value:
        call = _current.call
        if call is None:
            return super().wait(gen, interval, timeout)
        return call.send(gen, self.pgconn.socket)
