"""Deliveries into the inbox, many in one commit, for a receiver that is asynchronous."""

import asyncio
from collections import deque
from collections.abc import Callable

import psycopg
from psycopg import sql

from messenger_pipeline.db.pool import own_schema, translated
from messenger_pipeline.distribution import Distribution
from messenger_pipeline.errors import DatabaseUnavailable, PipelineError

_MOST = 500  # bodies in one commit
_MOST_BYTES = 16 * 2**20  # of one commit
_MOST_WAITING = 256 * 2**20  # bytes; beyond them the sender must come again
_SECONDS = 3.5  # for a commit: Meta waits five for its answer
_CONNECT_SECONDS = 2


class GroupCommit:
    """Keeps bodies; those that come while a commit is under way share the next one.

    Use as an asynchronous context manager. `kept` is called after each commit, with how many.
    `sizes` are the commits by how many shared one, `failures` those that did not succeed.
    """

    def __init__(self, url: str, schema: str, kept: Callable[[int], None]) -> None:
        self.url, self.schema = url, schema
        self.sizes = Distribution((1, 2, 5, 10, 20, 50, 100, 200, _MOST))
        self.failures = 0
        self._kept = kept
        self._statement = sql.SQL("select count(*) from {}(%b)").format(
            sql.Identifier(own_schema(schema), "receive_webhook_deliveries")
        )
        self._waiting: deque[tuple[bytes, asyncio.Future[None]]] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._connection: psycopg.AsyncConnection | None = None
        self._task: asyncio.Task[None] | None = None
        self._inserts: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "GroupCommit":
        self._task = asyncio.create_task(self._commit_forever())
        self._task.add_done_callback(self._refuse_all)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        ending = [self._task, *self._inserts]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        if self._connection is not None:
            await self._connection.close()

    async def keep(self, body: bytes) -> None:
        """Return once the body is committed. Raises DatabaseUnavailable: then it may be kept, or
        not, and is to be sent again."""
        if self._bytes + len(body) > _MOST_WAITING:
            raise DatabaseUnavailable("too many deliveries wait to be committed")
        if self._task is None or self._task.done():
            raise DatabaseUnavailable("nothing is committed any more")
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((body, future))
        self._bytes += len(body)
        self._wake.set()
        await future

    async def check(self) -> None:
        """Raise DatabaseUnavailable, or SchemaError, unless a commit is possible."""
        if self._task is None or self._task.done():
            raise DatabaseUnavailable("nothing is committed any more")
        with translated():
            connection = await psycopg.AsyncConnection.connect(
                self.url, autocommit=True, connect_timeout=_CONNECT_SECONDS
            )
            async with connection:
                # Without a body it keeps nothing, and shows that it is there.
                await connection.execute(self._statement, [[]])

    async def _commit_forever(self) -> None:
        while True:
            await self._wake.wait()
            batch = self._next_batch()
            if not batch:
                self._wake.clear()
                continue
            error = await self._commit([body for body, _ in batch])
            if isinstance(error, _Stalled):
                # Who came meanwhile would wait as long again, and be told too late.
                while self._waiting:
                    batch += self._next_batch()
            for _, future in batch:
                if future.done():
                    continue  # its sender went away
                if error is None:
                    future.set_result(None)
                else:
                    future.set_exception(error)
            if error is None:
                self.sizes.add(len(batch))
                self._kept(len(batch))
            else:
                self.failures += 1

    def _refuse_all(self, _: object) -> None:
        """Nobody waits for commits that will not come."""
        for _body, future in self._waiting:
            if not future.done():
                future.set_exception(DatabaseUnavailable("nothing is committed any more"))
        self._waiting.clear()

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
        insert = asyncio.create_task(self._insert(bodies))
        self._inserts.add(insert)
        insert.add_done_callback(self._inserts.discard)
        await asyncio.wait({insert}, timeout=_SECONDS)
        if not insert.done():
            # It ends by itself: to a server that is stalled, the request to cancel takes longer
            # than a sender waits.
            insert.cancel()
            return _Stalled(f"no commit within {_SECONDS} seconds")
        try:
            insert.result()
        except PipelineError as error:
            return error
        return None

    async def _insert(self, bodies: list[bytes]) -> None:
        """Only a connection on which all went well is used again."""
        connection, self._connection = self._connection, None
        with translated():
            if connection is None:
                connection = await psycopg.AsyncConnection.connect(
                    self.url,
                    autocommit=True,
                    prepare_threshold=None,
                    connect_timeout=_CONNECT_SECONDS,
                    application_name="messenger-pipeline receiver",
                )
            try:
                await connection.execute(self._statement, [bodies])
                self._connection = connection
            finally:
                if self._connection is not connection:
                    await connection.close()


class _Stalled(DatabaseUnavailable):
    """The server takes no commit, and does not say why."""
