"""What a call reads: rows of tables, and buffers, those of the functions that it calls included."""

import json
from dataclasses import dataclass
from typing import Any

import psycopg

CALLS = 15
"""Calls of one function on one connection: generic plans are used from the sixth on."""

_ROWS = "select coalesce(sum(seq_tup_read + idx_tup_fetch), 0)::bigint from pg_stat_xact_user_tables"


@dataclass(frozen=True)
class Cost:
    """`rows` are table rows read; `buffers` are blocks of 8 kB, each time that one is visited."""

    rows: int
    buffers: int


def measure(connection: psycopg.Connection[Any], statement: str) -> list[Cost]:
    """Return the costs of so many calls, each undone, so that all of them do the same."""
    return [_measure_once(connection, statement) for _ in range(CALLS)]


def _measure_once(connection: psycopg.Connection[Any], statement: str) -> Cost:
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


def _count_rows(connection: psycopg.Connection[Any]) -> int:
    """Rows that this connection read and has not reported yet."""
    (rows,) = connection.execute(_ROWS).fetchone() or (0,)
    return int(rows)
