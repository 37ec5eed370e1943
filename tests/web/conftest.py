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
from messenger_pipeline.web.server import Server
from messenger_pipeline.web.waits import Waits
from tests.db.test_load import query

OLD, NEW = "the old app secret", "the new app secret"
TOKEN = "a verify token & more"
KEY = "the API key, läng"


def signature(body: bytes, secret: str = NEW) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


class CountingCommit(GroupCommit):
    """Counts the bodies that were submitted to it."""

    submitted = 0

    async def store(self, body: bytes) -> None:
        self.submitted += 1
        await super().store(body)


@dataclass
class Receiver:
    """A receiver that listens on `url`."""

    url: str
    commit: CountingCommit
    waits: Waits
    commits: list[int] = field(default_factory=list)
    """The number of deliveries of each commit."""

    @property
    def webhook(self) -> str:
        return self.url + WEBHOOK

    def request(self, method: str, path: str, *, key: str | None = KEY, **options: Any) -> Any:
        """The response of a control route."""
        headers = options.pop("headers", {})
        if key is not None:
            headers = {"X-API-Key": key.encode(), **headers}
        return requests.request(method, self.url + path, headers=headers, timeout=30, **options)

    def post(self, body: bytes, **headers: str) -> requests.Response:
        """Deliver a body, with a valid signature unless another one is given."""
        signed = {"X-Hub-Signature-256": signature(body), "Content-Type": "application/json"}
        return requests.post(self.webhook, body, headers=signed | headers, timeout=30)


@contextmanager
def serve_receiver(
    url: str, api_key: str | None = KEY, timeout: float = 30.0, **options: Any
) -> Iterator[Receiver]:
    """A receiver that stores deliveries in the database of this URL, and applies none. `options`
    are those of Control."""
    with Database(url, timeout=timeout) as database:
        yield from _serve(database, url, Control(database, url, api_key, **options))


def _serve(database: Database, url: str, control: Control) -> Iterator[Receiver]:
    commits: list[int] = []
    commit = CountingCommit(url, "public", commits.append)
    app = create_app(commit, [OLD, NEW], TOKEN, nullcontext, control)
    listening = socket.create_server(("127.0.0.1", 0), backlog=500)
    config = uvicorn.Config(
        app, log_level="error", http="httptools", lifespan="on", timeout_graceful_shutdown=1
    )
    server = Server(config, app)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield Receiver(f"http://127.0.0.1:{listening.getsockname()[1]}", commit, app.waits, commits)
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


@pytest.fixture(scope="package")
def web_url(server: str, template: str) -> Iterator[str]:
    """A database for all tests that do not change its schema."""
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
def served(web_url: str) -> Iterator[Receiver]:
    """One receiver for all tests that do not look at its inbox."""
    with serve_receiver(web_url) as receiver:
        yield receiver


@pytest.fixture(scope="package")
def without_database(server: str) -> Iterator[Receiver]:
    """A receiver whose database was dropped."""
    name = f"dropped_{os.getpid()}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"create database {name}")
        with serve_receiver(database_url(server, name), timeout=2) as receiver:
            connection.execute(f"drop database {name} with (force)")
            yield receiver


@pytest.fixture
def receiver(served: Receiver, web_database: Database) -> Receiver:
    """The same receiver, with an empty inbox."""
    with web_database.transaction() as connection:
        connection.execute("truncate webhook_inbox, quarantined_records")
    served.commits.clear()
    served.commit.submitted = 0
    return served


@pytest.fixture
def stored(web_database: Database) -> Callable[[], list[bytes]]:
    """Returns the bodies in the inbox, in the order of their arrival."""
    statement = "select body from webhook_inbox order by id"
    return lambda: [body for (body,) in query(web_database, statement)]
