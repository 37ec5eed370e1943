"""A database with some of everything, and clones of it."""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from messenger_pipeline.db.embedded import database_url
from tests.conftest import STRATEGY
from tests.schema_diff.worlds import BASE, FACTS, ROLES

Clone = Callable[[], str]


@pytest.fixture(scope="session")
def world(server: str) -> str:
    """The name of a database with some of everything."""
    name = f"align_world_{os.getpid()}"
    url = database_url(server, name)
    with psycopg.connect(url, autocommit=True) as connection:
        for role in ROLES:
            # Another process of the tests may have made it.
            with suppress(psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
                connection.execute(SQL("create role {}").format(Identifier(role)))
        connection.execute(BASE.encode())
        connection.execute(FACTS.encode())
        connection.execute("create function stamp2() returns integer language sql as 'select 1'")
    return name


@pytest.fixture
def clone(server: str, world: str) -> Iterator[Clone]:
    """Clones that database: the URL of the clone."""
    made: list[str] = []

    def make() -> str:
        name = f"align_{os.getpid()}_{len(made)}"
        made.append(name)
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"drop database if exists {name} with (force)")
            connection.execute(f"create database {name} template {world} strategy {STRATEGY}")
        return database_url(server, name)

    yield make
    with psycopg.connect(server, autocommit=True) as connection:
        for name in made:
            connection.execute(f"drop database {name} with (force)")
