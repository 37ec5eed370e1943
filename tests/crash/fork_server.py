"""A process that has imported everything, and forks a process for each run.

Runs start without delay, and the process of the tests, which has threads, is never forked.
"""

import contextlib
import gc
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
from tests.crash.run_job import Job, decoded, run

TIMEOUT = 60.0  # seconds


class Child:
    """A run in a process of its own. The channel closes when the process ends."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._rest = b""
        self._report: dict[str, Any] = {}
        self.ended = False
        # Recognizes a later process with the same id.
        self._process = psutil.Process(self.wait_for("pid"))
        channel.sendall(b"\n")  # lets it start: it may die from now on

    def wait_for(self, name: str) -> Any:
        """Wait until the report has an entry, and return it."""
        deadline = time.monotonic() + TIMEOUT
        while name not in self._report:
            assert not self.ended, f"it ended without reporting {name}: {self._report}"
            assert self._read(deadline - time.monotonic()), f"timed out waiting for {name}"
        return self._report[name]

    def wait(self, seconds: float = TIMEOUT) -> dict[str, Any] | None:
        """Wait for its end. Returns its report, or None after `seconds`."""
        deadline = time.monotonic() + seconds
        while not self.ended:
            if not self._read(deadline - time.monotonic()):
                return None
        return self._report

    def end(self) -> dict[str, Any]:
        """Wait for its end. Returns its report, which has only a pid if it was killed."""
        report = self.wait()
        assert report is not None, f"process {self._process.pid} has not ended"
        return report

    def kill(self) -> bool:
        """Send SIGKILL. Returns False if the run had already ended."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self._process.kill()
        return self.end().keys().isdisjoint({"result", "error"})

    def is_stopped(self) -> bool:
        return bool(self._process.status() == psutil.STATUS_STOPPED)

    def resume(self) -> None:
        self._process.resume()

    def _read(self, seconds: float) -> bool:
        """Read more of the report. Returns False on a timeout."""
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
            self._report |= json.loads(line)
        return True


class ForkServer:
    """Starts runs. A context manager."""

    def __init__(self) -> None:
        self._jobs, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.crash.fork_server", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                cwd=PROJECT,
            )
        self._one_at_a_time = threading.Lock()
        self._children: list[Child] = []

    def __enter__(self) -> "ForkServer":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for child in self._children:
            child.kill()
        self._jobs.close()
        self._process.wait(TIMEOUT)

    def start(self, job: Job) -> Child:
        mine, its = socket.socketpair()
        with self._one_at_a_time:
            with its:
                socket.send_fds(self._jobs, [job.encoded()], [its.fileno()])
            child = Child(mine)
            self._children = [one for one in self._children if not one.ended] + [child]
        return child

    def run(self, job: Job) -> dict[str, Any]:
        """Start a run, and wait for its end. Returns its report."""
        return self.start(job).end()


def serve(jobs: socket.socket) -> None:
    """Fork a process for each job, until the socket closes."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        body, descriptors, _, _ = socket.recv_fds(jobs, 65_536, 1)
        if not body:
            return
        if os.fork() == 0:
            jobs.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            run(decoded(body), socket.socket(fileno=descriptors[0]))
            os._exit(0)
        os.close(descriptors[0])


if __name__ == "__main__":
    gc.freeze()  # no run need look at what was imported
    serve(socket.socket(fileno=int(sys.argv[1])))
