"""PostgreSQL's notifications (LISTEN), on a connection of their own that reconnects by itself."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any
from uuid import uuid4

from psycopg import sql

from messenger_pipeline.db.pool import translated
from messenger_pipeline.db.server import AsyncConnection
from messenger_pipeline.errors import DatabaseError, reason_of

_log = logging.getLogger(__name__)

APPLICATION_NAME = "messenger-pipeline listener"
_PROBE_SECONDS = 30.0  # after that long without a notification, check that the server responds
_BACKOFF = (0.5, 30.0)  # seconds before connecting again: first and longest
_DEAF_SECONDS = 600.0  # until it is tried again whether notifications pass the pooler
_HEARING_SECONDS = 5.0  # a notification of our own takes milliseconds
_OPTIONS: dict[str, Any] = {
    "connect_timeout": 5,
    "application_name": APPLICATION_NAME,
    # A lost server looks like an idle one: keepalives detect it.
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}


async def listen(url: str, channel: str) -> AsyncGenerator[dict[str, Any] | None, None]:
    """Yield the JSON object of each notification on a channel, without end.

    Yields None each time that it starts to listen: notifications sent before that are lost. It
    reconnects by itself, after a pause that doubles with each failure. Behind a pooler that passes
    no notifications on it yields nothing, and logs how to change that.
    """
    pause = _BACKOFF[0]
    while True:
        try:
            async with aclosing(_listen_once(url, channel)) as notifications:
                async for payload in notifications:
                    pause = _BACKOFF[0]
                    yield payload
        except _Deaf as error:
            _log.warning("%s", error)
            await asyncio.sleep(_DEAF_SECONDS)
        except Exception as error:  # noqa: BLE001 - such as a payload that is not UTF-8
            _log.warning(
                "cannot listen for notifications, retrying in %.0f s: %s", pause, reason_of(error)
            )
        await asyncio.sleep(pause)
        pause = min(pause * 2, _BACKOFF[1])


async def _listen_once(url: str, channel: str) -> AsyncGenerator[dict[str, Any] | None, None]:
    with translated(setting="MESSENGER_LISTEN_URL, or MESSENGER_DATABASE_URL if that is unset"):
        connection = await AsyncConnection.connect(url, **_OPTIONS)
        try:
            await connection.execute(sql.SQL("listen {}").format(sql.Identifier(channel)))
            # A direct connection has our settings, and needs no proof.
            if not connection.facts.pinned and not await _hears(connection, url, channel):
                # Else the pooler's other clients would listen.
                await connection.execute("unlisten *")
                raise _Deaf
            yield None
            while True:
                async with aclosing(connection.notifies(timeout=_PROBE_SECONDS)) as notifications:
                    async for notification in notifications:
                        payload = _parse(notification.payload)
                        if payload is not None:
                            yield payload
                await asyncio.wait_for(connection.execute("select 1"), _PROBE_SECONDS)
        except TimeoutError:
            return
        finally:
            await connection.close()


class _Deaf(DatabaseError):
    """Notifications do not pass the pooler of MESSENGER_LISTEN_URL, or MESSENGER_DATABASE_URL if
    that is unset, so progress is read every few seconds: set MESSENGER_LISTEN_URL to the database's
    own address."""

    def __init__(self) -> None:
        super().__init__(" ".join(str(self.__doc__).split()))


async def _hears(connection: AsyncConnection, url: str, channel: str) -> bool:
    """Whether a notification of another connection arrives. In a transaction pooler it does not:
    between two transactions the server's connection belongs to somebody else."""
    probe = json.dumps({"probe": str(uuid4())})
    async with await AsyncConnection.connect(url, **_OPTIONS) as other:
        await other.execute("select pg_notify(%s, %s)", [channel, probe])
    async with aclosing(connection.notifies(timeout=_HEARING_SECONDS)) as notifications:
        async for notification in notifications:
            if notification.payload == probe:
                return True
    return False


def _parse(payload: str) -> dict[str, Any] | None:
    """The payload as a JSON object. None if it is not one: any database user may send anything."""
    try:
        parsed = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None
