"""What stands in the inbox, and whether it got there durably. Raises Failed where it did not."""

import http.client
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from bench.runner import Failed
from bench.webhook.deliveries import PATH, sign

_REQUIRE = Path(__file__).with_name("require_durable.sql").read_bytes()
_ALLOW = b"drop function bench_require_durable cascade"
_DURABLE = ("fsync", "full_page_writes", "synchronous_commit")
_SETTINGS = "select name, setting from pg_settings where name = any(%s) order by name"
_OVERRIDES = """
    select count(*) from pg_db_role_setting, unnest(setconfig) as setting
    where split_part(setting, '=', 1) = any(%s)
"""
_ROWS = "select count(*), count(distinct body), coalesce(sum(length(body)), 0) from webhook_inbox"
_PENDING = "select count(*) from webhook_inbox where state = 'pending'"
_PATIENCE = 60.0
_APPLIED = "select count(*) from webhook_inbox where state = 'done'"


def check_settings(url: str) -> None:
    """The server's settings are the durable ones, and no database or role has others."""
    with psycopg.connect(url) as connection:
        settings: dict[str, str] = dict(connection.execute(_SETTINGS, [list(_DURABLE)]).fetchall())
        [(overrides,)] = connection.execute(_OVERRIDES, [list(_DURABLE)]).fetchall()
    if settings != dict.fromkeys(_DURABLE, "on") or overrides:
        raise Failed(f"not durable: {settings}, and {overrides} settings of databases and roles")


@contextmanager
def durability_required(url: str) -> Iterator[None]:
    """Meanwhile PostgreSQL refuses a delivery whose commit would not wait for the disk."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_REQUIRE)
        yield
        connection.execute(_ALLOW)


def check_committed_first(url: str, port: int, bodies: Iterable[bytes]) -> None:
    """Send one delivery after another; each has to be there as soon as it is answered."""
    receiver = http.client.HTTPConnection("127.0.0.1", port)
    with psycopg.connect(url, autocommit=True) as connection:
        for body in bodies:
            headers = {"Content-Type": "application/json", "X-Hub-Signature-256": sign(body)}
            receiver.request("POST", PATH, body, headers)
            answer = receiver.getresponse()
            answer.read()
            found = connection.execute("select from webhook_inbox where body = %b", [body])
            if answer.status != 200 or found.rowcount != 1:
                raise Failed(f"answered {answer.status} with {found.rowcount} rows in the inbox")
    receiver.close()


def check_refused(port: int, body: bytes) -> None:
    """What is signed with something else is not accepted."""
    receiver = http.client.HTTPConnection("127.0.0.1", port)
    headers = {"Content-Type": "application/json", "X-Hub-Signature-256": sign(body + b" ")}
    receiver.request("POST", PATH, body, headers)
    status = receiver.getresponse().status
    receiver.close()
    if not 400 <= status < 500:
        raise Failed(f"answered {status} to a wrong signature")


def check_rows(url: str, deliveries: int, body_bytes: int) -> None:
    """The inbox has as many rows as were acknowledged, no two alike, and no byte more or less."""
    with psycopg.connect(url) as connection:
        [found] = connection.execute(_ROWS).fetchall()
    if tuple(map(int, found)) != (deliveries, deliveries, body_bytes):
        raise Failed(
            f"{deliveries} deliveries of {body_bytes} bytes were acknowledged;"
            " the inbox has {} rows, {} different, {} bytes".format(*found)
        )


def count_applied(url: str) -> int:
    with psycopg.connect(url) as connection:
        [(applied,)] = connection.execute(_APPLIED).fetchall()
    return int(applied)


def wait_until_drained(url: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    with psycopg.connect(url, autocommit=True) as connection:
        while connection.execute(_PENDING).fetchall() != [(0,)]:
            if time.monotonic() > deadline:
                raise Failed("the drain does not come to an end")
            time.sleep(0.1)
