"""Group commit: stores the deliveries that an asynchronous receiver takes in, many per commit."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from functools import partial

from psycopg import sql

from messenger_pipeline.db.pool import own_schema, translated
from messenger_pipeline.db.server import AsyncConnection, require_fit, settled_async
from messenger_pipeline.errors import DatabaseUnavailable, PipelineError, reason_of
from messenger_pipeline.payload_redaction import redact_payload

_log = logging.getLogger(__name__)

MAX_BATCH = 500
"""Bodies in one commit."""

_MAX_BATCH_BYTES = 16 * 2**20
_MAX_QUEUED_BYTES = 256 * 2**20  # beyond them a delivery is refused, and Meta sends it again
_COMMIT_TIMEOUT = 3.5  # seconds: Meta waits five for the response
_CONNECT_TIMEOUT = 2  # seconds

_Batch = list[tuple[bytes, "asyncio.Future[None]"]]


class GroupCommit:
    """Stores bodies in the inbox. Those that arrive during a commit share the next one.

    Use as an asynchronous context manager. The callbacks in `on_commit` get the number of
    deliveries of each commit; those in `on_failure` are called after each commit that failed. They
    run in the event loop, and must be quick.
    """

    def __init__(self, url: str, schema: str, on_commit: Callable[[int], None]) -> None:
        self.url, self.schema = url, schema
        self.on_commit: list[Callable[[int], None]] = [on_commit]
        self.on_failure: list[Callable[[], None]] = []
        self._statement = sql.SQL("select count(*) from {}(%b)").format(
            sql.Identifier(own_schema(schema), "receive_webhook_deliveries")
        )
        self._queue: deque[tuple[bytes, asyncio.Future[None]]] = deque()
        self._queued_bytes = 0
        self._wake = asyncio.Event()
        self._connection: AsyncConnection | None = None
        self._task: asyncio.Task[None] | None = None
        self._inserts: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "GroupCommit":
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(self._refuse_queued)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        tasks = [self._task, *self._inserts]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._connection is not None:
            await self._connection.close()

    async def store(self, body: bytes) -> None:
        """Return once the body is committed, without secrets in addresses.

        Raises DatabaseUnavailable. The body may or may not be stored then; send it again.
        """
        body = redact_payload(body)
        if self._queued_bytes + len(body) > _MAX_QUEUED_BYTES:
            raise DatabaseUnavailable("too many deliveries are waiting for a commit")
        self._require_running()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((body, future))
        self._queued_bytes += len(body)
        self._wake.set()
        await future

    async def check(self) -> None:
        """Raise DatabaseUnavailable, UnfitServer or SchemaError unless a commit is possible now."""
        self._require_running()
        with translated():
            connection = await AsyncConnection.connect(self.url, connect_timeout=_CONNECT_TIMEOUT)
            async with connection:
                require_fit(connection.facts)
                # Stores nothing, but proves that the function exists and may be called.
                async with settled_async(connection):
                    await connection.execute(self._statement, [[]])

    def _require_running(self) -> None:
        if self._task is None or self._task.done():
            raise _stopped()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            batch = self._next_batch()
            if not batch:
                self._wake.clear()
                continue
            error = await self._commit([body for body, _ in batch])
            if isinstance(error, _Stalled):
                # What is queued would wait as long again, and get its 503 too late.
                while self._queue:
                    batch += self._next_batch()
            _resolve(batch, error)
            self._call_back(len(batch), error)

    def _call_back(self, deliveries: int, error: PipelineError | None) -> None:
        calls: list[Callable[[], None]] = [*self.on_failure]
        if error is None:
            calls = [partial(committed, deliveries) for committed in self.on_commit]
        for call in calls:
            try:
                call()
            except Exception:  # noqa: BLE001 - the deliveries are committed, or refused, all the same
                _log.exception("a callback failed after a commit")

    def _refuse_queued(self, _: object) -> None:
        """Fail what is queued: no commit will follow."""
        _resolve([*self._queue], _stopped())
        self._queue.clear()

    def _next_batch(self) -> _Batch:
        batch: _Batch = []
        size = 0
        while self._queue and len(batch) < MAX_BATCH and size < _MAX_BATCH_BYTES:
            batch.append(self._queue.popleft())
            size += len(batch[-1][0])
        self._queued_bytes -= size
        return batch

    async def _commit(self, bodies: list[bytes]) -> PipelineError | None:
        """Insert the bodies in one commit. Returns the error if that failed."""
        insert = asyncio.create_task(self._insert(bodies))
        self._inserts.add(insert)
        insert.add_done_callback(self._inserts.discard)
        await asyncio.wait({insert}, timeout=_COMMIT_TIMEOUT)
        if not insert.done():
            # Not awaited: a stalled server takes longer to cancel a query than Meta waits.
            insert.cancel()
            return _Stalled(f"no commit within {_COMMIT_TIMEOUT} seconds")
        try:
            insert.result()
        except PipelineError as error:
            return error
        except Exception as error:  # noqa: BLE001 - the next commit may succeed
            # The next commit may succeed, so this one must not end the task.
            _log.exception("a commit failed")
            return DatabaseUnavailable(f"deliveries could not be committed: {reason_of(error)}")
        return None

    async def _insert(self, bodies: list[bytes]) -> None:
        """A connection is used again only after a success."""
        connection, self._connection = self._connection, None
        with translated():
            if connection is None:
                connection = await AsyncConnection.connect(
                    self.url,
                    connect_timeout=_CONNECT_TIMEOUT,
                    application_name="messenger-pipeline receiver",
                )
            try:
                async with settled_async(connection):
                    await connection.execute(self._statement, [bodies])
                self._connection = connection
            finally:
                if self._connection is not connection:
                    await connection.close()


class _Stalled(DatabaseUnavailable):
    """The server does not commit, and reports no error either."""


def _resolve(batch: _Batch, error: PipelineError | None) -> None:
    for _, future in batch:
        if future.done():
            continue  # its sender disconnected
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)


def _stopped() -> DatabaseUnavailable:
    return DatabaseUnavailable("the receiver has stopped committing deliveries")
