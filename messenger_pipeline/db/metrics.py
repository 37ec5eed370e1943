"""What the processes share, as Prometheus is told."""

import asyncio
from dataclasses import dataclass

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from messenger_pipeline.db.pool import own_schema, translated
from messenger_pipeline.errors import DatabaseUnavailable, PipelineError

_SECONDS = 5.0  # for all figures: Prometheus waits ten for its answer
_CONNECT_SECONDS = 2


@dataclass(frozen=True)
class Figure:
    """A sample: the metric's name, the values of its labels in their order, and its own."""

    metric: str
    labels: list[str]
    value: float


class Figures:
    """Reads the figures, once for all who ask meanwhile, on a connection of their own: what waits
    for one of a pool's cannot delay them."""

    def __init__(self, url: str, schema: str) -> None:
        self._url = url
        self._statement = sql.SQL("select * from {}()").format(
            sql.Identifier(own_schema(schema), "list_metrics")
        )
        self._reading: asyncio.Task[list[Figure] | PipelineError] | None = None
        self._ending: set[asyncio.Task[list[Figure] | PipelineError]] = set()

    async def read(self) -> list[Figure]:
        """The figures as of now. Raises PipelineError."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
        reading = self._reading
        await asyncio.wait({reading}, timeout=_SECONDS)
        if not reading.done():
            self._give_up(reading)
        if not reading.done() or reading.cancelled():
            raise DatabaseUnavailable(f"no figures within {_SECONDS:g} seconds")
        found = reading.result()
        if isinstance(found, PipelineError):
            raise found
        return found

    def _give_up(self, reading: "asyncio.Task[list[Figure] | PipelineError]") -> None:
        """It ends by itself: to a server that is stalled, the request to cancel takes seconds."""
        reading.cancel()
        self._ending.add(reading)
        reading.add_done_callback(self._ending.discard)
        if self._reading is reading:
            self._reading = None

    async def _read(self) -> list[Figure] | PipelineError:
        try:
            with translated():
                connection = await psycopg.AsyncConnection.connect(
                    self._url,
                    autocommit=True,
                    prepare_threshold=None,
                    connect_timeout=_CONNECT_SECONDS,
                    application_name="messenger-pipeline metrics",
                )
                async with connection, connection.cursor(row_factory=class_row(Figure)) as cursor:
                    await cursor.execute(self._statement)
                    return await cursor.fetchall()
        except PipelineError as error:
            return error
