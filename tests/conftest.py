"""Real PostgreSQL (a template cloned for each test) and the simulator over real HTTP."""

import itertools
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests
import uvicorn
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from graph_simulator import World, create_app
from graph_simulator.world import CursorKind
from messenger_pipeline.db import migrate, pages
from messenger_pipeline.db import server as database_server
from messenger_pipeline.db.embedded import database_url, embedded_server
from messenger_pipeline.db.pool import Database
from messenger_pipeline.engine import Engine
from messenger_pipeline.graph.client import GraphApi
from messenger_pipeline.vault import TokenVault, new_key
from tests.server_folder import OPTIONS, server_folder

# Examples share machines with databases: what is slow is no failure.
hypothesis_settings.register_profile(
    "here",
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
hypothesis_settings.load_profile("here")

_numbers = itertools.count(1)


STRATEGY = "wal_log" if "MESSENGER_TEST_DATABASE_URL" in os.environ else "file_copy"
"""How a database is cloned. Copying files needs a checkpoint: fast only where nothing is synced."""


@pytest.fixture(autouse=True)
def _no_settings_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [*os.environ]:
        if name.startswith(("MESSENGER_", "DAGSTER_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)  # no .env either


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """A PostgreSQL server: MESSENGER_TEST_DATABASE_URL, else an embedded one."""
    given = os.environ.get("MESSENGER_TEST_DATABASE_URL")
    if given:
        yield given
        return
    with server_folder() as folder, embedded_server(folder, OPTIONS) as url:
        yield url


@pytest.fixture(scope="session")
def newest_server(server: str) -> Iterator[str]:
    """The embedded PostgreSQL, which is newer than a server that is given."""
    if "MESSENGER_TEST_DATABASE_URL" not in os.environ:
        yield server
        return
    import tempfile

    with tempfile.TemporaryDirectory(prefix="mp") as folder:
        Path(folder).chmod(0o755)
        with embedded_server(Path(folder), "\nfsync = off\n") as url:
            yield url


@pytest.fixture(scope="session")
def template(server: str) -> str:
    """The name of a database with the schema."""
    name = f"template_{os.getpid()}"
    migrate.upgrade(database_url(server, name), "public")
    return name


@pytest.fixture
def url(server: str, template: str) -> Iterator[str]:
    """A database of the test's own, with the schema."""
    with _cloned(server, template) as url:
        yield url


@pytest.fixture
def empty_url(server: str) -> Iterator[str]:
    """A database of the test's own, without anything."""
    with _cloned(server, "template1") as url:
        yield url


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    with Database(url, timeout=10) as database:
        yield database


def give_locks_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have connections that are opened from now on wait for a lock for a tenth of a second."""
    options = f"{database_server._OPTIONS} -c lock_timeout=100ms"
    monkeypatch.setattr(database_server, "_OPTIONS", options)


@contextmanager
def _cloned(server: str, template: str) -> Iterator[str]:
    name = f"test_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"create database {name} template {template} strategy {STRATEGY}")
    yield database_url(server, name)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)")


class Simulated:
    """A simulated Graph API over HTTP, and its world."""

    def __init__(self, world: World, port: int) -> None:
        self.world = world
        self.url = f"http://127.0.0.1:{port}"
        self.pages = list(world.pages.values())

    @property
    def page(self):  # type: ignore[no-untyped-def]
        return self.pages[0]

    def calls(self) -> list[str]:
        """The path and cursor of each Graph call so far."""
        log: list[str] = self.admin("GET", "calls")["log"]
        return log

    def violations(self) -> int:
        """How many calls came while a fault blocked them."""
        return int(self.admin("GET", "calls")["violations"])

    def fault(self, name: str, **parameters: Any) -> None:
        """Apply a fault, with page, edge, after, times and the fault's own parameters."""
        self.admin("POST", "faults", {"name": name, **parameters})

    def hits(self, name: str) -> int:
        """How many calls a fault has hit so far."""
        faults = self.admin("GET", "faults")
        return sum(one["hits"] for one in faults["active"] + faults["spent"] if one["name"] == name)

    def clear_faults(self) -> None:
        self.admin("DELETE", "faults")

    def admin(self, method: str, path: str, body: object = None) -> Any:
        """Call the admin API."""
        url = f"{self.url}/_simulator/{path}"
        response = requests.request(method, url, json=body, timeout=30)
        assert response.ok, response.text
        return response.json() if response.content else None


_ending: list[threading.Thread] = []


@pytest.fixture
def simulate() -> Iterator[Callable[..., Simulated]]:
    """Starts simulators: simulate(conversations=…, pages=…, latency=…, app_secret=…,
    cursors="position" or "offset", instagram=…)."""
    started: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(
        conversations: int = 30,
        pages: int = 1,
        seed: int = 1,
        latency: float = 0.0,
        app_secret: str | None = None,
        cursors: CursorKind = "position",
        instagram: int = 0,
    ) -> Simulated:
        world = World(seed, pages, conversations, cursors, instagram)
        app = create_app(world, latency=latency, app_secret=app_secret)
        listening = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        started.append((server, thread))
        return Simulated(world, listening.getsockname()[1])

    yield start
    for server, _ in started:
        server.should_exit = True
    # They need a moment to end, in which the next tests can run.
    _ending.extend(thread for _, thread in started)
    while len(_ending) > 10:
        _ending.pop(0).join()


def register(database: Database, vault: TokenVault, simulated: Simulated) -> None:
    for page in simulated.pages:
        pages.register_page(
            database,
            page.id,
            name=page.name,
            user_id="owner-1",
            platform="instagram" if page.is_instagram else "messenger",
            token_encrypted=vault.encrypt(page.token),
            graph_id=page.graph_id,
        )


@pytest.fixture
def vault() -> TokenVault:
    return TokenVault([new_key()])


@pytest.fixture
def connect(database: Database, vault: TokenVault) -> Callable[[Simulated], Engine]:
    """Registers a simulator's pages and gives the engine that syncs them."""

    def connect(simulated: Simulated) -> Engine:
        register(database, vault, simulated)
        return Engine(database, GraphApi(simulated.url, "v26.0"), vault, 10_000)

    return connect
