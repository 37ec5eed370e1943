"""Who is measured, and how each is started: a process that listens on a port."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psutil

from bench.cluster import Cluster
from bench.registry import KEY
from bench.runner import Failed
from bench.webhook.deliveries import SECRET
from messenger_pipeline.project import PROJECT

_START_SECONDS = 60.0
_STOP_SECONDS = 20.0


@dataclass(frozen=True)
class Contestant:
    """A program, and what is to be expected of it."""

    module: str
    arguments: tuple[str, ...] = ()
    keeps: bool = True
    drains: bool = False


CONTESTANTS = {
    "receiver": Contestant("messenger_pipeline.cli", ("serve", "--no-drain")),
    "draining": Contestant("messenger_pipeline.cli", ("serve",), drains=True),
    "route": Contestant("bench.webhook.route"),
    "no_insert": Contestant("bench.webhook.route", ("--no-insert",), keeps=False),
    "generator": Contestant("bench.webhook.trivial", keeps=False),
}
"""The receiver with its drain off and on; the bare route with and without its insert; and a
server that only answers, by which the generator itself is measured."""


@dataclass(frozen=True)
class Running:
    """A contestant that listens on `port`."""

    port: int
    process: psutil.Process

    def rss(self) -> int:
        """Resident bytes of the process and those that it started."""
        return sum(process.memory_info().rss for process in self._tree())

    def cpu_seconds(self) -> float:
        """Of the process and those that it started, so far."""
        times = [process.cpu_times() for process in self._tree()]
        return sum(time.user + time.system for time in times)

    def _tree(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]


@contextmanager
def started(name: str, cluster: Cluster, url: str) -> Iterator[Running]:
    """A contestant that accepts connections; it is ended with all that it started."""
    contestant, port, log = CONTESTANTS[name], free_port(), cluster.folder / f"{name}.log"
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [sys.executable, "-m", contestant.module, *contestant.arguments, "--port", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=subprocess.STDOUT,
            cwd=cluster.folder,
            env=_environment(cluster, url),
            start_new_session=True,
        ) as process,
    ):
        try:
            _wait_for(port, process)
            yield Running(port, psutil.Process(process.pid))
            if process.poll() is not None:
                raise Failed(f"{name} ended early, with {process.returncode}")
        except Failed as failed:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            raise Failed(f"{name}: {failed}\n{tail}") from None
        finally:
            _end(process)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return port


def _environment(cluster: Cluster, url: str) -> dict[str, str]:
    settings = ("MESSENGER_", "DAGSTER_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(settings)}
    return {
        **kept,
        "PYTHONPATH": str(PROJECT),
        "MESSENGER_HOME": str(cluster.folder),
        "MESSENGER_DATABASE_URL": url,
        "MESSENGER_APP_SECRET": SECRET,
        "MESSENGER_VERIFY_TOKEN": "bench",
        "MESSENGER_TOKEN_KEY": KEY,
        "MESSENGER_GRAPH_URL": "http://127.0.0.1:9",  # where nobody listens
    }


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise Failed(f"ended with {process.returncode} at its start")
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise Failed("does not accept connections")


def _end(process: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
