"""Deliveries into the inbox, many in one commit, for a receiver that is asynchronous."""

import asyncio
from collections import deque
from collections.abc import Callable

import psycopg
from psycopg import sql

from messenger_pipeline.db.pool import translated
from messenger_pipeline.errors import DatabaseUnavailable, PipelineError

_MOST = 500  # bodies in one commit
_MOST_BYTES = 16 * 2**20  # of one commit
_MOST_WAITING = 256 * 2**20  # bytes; beyond them the sender must come again
_SECONDS = 3.5  # for a commit: Meta waits five for its answer
_CONNECT_SECONDS = 2


class GroupCommit:
    """Keeps bodies; those that come while a commit is under way share the next one.

    Use as an asynchronous context manager. `kept` is called after each commit, with how many.
    """

    def __init__(self, url: str, schema: str, kept: Callable[[int], None]) -> None:
        self._url = url
        self._kept = kept
        self._statement = sql.SQL("select count(*) from {}(%b)").format(
            sql.Identifier(schema, "receive_webhook_deliveries")
        )
        self._waiting: deque[tuple[bytes, asyncio.Future[None]]] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._connection: psycopg.AsyncConnection | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "GroupCommit":
        self._task = asyncio.create_task(self._commit_forever())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._disconnect()

    async def keep(self, body: bytes) -> None:
        """Return once the body is committed. Raises DatabaseUnavailable: then it may be kept, or
        not, and is to be sent again."""
        if self._bytes + len(body) > _MOST_WAITING:
            raise DatabaseUnavailable("too many deliveries wait to be committed")
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((body, future))
        self._bytes += len(body)
        self._wake.set()
        await future

    async def check(self) -> None:
        """Raise DatabaseUnavailable unless a commit is possible."""
        with translated():
            connection = await psycopg.AsyncConnection.connect(
                self._url, autocommit=True, connect_timeout=_CONNECT_SECONDS
            )
            async with connection:
                await connection.execute("select 1")

    async def _commit_forever(self) -> None:
        while True:
            await self._wake.wait()
            batch = self._next_batch()
            if not batch:
                self._wake.clear()
                continue
            error = await self._commit([body for body, _ in batch])
            for _, future in batch:
                if future.done():
                    continue  # its sender went away
                if error is None:
                    future.set_result(None)
                else:
                    future.set_exception(error)
            if error is None:
                self._kept(len(batch))

    def _next_batch(self) -> list[tuple[bytes, "asyncio.Future[None]"]]:
        batch: list[tuple[bytes, asyncio.Future[None]]] = []
        size = 0
        while self._waiting and len(batch) < _MOST and size < _MOST_BYTES:
            batch.append(self._waiting.popleft())
            size += len(batch[-1][0])
        self._bytes -= size
        return batch

    async def _commit(self, bodies: list[bytes]) -> PipelineError | None:
        """One insert, committed; or why not."""
        try:
            async with asyncio.timeout(_SECONDS):
                with translated():
                    if self._connection is None:
                        self._connection = await psycopg.AsyncConnection.connect(
                            self._url,
                            autocommit=True,
                            prepare_threshold=None,
                            connect_timeout=_CONNECT_SECONDS,
                            application_name="messenger-pipeline receiver",
                        )
                    await self._connection.execute(self._statement, [bodies])
        except PipelineError as error:
            await self._disconnect()
            return error
        except TimeoutError:
            await self._disconnect()
            return DatabaseUnavailable(f"no commit within {_SECONDS} seconds")
        return None

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()
