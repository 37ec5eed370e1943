"""A process that has imported everything and forks one for each run: they start at once, and the
tests' own process, with its threads, is never forked.
"""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from types import TracebackType
from typing import Any

import psutil

from messenger_pipeline.project import PROJECT
from tests.crash.job import Job, decoded, run

PATIENCE = 60.0  # seconds; what takes longer hangs


class Child:
    """A run in a process of its own. The process is gone when its end of the channel is."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._rest = b""
        self._told: dict[str, Any] = {}
        self.ended = False
        # Knows its process from one that has its number later.
        self._process = psutil.Process(self.told("pid"))
        channel.sendall(b"\n")  # from now on it may die

    def told(self, name: str) -> Any:
        """What the process tells under a name, once it does."""
        deadline = time.monotonic() + PATIENCE
        while name not in self._told:
            assert not self.ended, f"it ended without telling its {name}: {self._told}"
            assert self._read(deadline - time.monotonic()), f"waited for its {name} in vain"
        return self._told[name]

    def wait(self, seconds: float = PATIENCE) -> dict[str, Any] | None:
        """What it told, once it has ended; None if it has not by then."""
        deadline = time.monotonic() + seconds
        while not self.ended:
            if not self._read(deadline - time.monotonic()):
                return None
        return self._told

    def end(self) -> dict[str, Any]:
        """What it told; empty but for its pid if it was killed."""
        told = self.wait()
        assert told is not None, f"process {self._process.pid} does not end"
        return told

    def kill(self) -> bool:
        """SIGKILL. False if it had come to its end."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self._process.kill()
        return self.end().keys().isdisjoint({"result", "error"})

    def is_stopped(self) -> bool:
        return bool(self._process.status() == psutil.STATUS_STOPPED)

    def resume(self) -> None:
        self._process.resume()

    def _read(self, seconds: float) -> bool:
        """Read on; False if nothing comes in time."""
        if not select.select([self._channel], [], [], max(0.0, seconds))[0]:
            return False
        try:
            read = self._channel.recv(65_536)
        except ConnectionResetError:
            read = b""
        if not read:
            self.ended = True
            self._channel.close()
            return True
        *lines, self._rest = (self._rest + read).split(b"\n")
        for line in lines:
            self._told |= json.loads(line)
        return True


class Zygote:
    """Starts runs. Use as a context manager."""

    def __init__(self) -> None:
        self._orders, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.crash.zygote", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                cwd=PROJECT,
            )
        self._one_at_a_time = threading.Lock()
        self._children: list[Child] = []

    def __enter__(self) -> "Zygote":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for child in self._children:
            child.kill()
        self._orders.close()
        self._process.wait(PATIENCE)

    def start(self, job: Job) -> Child:
        mine, its = socket.socketpair()
        with self._one_at_a_time:
            with its:
                socket.send_fds(self._orders, [job.encoded()], [its.fileno()])
            child = Child(mine)
            self._children = [one for one in self._children if not one.ended] + [child]
        return child

    def run(self, job: Job) -> dict[str, Any]:
        """Start a run and wait for its end."""
        return self.start(job).end()


def serve(orders: socket.socket) -> None:
    """Fork a process for each job, until nobody asks for more."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        body, descriptors, _, _ = socket.recv_fds(orders, 65_536, 1)
        if not body:
            return
        if os.fork() == 0:
            orders.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            run(decoded(body), socket.socket(fileno=descriptors[0]))
            os._exit(0)
        os.close(descriptors[0])


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
