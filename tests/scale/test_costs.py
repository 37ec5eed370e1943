"""What a call reads does not grow with what is stored, whichever plan PostgreSQL caches for it.

In `make test` the database has a twentieth of its size, in `make test-large` all of it.
"""

import os
from collections.abc import Iterator

import psycopg
import pytest

from messenger_pipeline.db import migrate
from messenger_pipeline.db.embedded import database_url
from tests.scale.calls import Call, list_calls
from tests.scale.measuring import Connection, connect, measure, usual
from tests.scale.seeding import seed, sizes

SMALL, WHOLE = 0.05, 1.0


def calls(scale: float) -> list[Call]:
    return list(list_calls(sizes(scale)))


@pytest.fixture(scope="module", params=[SMALL, pytest.param(WHOLE, marks=pytest.mark.large)])
def scale(request: pytest.FixtureRequest) -> float:
    return float(request.param)


@pytest.fixture(scope="module")
def connection(server: str, scale: float) -> Iterator[Connection]:
    """A connection to a seeded database, which all calls share."""
    name = f"scale_{os.getpid()}"
    url = database_url(server, name)
    try:
        migrate.upgrade(url, "public")
        seed(url, scale)
        with connect(url) as connection:
            yield connection
    finally:
        with psycopg.connect(server, autocommit=True) as ending:
            ending.execute(f"drop database {name} with (force)")


@pytest.mark.parametrize("name", [call.name for call in calls(SMALL)])
def test_a_call_reads_no_more_than_it_returns(
    connection: Connection, scale: float, name: str
) -> None:
    """Fifteen calls on one connection: from the sixth on perhaps with generic plans."""
    call = next(one for one in calls(scale) if one.name == name)
    costs = measure(connection, call.statement)
    found = usual(costs)
    assert (found.rows <= call.rows, found.buffers <= call.buffers) == (True, True), costs
