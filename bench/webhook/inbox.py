"""What is stored in the inbox. The only SQL of the benchmarks that names internal objects."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from bench.processes import Failed
from messenger_pipeline.db import inbox
from messenger_pipeline.db.pool import Database

INSERT = b"insert into messenger_pipeline.webhook_inbox (body) values (%b)"
_ROWS = (
    b"select count(*), count(distinct body), coalesce(sum(length(body)), 0)"
    b" from messenger_pipeline.webhook_inbox"
)
_REQUIRE_DURABLE = b"""  -- deferred, so that it sees the settings of the commit itself
    create function bench_require_durable() returns trigger language plpgsql as $$
    begin
        assert current_setting('fsync') = 'on' and current_setting('full_page_writes') = 'on'
            and current_setting('synchronous_commit') = 'on', 'the commit is not durable';
        return null;
    end $$;
    create constraint trigger bench_require_durable after insert on messenger_pipeline.webhook_inbox
        deferrable initially deferred for each row execute function bench_require_durable()
"""


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
        stored = "the inbox has {} rows, {} different ones, {} bytes".format(*found)
        raise Failed(f"{bodies} deliveries of {body_bytes} bytes were acknowledged; {stored}")


def wait_until_drained(url: str) -> None:
    with Database(url) as database:
        for _ in range(600):
            if not inbox.count_due(database).deliveries:
                return
            time.sleep(0.1)
    raise Failed("the drain does not empty the inbox within a minute")
