"""Starts the drain, a child process of the receiver, and restarts it when it exits."""

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

_log = logging.getLogger(__name__)
_RESTART_SECONDS = 1.0
_STOP_TIMEOUT = 4.0  # seconds to finish a batch: service managers wait ten before they kill us


class DrainProcess:
    """The child process. With `drain` false it only checks the alert conditions."""

    def __init__(self, environment: Mapping[str, str], *, drain: bool = True) -> None:
        self._environment = dict(environment)
        self._arguments = [] if drain else ["--no-drain"]
        self._process: subprocess.Popen[bytes] | None = None

    def notify(self, _deliveries: int) -> None:
        """Wake the drain: deliveries were committed."""
        process = self._process
        if process is None or process.stdin is None:
            return
        try:
            os.write(process.stdin.fileno(), b".")
        except (BlockingIOError, BrokenPipeError):
            return  # enough wake-ups are in the pipe, or it has exited and is restarted soon

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        supervisor = asyncio.create_task(self._supervise())
        try:
            yield
        finally:
            supervisor.cancel()
            await asyncio.gather(supervisor, return_exceptions=True)
            await asyncio.to_thread(self._stop)

    async def _supervise(self) -> None:
        while True:
            try:
                self._process = self._start()
            except OSError as error:
                _log.error("cannot start the drain, retrying: %s", error)
                await asyncio.sleep(_RESTART_SECONDS)
                continue
            code = await asyncio.to_thread(self._process.wait)
            _log.error(
                "the drain exited with code %s and is restarted", code, extra={"exit_code": code}
            )
            await asyncio.sleep(_RESTART_SECONDS)

    def _start(self) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            [sys.executable, "-m", "messenger_pipeline.web.drain_worker", *self._arguments],
            stdin=subprocess.PIPE,
            env={**os.environ, **self._environment},
            start_new_session=True,  # Ctrl-C is for the receiver, which stops the drain
        )
        assert process.stdin is not None
        os.set_blocking(process.stdin.fileno(), False)
        return process

    def _stop(self) -> None:
        process = self._process
        if process is None or process.stdin is None:
            return
        process.stdin.close()
        try:
            process.wait(timeout=_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            # It waits for a database that is down, or for Meta. A batch that is rolled back is
            # applied by the next drain.
            process.kill()
            process.wait()
