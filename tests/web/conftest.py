"""The receiver over real HTTP, on a real database."""

import hashlib
import hmac
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
import requests
import uvicorn

from messenger_pipeline.db.embedded import database_url
from messenger_pipeline.db.group_commit import GroupCommit
from messenger_pipeline.db.pool import Database
from messenger_pipeline.web.app import WEBHOOK, Control, create_app
from tests.db.test_load import query

OLD, NEW = "the old app secret", "the new app secret"
TOKEN = "a verify token & more"
KEY = "the API key, läng"


def signature(body: bytes, secret: str = NEW) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


class Asked(GroupCommit):
    """A commit that counts what it was asked to keep."""

    asked = 0

    async def keep(self, body: bytes) -> None:
        self.asked += 1
        await super().keep(body)


@dataclass
class Receiving:
    """A receiver that is being served."""

    url: str
    commit: Asked
    kept: list[int] = field(default_factory=list)
    """How many deliveries each commit announced."""

    @property
    def webhook(self) -> str:
        return self.url + WEBHOOK

    def ask(self, method: str, path: str, *, key: str | None = KEY, **asked: Any) -> Any:
        """A control route's answer."""
        headers = asked.pop("headers", {})
        if key is not None:
            headers = {"X-API-Key": key.encode(), **headers}
        return requests.request(method, self.url + path, headers=headers, timeout=30, **asked)

    def post(self, body: bytes, **headers: str) -> requests.Response:
        """Deliver it, rightly signed unless a signature is given."""
        signed = {"X-Hub-Signature-256": signature(body), "Content-Type": "application/json"}
        return requests.post(self.webhook, body, headers=signed | headers, timeout=30)


@contextmanager
def received_at(url: str, api_key: str | None = KEY) -> Iterator[Receiving]:
    """A receiver that keeps deliveries in the database of this URL, and applies none."""
    with Database(url, timeout=2) as database:
        yield from _received_at(database, url, api_key)


def _received_at(database: Database, url: str, api_key: str | None) -> Iterator[Receiving]:
    kept: list[int] = []
    commit = Asked(url, "public", kept.append)
    control = Control(database, url, api_key)
    app = create_app(commit, [OLD, NEW], TOKEN, nullcontext, control)
    listening = socket.create_server(("127.0.0.1", 0), backlog=500)
    config = uvicorn.Config(
        app, log_level="error", http="httptools", lifespan="on", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield Receiving(f"http://127.0.0.1:{listening.getsockname()[1]}", commit, kept)
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


@pytest.fixture(scope="package")
def web_url(server: str, template: str) -> Iterator[str]:
    """A database for all tests that leave it whole."""
    name = f"web_{os.getpid()}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"create database {name} template {template}")
        yield database_url(server, name)
        connection.execute(f"drop database {name} with (force)")


@pytest.fixture(scope="package")
def web_database(web_url: str) -> Iterator[Database]:
    with Database(web_url, timeout=10) as database:
        yield database


@pytest.fixture(scope="package")
def served(web_url: str) -> Iterator[Receiving]:
    with received_at(web_url) as receiving:
        yield receiving


@pytest.fixture(scope="package")
def away(server: str) -> Iterator[Receiving]:
    """A receiver whose database has gone away."""
    name = f"away_{os.getpid()}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"create database {name}")
        with received_at(database_url(server, name)) as receiving:
            connection.execute(f"drop database {name} with (force)")
            yield receiving


@pytest.fixture
def receiving(served: Receiving, web_database: Database) -> Receiving:
    """A receiver whose inbox is empty."""
    with web_database.transaction() as connection:
        connection.execute("truncate webhook_inbox, quarantined_records")
    served.kept.clear()
    served.commit.asked = 0
    return served


@pytest.fixture
def stored(web_database: Database) -> Callable[[], list[bytes]]:
    """The bodies in the inbox, as they came."""
    statement = "select body from webhook_inbox order by id"
    return lambda: [body for (body,) in query(web_database, statement)]
