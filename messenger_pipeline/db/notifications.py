"""What PostgreSQL announces, for those who wait for it: LISTEN, on a connection of its own."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import psycopg
from psycopg import sql

from messenger_pipeline.db.pool import translated
from messenger_pipeline.errors import PipelineError

_log = logging.getLogger(__name__)

APPLICATION = "messenger-pipeline listener"
_LOOK = 30.0  # seconds of silence after which one looks whether the server is still there
_PAUSES = (0.5, 30.0)  # seconds before connecting again: at first, and at most
_OPTIONS: dict[str, Any] = {
    "connect_timeout": 5,
    "application_name": APPLICATION,
    # A server that vanished says nothing, like one on which nothing happens.
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}


async def announcements(url: str, channel: str) -> AsyncGenerator[dict[str, Any] | None, None]:
    """What is announced on a channel, without end. None each time that listening begins: what was
    announced before that was not heard. A lost connection is made anew."""
    pause = _PAUSES[0]
    while True:
        try:
            async with aclosing(_heard(url, channel)) as hearing:
                async for heard in hearing:
                    pause = _PAUSES[0]
                    yield heard
        except PipelineError as error:
            _log.warning("listens to nothing, tries again in %.0f s: %s", pause, error)
        await asyncio.sleep(pause)
        pause = min(pause * 2, _PAUSES[1])


async def _heard(url: str, channel: str) -> AsyncGenerator[dict[str, Any] | None, None]:
    with translated():
        connection = await psycopg.AsyncConnection.connect(
            url, autocommit=True, prepare_threshold=None, **_OPTIONS
        )
        try:
            await connection.execute(sql.SQL("listen {}").format(sql.Identifier(channel)))
            yield None
            while True:
                async with aclosing(connection.notifies(timeout=_LOOK)) as notifications:
                    async for notification in notifications:
                        announced = _parse(notification.payload)
                        if announced is not None:
                            yield announced
                await asyncio.wait_for(connection.execute("select 1"), _LOOK)
        except TimeoutError:
            return
        finally:
            await connection.close()


def _parse(payload: str) -> dict[str, Any] | None:
    """Whoever may connect to the database may announce anything."""
    try:
        told = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None
