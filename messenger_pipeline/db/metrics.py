"""Reads the metrics that all processes share from PostgreSQL, for Prometheus."""

import asyncio
from dataclasses import dataclass

from psycopg import sql
from psycopg.rows import class_row

from messenger_pipeline.db.pool import own_schema, translated
from messenger_pipeline.db.server import AsyncConnection, settled_async
from messenger_pipeline.errors import DatabaseUnavailable, PipelineError

_READ_TIMEOUT = 5.0  # seconds: Prometheus waits ten for a scrape
_CONNECT_TIMEOUT = 2  # seconds


@dataclass(frozen=True)
class Sample:
    """One sample: the metric's name, the values of its labels in order, and its value."""

    metric: str
    labels: list[str]
    value: float


class SampleReader:
    """Reads all samples. Concurrent callers share one query.

    It has a connection of its own, so that no caller waits for one of a pool's.
    """

    def __init__(self, url: str, schema: str) -> None:
        self._url = url
        self._statement = sql.SQL("select metric, labels, value from {}()").format(
            sql.Identifier(own_schema(schema), "list_metrics")
        )
        self._query: asyncio.Task[list[Sample] | PipelineError] | None = None
        self._abandoned: set[asyncio.Task[list[Sample] | PipelineError]] = set()

    async def read(self) -> list[Sample]:
        """The samples as of now. Raises PipelineError."""
        if self._query is None or self._query.done():
            self._query = asyncio.create_task(self._read())
        query = self._query
        await asyncio.wait({query}, timeout=_READ_TIMEOUT)
        if not query.done():
            self._abandon(query)
        if not query.done() or query.cancelled():
            raise DatabaseUnavailable(f"no metrics within {_READ_TIMEOUT:g} seconds")
        samples = query.result()
        if isinstance(samples, PipelineError):
            raise samples
        return samples

    def _abandon(self, query: "asyncio.Task[list[Sample] | PipelineError]") -> None:
        """Cancel it without waiting: a stalled server takes seconds to cancel a query."""
        query.cancel()
        self._abandoned.add(query)
        query.add_done_callback(self._abandoned.discard)
        if self._query is query:
            self._query = None

    async def _read(self) -> list[Sample] | PipelineError:
        try:
            with translated():
                connection = await AsyncConnection.connect(
                    self._url,
                    connect_timeout=_CONNECT_TIMEOUT,
                    application_name="messenger-pipeline metrics",
                )
                async with (
                    connection,
                    settled_async(connection),
                    connection.cursor(row_factory=class_row(Sample)) as cursor,
                ):
                    await cursor.execute(self._statement)
                    return await cursor.fetchall()
        except PipelineError as error:
            return error
