"""The generator, as seen by the process that started it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

from bench.runner import Failed
from bench.webhook.generator import Latency, Order, Outcome
from messenger_pipeline.project import PROJECT


class Generator:
    """Takes one order at a time."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def prepare(self, order: Order) -> None:
        """Returns when everything is ready to be sent."""
        self._tell(json.dumps(asdict(order)))
        self._hear()

    def send(self) -> Outcome:
        """Send what was prepared. Raises Failed where a connection broke or an answer did not
        come."""
        self._tell("go")
        told = json.loads(self._hear())
        if "broken" in told:
            raise Failed(told["broken"])
        return Outcome(**{**told, "latency": Latency(**told["latency"])})

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _hear(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise Failed("the generator ended")
        return line


@contextmanager
def open_generator() -> Iterator[Generator]:
    """A generator; it ends with its standard input."""
    with subprocess.Popen(
        [sys.executable, "-m", "bench.webhook.generator"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
    ) as process:
        yield Generator(process)
