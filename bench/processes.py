"""Programs that a benchmark starts: each in a process group of its own, with a log."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import click

from messenger_pipeline.project import PROJECT

Process = subprocess.Popen[str]
UVICORN = "uvicorn --factory --lifespan off --no-access-log --timeout-keep-alive 3600".split()  # noqa: SIM905
"""The module and options that serve a raw ASGI application, with uvicorn's fast loop and parser."""
_START_SECONDS = 300.0
_STOP_SECONDS = 20.0
_NOTHING: Mapping[str, str] = {}


class Failed(click.ClickException):
    """A contestant ended early, or did not do what it acknowledged. Ends the command with 1."""


@contextmanager
def started(
    folder: Path, command: tuple[str, ...], python: str = sys.executable,
    environment: Mapping[str, str] = _NOTHING,
) -> Iterator[Process]:  # fmt: skip
    """A module with its arguments, which runs in `folder` until the end of the block. A Failed of
    the block gets the end of the module's log.
    """
    log, ours = folder / f"{command[0]}.log", ("MESSENGER_", "DAGSTER_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    with (
        log.open("a") as errors,
        subprocess.Popen(
            [python, "-m", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=folder,
            env={**inherited, "PYTHONPATH": str(PROJECT), **environment},
            start_new_session=True,
        ) as process,
    ):
        try:
            yield process
        except Failed as failed:
            if "\n" in failed.message:  # it has a log
                raise
            tail = log.read_text(errors="replace")[-2000:]
            raise Failed(f"{failed.message}\n{log}:\n{tail}") from None
        finally:
            for number in (signal.SIGTERM, signal.SIGKILL):
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, number)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_STOP_SECONDS)


@contextmanager
def listening(
    folder: Path, command: tuple[str, ...], environment: Mapping[str, str] = _NOTHING
) -> Iterator[tuple[int, int]]:
    """The port and process id of a module that accepts connections on its `--port`."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port: int = unused.getsockname()[1]
    command = (*command, "--port", str(port))
    with started(folder, command, environment=environment) as process:
        deadline = time.monotonic() + _START_SECONDS
        while not _accepts(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"{command[0]} does not listen; exit code: {process.returncode}")
            time.sleep(0.05)
        yield port, process.pid


def ask(process: Process, line: str) -> str:
    """Send a line to a process, and read the next one. Raises Failed if it ended instead."""
    assert process.stdin
    assert process.stdout
    with suppress(BrokenPipeError):
        process.stdin.write(line + "\n")
        process.stdin.flush()
    answer = process.stdout.readline()
    if not answer:
        raise Failed(f"{process.args!r} ended early, with exit code {process.wait()}")
    return answer


def _accepts(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
