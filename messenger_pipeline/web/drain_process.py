"""Starts the drain, a child process of the receiver, and restarts it when it exits."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from messenger_pipeline.errors import reason_of

_log = logging.getLogger(__name__)
_RESTART_SECONDS = (1.0, 60.0)
"""The pause before a restart, doubled from the first to the longest: a drain that cannot work must
not take the machine from the receiver."""
_STEADY_SECONDS = 120.0
"""A drain that ran this long had worked: its restart waits the first pause again."""
_STOP_TIMEOUT = 4.0  # seconds to finish a batch: service managers wait ten before they kill us


class DrainProcess:
    """The child process. With `drain` false it only checks the alert conditions.

    `on_failure` is called in a thread, with the reason, whenever it ends without having been
    stopped, or cannot be started.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        drain: bool = True,
        on_failure: Callable[[str], None] = lambda _reason: None,
    ) -> None:
        self._environment = dict(environment)
        self._arguments = [] if drain else ["--no-drain"]
        self._on_failure = on_failure
        self._process: subprocess.Popen[bytes] | None = None

    def notify(self, _deliveries: int) -> None:
        """Wake the drain: deliveries were committed."""
        process = self._process
        if process is None or process.stdin is None or process.stdin.closed:
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
        shortest, longest = _RESTART_SECONDS
        pause = shortest
        while True:
            began = time.monotonic()
            try:
                self._process = self._start()
                code = await asyncio.to_thread(self._process.wait)
                reason = _describe_exit(code)
            except Exception as error:  # noqa: BLE001 - such as too many processes
                code, reason = None, f"it could not be started: {reason_of(error)}"
            if time.monotonic() - began >= _STEADY_SECONDS:
                pause = shortest
            _log.error(
                "the drain ended, and is restarted in %.0f s: %s", pause, reason,
                extra={"exit_code": code},
            )  # fmt: skip
            await asyncio.to_thread(self._report, reason)
            await asyncio.sleep(pause)
            pause = min(pause * 2, longest)

    def _report(self, reason: str) -> None:
        try:
            self._on_failure(reason)
        except Exception as error:  # noqa: BLE001 - it is restarted all the same
            _log.warning("the drain's end could not be recorded: %s", reason_of(error))

    def _start(self) -> "subprocess.Popen[bytes]":
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()  # of the one that ended
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


def _describe_exit(code: int) -> str:
    if code >= 0:
        return f"it exited with code {code}"
    try:
        return f"it was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"it was ended by signal {-code}"
