"""What is stored in the inbox. The only SQL of the benchmarks that names internal objects."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from bench.processes import Failed
from messenger_pipeline.db import inbox
from messenger_pipeline.db.pool import Database

_PATIENCE = 60.0
INSERT = b"insert into webhook_inbox (body) values (%b)"
_ROWS = b"select count(*), count(distinct body), coalesce(sum(length(body)), 0) from webhook_inbox"
_REQUIRE_DURABLE = b"""
    create function bench_require_durable() returns trigger language plpgsql as $$
    declare setting text;
    begin
        foreach setting in array array['fsync', 'full_page_writes', 'synchronous_commit'] loop
            if current_setting(setting) <> 'on' then
                raise exception 'a delivery is committed with % off', setting;
            end if;
        end loop;
        return null;
    end $$;
    create constraint trigger bench_require_durable after insert on webhook_inbox
        deferrable initially deferred for each row execute function bench_require_durable()
"""
"""Deferred, so that it sees the settings of the commit itself."""


@contextmanager
def durability_required(url: str) -> Iterator[None]:
    """Until the end of the block, PostgreSQL rejects deliveries whose commit is not durable."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_REQUIRE_DURABLE)
        yield
        connection.execute("drop function bench_require_durable cascade")


def check_rows(url: str, bodies: int, body_bytes: int) -> None:
    """Raises Failed unless the inbox has exactly these many different bodies and bytes."""
    with psycopg.connect(url) as connection:
        [found] = connection.execute(_ROWS).fetchall()
    if tuple(map(int, found)) != (bodies, bodies, body_bytes):
        raise Failed(
            f"{bodies} deliveries of {body_bytes} bytes were acknowledged;"
            " the inbox has {} rows, {} different ones, {} bytes".format(*found)
        )


def wait_until_drained(url: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    with Database(url) as database:
        while inbox.waiting(database).deliveries:
            if time.monotonic() > deadline:
                raise Failed("the drain does not empty the inbox")
            time.sleep(0.1)
