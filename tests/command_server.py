"""A process that has imported the commands, and forks a process for each that a test runs.

To import them takes most of a command's time. What differs in a process that imports them itself,
as its streams and its end, is tested in commands/test_failures.py.
"""

import atexit
import functools
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from messenger_pipeline.project import PROJECT

TIMEOUT = 120.0  # seconds of a command


def run_command(
    *arguments: str, environment: Mapping[str, str], folder: Path, input: str = ""
) -> "subprocess.CompletedProcess[str]":
    """Run `messenger-pipeline` in a process with this environment and folder."""
    with (
        tempfile.TemporaryFile() as entered,
        tempfile.TemporaryFile() as output,
        tempfile.TemporaryFile() as errors,
    ):
        entered.write(input.encode())
        entered.seek(0)
        server = _server()
        job = json.dumps([arguments, dict(environment), str(folder)]).encode()
        streams = [entered.fileno(), output.fileno(), errors.fileno()]
        socket.send_fds(server, [len(job).to_bytes(4) + job], streams)
        pid = int.from_bytes(_received(server, 4))
        try:
            code = int.from_bytes(_received(server, 4), signed=True)
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            code = int.from_bytes(_received(server, 4), signed=True)
            raise subprocess.TimeoutExpired([*arguments], TIMEOUT) from None
        output.seek(0)
        errors.seek(0)
        printed = (output.read().decode(), errors.read().decode())
    return subprocess.CompletedProcess([*arguments], code, *printed)


@functools.cache
def _server() -> socket.socket:
    """The connection to the process, which ends with this one."""
    mine, its = socket.socketpair()
    with its:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.command_server", str(its.fileno())],
            pass_fds=[its.fileno()], cwd=PROJECT,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )  # fmt: skip
    mine.settimeout(TIMEOUT)

    def end() -> None:
        mine.close()
        process.wait(TIMEOUT)

    atexit.register(end)
    return mine


def _received(channel: socket.socket, count: int) -> bytes:
    received = b""
    while len(received) < count:
        part = channel.recv(count - len(received))
        if not part:
            raise ConnectionError("the server of commands has ended")
        received += part
    return received


def _serve(jobs: socket.socket) -> None:
    """Fork a process for each job, one at a time. Returns in that process, and at the end."""
    while True:
        length, streams, _, _ = socket.recv_fds(jobs, 4, 3)
        if not length:
            sys.exit()
        job = _received(jobs, int.from_bytes(length))
        pid = os.fork()
        if pid == 0:
            jobs.close()
            _become(*json.loads(job), streams=streams)
            return
        for stream in streams:
            os.close(stream)
        jobs.sendall(pid.to_bytes(4))
        _, status = os.waitpid(pid, 0)
        jobs.sendall(os.waitstatus_to_exitcode(status).to_bytes(4, signed=True))


def _become(
    arguments: list[str], environment: dict[str, str], folder: str, *, streams: list[int]
) -> None:
    """Make this process one that was started so."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    encoding = environment.get("PYTHONIOENCODING", "utf-8")
    sys.stdin.reconfigure(encoding=encoding)  # type: ignore[union-attr]
    sys.stdout.reconfigure(encoding=encoding)  # type: ignore[union-attr]
    sys.stderr.reconfigure(encoding=encoding, errors="backslashreplace")  # type: ignore[union-attr]
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["messenger-pipeline", *arguments]


if __name__ == "__main__":
    from messenger_pipeline import definitions  # noqa: F401 - `sync` imports it
    from messenger_pipeline.cli import main
    from messenger_pipeline.commands import group  # noqa: F401 - imported for the commands

    gc.freeze()  # no process need look at what was imported
    _serve(socket.socket(fileno=int(sys.argv[1])))
    main()
