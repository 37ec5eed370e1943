"""What a call reads: rows of tables, and buffers, those of the functions that it calls included."""

import json
from dataclasses import dataclass
from statistics import median
from typing import Any

import psycopg

from tests.scale.seeding import SEARCH_PATH

Connection = psycopg.Connection[Any]
CUSTOM_PLANS = 5
"""Calls on one connection, after which PostgreSQL considers generic plans."""
CALLS = CUSTOM_PLANS + 10

_ROWS = (
    "select coalesce(sum(seq_tup_read + idx_tup_fetch), 0)::bigint from pg_stat_xact_user_tables"
)


@dataclass(frozen=True)
class Cost:
    """`rows` are table rows read; `buffers` are blocks of 8 kB, each time that one is visited."""

    rows: int
    buffers: int


def connect(url: str) -> Connection:
    """Open a connection that calls our functions."""
    connection = psycopg.connect(url, autocommit=True)
    connection.execute("select set_config('search_path', %s, false)", [SEARCH_PATH])
    return connection


def measure(connection: Connection, statement: str) -> list[Cost]:
    """Return the costs of so many calls, each undone, so that all of them do the same."""
    return [_measure_once(connection, statement) for _ in range(CALLS)]


def usual(costs: list[Cost]) -> Cost:
    """The cost of most calls with custom plans, or of most after them, whichever is more.

    A single call may cost more, because it fills the connection's caches of the catalog.
    """
    both = costs[:CUSTOM_PLANS], costs[CUSTOM_PLANS:]
    return Cost(
        int(max(median(cost.rows for cost in some) for some in both)),
        int(max(median(cost.buffers for cost in some) for some in both)),
    )


def _measure_once(connection: Connection, statement: str) -> Cost:
    with connection.transaction(force_rollback=True):
        cursor = psycopg.ClientCursor(connection)
        before = _count_rows(connection)
        explain = b"explain (analyze, buffers, timing off, summary off, format json) "
        cursor.execute(explain + statement.encode())
        (explained,) = cursor.fetchone() or ("",)
        plan = (json.loads(explained) if isinstance(explained, str) else explained)[0]["Plan"]
        buffers = sum(
            plan[f"{kind} {what} Blocks"]
            for kind in ("Shared", "Local", "Temp")
            for what in ("Hit", "Read", "Written")
            if f"{kind} {what} Blocks" in plan and (kind == "Temp" or what != "Written")
        )
        rows = _count_rows(connection) - before
    return Cost(rows, buffers)


def _count_rows(connection: Connection) -> int:
    """Rows that this connection read and has not reported yet."""
    (rows,) = connection.execute(_ROWS).fetchone() or (0,)
    return int(rows)
