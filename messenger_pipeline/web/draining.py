"""The receiver's own drain, a process beside it: what it computes delays no acknowledgement.

The receiver holds the other end of our standard input and writes to it when deliveries came. When
that closes, the batch at hand is finished and the process ends.

Beside the drain it looks for alerts, so that somebody is told when Dagster is down. With --no-drain
it does that alone.

    python -m messenger_pipeline.web.draining [--no-drain]
"""

import asyncio
import logging
import os
import select
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from messenger_pipeline import logs
from messenger_pipeline.errors import DatabaseUnavailable

if TYPE_CHECKING:  # the receiver needs none of what the process works with
    from messenger_pipeline.engine import Engine

_log = logging.getLogger(__name__)
_LOOK = 1.0  # seconds between two looks for what nobody announced: another's, or one to try again
_PAUSE = 0.5  # seconds after the database could not be reached
_END = 4.0  # seconds to finish the batch at hand; who stops us waits ten
_NICE = 5  # an acknowledgement goes first
_WATCH_ONLY = "--no-drain"


def main() -> int:
    from messenger_pipeline import runtime
    from messenger_pipeline.alerting.watch import Watcher
    from messenger_pipeline.settings import load_settings

    logs.configure("drain")
    os.nice(_NICE)
    settings = load_settings()
    url = settings.alert_url.get_secret_value() if settings.alert_url else None
    watcher = Watcher(lambda: runtime.open_database(settings, timeout=10), url)
    watcher.start()
    try:
        if _WATCH_ONLY in sys.argv:
            while _go_on(None):
                pass
        else:
            with runtime.open_engine(settings) as engine:
                _drain(engine)
    finally:
        watcher.close()
    return 0


def _drain(engine: "Engine") -> None:
    """Apply deliveries until the receiver has ended."""
    from messenger_pipeline.webhook.drain import drain_batch
    from messenger_pipeline.webhook.names import NameFinder

    names = NameFinder(engine)
    names.start()
    try:
        while True:
            try:
                drained = drain_batch(engine.database)
            except DatabaseUnavailable as error:
                _log.warning("waiting for the database: %s", error)
                if not _go_on(_PAUSE):
                    return
                continue
            names.add(drained.new_contacts)
            if not _go_on(0 if drained.deliveries else _LOOK):
                return
    finally:
        names.close()


def _go_on(seconds: float | None) -> bool:
    """Wait until deliveries are announced, at most so long. False if the receiver has ended."""
    readable, _, _ = select.select([sys.stdin], [], [], seconds)
    return not readable or bool(os.read(sys.stdin.fileno(), 65_536))


class DrainProcess:
    """The process, started again if it ends; without `drain` it only looks for alerts."""

    def __init__(self, environment: Mapping[str, str], *, drain: bool = True) -> None:
        self._environment = dict(environment)
        self._arguments = [] if drain else [_WATCH_ONLY]
        self._process: subprocess.Popen[bytes] | None = None

    def announce(self, _count: int) -> None:
        """Say that deliveries came."""
        process = self._process
        if process is None or process.stdin is None:
            return
        try:
            os.write(process.stdin.fileno(), b".")
        except (BlockingIOError, BrokenPipeError):
            return  # it has heard enough, or is about to be started again

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        keeper = asyncio.create_task(self._keep())
        try:
            yield
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
            await asyncio.to_thread(self._end)

    async def _keep(self) -> None:
        while True:
            try:
                self._process = self._start()
            except OSError as error:
                _log.error("the drain cannot be started, and will be tried again: %s", error)
                await asyncio.sleep(1)
                continue
            code = await asyncio.to_thread(self._process.wait)
            _log.error(
                "the drain ended with exit code %s; it is started again",
                code,
                extra={"exit_code": code},
            )
            await asyncio.sleep(1)

    def _start(self) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            [sys.executable, "-m", "messenger_pipeline.web.draining", *self._arguments],
            stdin=subprocess.PIPE,
            env={**os.environ, **self._environment},
            start_new_session=True,  # Ctrl-C is for the receiver, which tells us
        )
        assert process.stdin is not None
        os.set_blocking(process.stdin.fileno(), False)
        return process

    def _end(self) -> None:
        process = self._process
        if process is None or process.stdin is None:
            return
        process.stdin.close()
        try:
            process.wait(timeout=_END)
        except subprocess.TimeoutExpired:
            # It waits for a server that is away, or for Meta. A batch that is undone is applied
            # by whoever drains next.
            process.kill()
            process.wait()


if __name__ == "__main__":
    sys.exit(main())
