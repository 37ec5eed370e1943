"""A supervised process of the stack; see supervise.py."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from messenger_pipeline.errors import PipelineError
from messenger_pipeline.project import import_path

# What `dagster dev` logs when it ends because one of its two processes did.
_OF_DAGSTER = re.compile(r"(dagster-\w+) process shut down unexpectedly with return code (-?\d+)")

_END_BYTES = 200_000  # of the log, in which that line is


class Child:
    """A supervised process and its log. It can be started again after it ended."""

    def __init__(
        self, name: str, command: list[str], environment: dict[str, str], home: Path, lock: Path
    ) -> None:
        self.name = name
        self.log = home / "logs" / f"{name}.log"
        self._command = [
            sys.executable, "-m", "messenger_pipeline.local.supervise", str(home), str(lock),
            *command,
        ]  # fmt: skip
        self._environment = environment
        self._home = home
        self.log.parent.mkdir(exist_ok=True)
        self.log.write_bytes(b"")
        self.start()

    def start(self) -> None:
        """Start the process. Its log continues that of the one before."""
        self._log_start = self.log.stat().st_size
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self._environment, **import_path()},
                cwd=self._home,
                start_new_session=True,
            )

    def how_it_ended(self) -> str | None:
        """Which process ended, and by which signal or with which exit code. None: it runs."""
        code = self._process.poll()
        if code is None:
            return None
        with self.log.open("rb") as file:
            file.seek(max(self._log_start, self.log.stat().st_size - _END_BYTES))
            found = _OF_DAGSTER.search(file.read().decode(errors="replace"))
        return _ending(found[1], int(found[2])) if found else _ending(self.name, code)

    def check(self) -> None:
        """Raise PipelineError if it has ended."""
        if ended := self.how_it_ended():
            raise PipelineError(f"{ended}. The end of {self.log}:\n{self._tail()}")

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _tail(self, lines: int = 15) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


@contextmanager
def child(
    name: str, command: list[str], environment: dict[str, str], home: Path, lock: Path
) -> Iterator[Child]:
    """A supervised process, ended at the end."""
    one = Child(name, command, environment, home, lock)
    try:
        yield one
    finally:
        one.close()


def _ending(name: str, code: int) -> str:
    """How a process ended. A code below 0, or above 128 as a shell has it, stands for a signal."""
    number = -code if code < 0 else code - 128
    if number in {one.value for one in signal.Signals}:
        return f"{name} was ended by {signal.Signals(number).name}"
    return f"{name} ended with exit code {code}"
