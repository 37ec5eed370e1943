"""The stack on one machine: embedded PostgreSQL, simulated Graph API, receiver, Dagster.

The child processes end when this one does, even if it is killed; see supervise.py.
"""

import fcntl
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from messenger_pipeline import runtime
from messenger_pipeline.db.migrate import upgrade
from messenger_pipeline.errors import ConfigurationError, PipelineError
from messenger_pipeline.local.child import Child, child
from messenger_pipeline.project import PROJECT
from messenger_pipeline.runtime import database_urls
from messenger_pipeline.settings import Settings

STARTUP_SECONDS = 300.0  # 20 on an idle machine of two cores; a child that ends is noticed at once


def prepare_dagster(settings: Settings, data: str, dagster: str) -> dict[str, str]:
    """The environment for Dagster; its home gets the project's dagster.yaml.

    It holds every setting: Dagster prefers a .env in its directory to the environment, so its
    processes run in a directory that has none.
    """
    home = (settings.dagster_home or settings.home / "dagster").resolve()
    own = home / "dagster.yaml"
    try:
        home.mkdir(parents=True, exist_ok=True)
        if settings.dagster_home is None or not own.exists():
            own.write_text((PROJECT / "dagster.yaml").read_text())
    except OSError as error:
        setting = "DAGSTER_HOME" if settings.dagster_home else "MESSENGER_HOME"
        raise ConfigurationError(
            f"{setting}: {home} cannot be used: {error.strerror}. Name another folder."
        ) from None
    return {
        **runtime.environment(settings, data),
        "DAGSTER_HOME": str(home),
        "DAGSTER_PG_URL": _for_sqlalchemy(dagster),
    }


@contextmanager
def stack_lock(home: Path) -> Iterator[Path]:
    """One stack per home: waits until the processes of an earlier one have ended.

    Yields the lock file that each child locks until its last process has ended.
    """
    home.mkdir(parents=True, exist_ok=True)
    path = home / "stack.lock"
    with path.open("w") as file, (home / "stack.starter").open("w") as starter:
        try:
            fcntl.flock(starter, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PipelineError(
                f"Another `dev` or `demo` uses {home}. End it first, or set another MESSENGER_HOME."
            ) from None
        deadline = time.monotonic() + STARTUP_SECONDS
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise PipelineError(
                        f"Processes of an earlier `dev` or `demo` still use {home}. Kill them."
                    ) from None
                time.sleep(0.2)
        fcntl.flock(file, fcntl.LOCK_UN)
        yield path


@dataclass(frozen=True)
class Stack:
    """A running stack."""

    data: str
    graph_url: str
    receiver_url: str | None
    children: list[Child]
    environment: dict[str, str]

    def check(self) -> None:
        for one in self.children:
            one.check()


@contextmanager
def running_stack(
    settings: Settings,
    *,
    ui_port: int,
    receiver_port: int | None,
    simulated: list[str] | None,
    prepared: Callable[[str, str], None],
) -> Iterator[Stack]:
    """The stack; all its servers answer when the body runs.

    Dagster's webserver is on `ui_port`. `receiver_port` adds the webhook receiver; `simulated`,
    the arguments of `simulate`, a Graph API that delivers to it. `prepared` is called with the
    URLs of the database and the API, before Dagster starts.
    """
    home = settings.home.resolve()
    require_free_port(ui_port, "--ui-port")
    receiver_url = None
    if receiver_port is not None:
        require_free_port(receiver_port, "--port")
        receiver_url = f"http://127.0.0.1:{receiver_port}"
    with ExitStack() as up:
        lock = up.enter_context(stack_lock(home))
        data, dagster = up.enter_context(database_urls(settings))
        upgrade(data, settings.database_schema)
        environment = prepare_dagster(settings, data, dagster)
        children = []
        graph_url = settings.graph_url
        if simulated is not None:
            port = free_port()
            graph_url = f"http://127.0.0.1:{port}"
            command = [sys.executable, "-m", "messenger_pipeline.cli", "simulate"]
            command += ["--port", str(port), *simulated]
            if receiver_url:
                secret = settings.app_secret[0].get_secret_value()
                command += ["--app-secret", secret, "--webhook-url", f"{receiver_url}/api/webhook"]
            children.append(up.enter_context(child("simulator", command, {}, home, lock)))
            environment["MESSENGER_GRAPH_URL"] = graph_url
            _wait_for(f"{graph_url}/_simulator/pages", children)
        os.environ.update(environment)
        prepared(data, graph_url)
        if receiver_url:
            command = [sys.executable, "-m", "messenger_pipeline.cli", "serve"]
            command += ["--port", str(receiver_port)]
            children.append(up.enter_context(child("receiver", command, environment, home, lock)))
            _wait_for(f"{receiver_url}/readyz", children)
        command = [sys.executable, "-m", "dagster", "dev", "-w", str(PROJECT / "workspace.yaml")]
        command += ["-h", "127.0.0.1", "-p", str(ui_port)]
        # Dagster's default, 60 s to start a run, is too short while a busy machine starts eight.
        patient = {
            "DAGSTER_GRPC_TIMEOUT_SECONDS": f"{STARTUP_SECONDS:.0f}",
            **os.environ,
            **environment,
        }
        children.append(up.enter_context(child("dagster", command, patient, home, lock)))
        _wait_for(f"http://127.0.0.1:{ui_port}/server_info", children)
        yield Stack(data, graph_url, receiver_url, children, environment)


def require_free_port(port: int, option: str) -> None:
    """Raise PipelineError if something listens on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise PipelineError(
                f"Port {port} cannot be used: {error.strerror}. Choose another with {option}."
            ) from None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(url: str, children: list[Child]) -> None:
    deadline = time.monotonic() + STARTUP_SECONDS
    while time.monotonic() < deadline:
        for one in children:
            one.check()
        try:
            with urlopen(url, timeout=5):  # noqa: S310 - an address of our own
                return
        except OSError:
            time.sleep(0.2)
    raise PipelineError(
        f"{children[-1].name} did not answer within {STARTUP_SECONDS:.0f} s. Its log is"
        f" {children[-1].log}."
    )


def _for_sqlalchemy(url: str) -> str:
    """Dagster's storage needs psycopg2, whichever driver postgresql:// means to SQLAlchemy."""
    return "postgresql+psycopg2://" + url.partition("://")[2]
