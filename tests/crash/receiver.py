"""The webhook receiver in a process that tests interrupt."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import IO

import psutil
import requests

from graph_simulator import World
from messenger_pipeline.db import pages
from messenger_pipeline.db.pool import Database
from messenger_pipeline.vault import TokenVault, new_key
from tests.crash.barriers import until
from tests.graph_simulator.webhook_sink import free_port

SECRET = "an app secret"
KEY = new_key()
GRACE = 10.0
"""Seconds that a receiver may take to exit after SIGTERM."""


def environment(url: str, graph: str = "http://127.0.0.1:1") -> dict[str, str]:
    """The environment of a process that uses this database. By default no Graph API listens, so
    that names are unavailable, which must delay nothing."""
    return {
        **{k: v for k, v in os.environ.items() if not k.startswith(("MESSENGER_", "DAGSTER_"))},
        "MESSENGER_DATABASE_URL": url,
        "MESSENGER_GRAPH_URL": graph,
        "MESSENGER_APP_SECRET": SECRET,
        "MESSENGER_VERIFY_TOKEN": "a verify token",
        "MESSENGER_TOKEN_KEY": KEY,
        "MESSENGER_CALLS_PER_SECOND": "10000",
    }


def register_pages(url: str, world: World) -> None:
    with Database(url) as database:
        for page in world.pages.values():
            pages.register_page(
                database,
                page.id,
                name=page.name,
                user_id="owner-1",
                platform="messenger",
                token_encrypted=TokenVault([KEY]).encrypt(page.token),
            )


class Receiver:
    """A receiver whose address stays the same across restarts."""

    def __init__(self, environment: dict[str, str], log: IO[bytes]) -> None:
        self.port = free_port()
        self._environment = environment
        self._log = log
        self._process: psutil.Popen | None = None
        self._drains: list[psutil.Process] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/webhook"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return int(self._process.pid)

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        self._process = psutil.Popen(
            [sys.executable, "-m", "messenger_pipeline.cli", "serve", "--port", str(self.port)],
            env=self._environment,
            stdout=self._log,
            stderr=self._log,
        )
        until(self.is_ready, "the receiver")

    def is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "the receiver ended"
        try:
            return self.status_of("readyz") == 200
        except requests.RequestException:
            return False

    def status_of(self, path: str) -> int:
        return requests.get(f"http://127.0.0.1:{self.port}/{path}", timeout=10).status_code

    def drain(self) -> psutil.Process:
        """Its drain process. Waits until it has started."""
        found: list[psutil.Process] = []

        def look() -> bool:
            assert self._process is not None
            with contextlib.suppress(psutil.NoSuchProcess):
                children = self._process.children()
                found[:] = [one for one in children if one.status() != psutil.STATUS_ZOMBIE]
            return bool(found)

        until(look, "the drain")
        self._drains = [one for one in self._drains if one.is_running()] + found
        return found[0]

    def kill_alone(self) -> None:
        """Send SIGKILL to it, but not to its drain."""
        assert self._process is not None
        self.drain()
        self._process.kill()
        self._process.wait()

    def kill(self) -> None:
        """Send SIGKILL to it and to its drain."""
        drain = self.drain()
        self.kill_alone()
        drain.kill()

    def terminate(self) -> None:
        """Send SIGTERM, like a service manager."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)

    def exit_code(self, seconds: float = GRACE) -> int:
        assert self._process is not None
        return int(self._process.wait(seconds))

    def end(self) -> None:
        """Kill all processes that are left."""
        if self._process is not None and self._process.poll() is None:
            for child in self._process.children():
                child.kill()
            self._process.kill()
            self._process.wait()
        for drain in self._drains:
            with contextlib.suppress(psutil.NoSuchProcess):
                drain.kill()


@contextlib.contextmanager
def running_receiver(environment: dict[str, str]) -> Iterator[Receiver]:
    """A running receiver. If the test fails, its log goes to standard error."""
    with tempfile.TemporaryFile() as log:
        receiver = Receiver(environment, log)
        try:
            receiver.start()
            yield receiver
        except BaseException:
            log.seek(0)
            sys.stderr.write(log.read().decode(errors="replace")[-5000:])
            raise
        finally:
            receiver.end()


@contextlib.contextmanager
def running_drain(environment: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    """A running drain without a receiver."""
    process = subprocess.Popen(
        [sys.executable, "-m", "messenger_pipeline.web.drain_worker"],
        env=environment,
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.kill()  # it may be waiting for names
        process.wait()
