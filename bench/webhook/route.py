"""A bare route: verifies the signature and commits one row for each request before it answers.

Nothing beside it: a raw ASGI application on uvicorn with its fast loop and parser, a pool of
connections that commit each statement alone, the body sent as binary to a prepared statement.
"""

import hashlib
import hmac
import os

import click
import uvicorn
from psycopg_pool import AsyncConnectionPool
from starlette.types import Receive, Scope, Send

from bench.webhook.deliveries import PATH

POOL = 10
"""Connections: from 8 to 12 it was the fastest, with 4 and with 32 slower by a third."""
_HEADER = b"x-hub-signature-256"
_INSERT = b"insert into webhook_inbox (body) values (%b)"


class Route:
    """The ASGI application; without a pool it answers and keeps nothing."""

    def __init__(self, secret: str, pool: AsyncConnectionPool | None) -> None:
        self._secret = secret.encode()
        self._pool = pool

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        given = next((value for name, value in scope["headers"] if name == _HEADER), b"")
        if scope["path"] != PATH or not self._is_signed(body, given):
            await _answer(send, 403, b"Forbidden")
            return
        if self._pool:
            async with self._pool.connection() as connection:
                await connection.execute(_INSERT, [body])
        await _answer(send, 200, b"EVENT_RECEIVED")

    def _is_signed(self, body: bytes, given: bytes) -> bool:
        expected = "sha256=" + hmac.digest(self._secret, body, hashlib.sha256).hex()
        return hmac.compare_digest(expected.encode(), given)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        if self._pool:
            await self._pool.open(wait=True)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        if self._pool:
            await self._pool.close()
        await send({"type": "lifespan.shutdown.complete"})


async def _answer(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@click.command()
@click.option("--port", type=int, required=True)
@click.option("--pool", "size", default=POOL, show_default=True, help="Connections.")
@click.option("--no-insert", is_flag=True, help="Keep nothing.")
def main(port: int, size: int, no_insert: bool) -> None:
    pool = AsyncConnectionPool(
        os.environ["MESSENGER_DATABASE_URL"],
        min_size=size,
        max_size=size,
        open=False,
        kwargs={"autocommit": True, "prepare_threshold": 0},
    )
    route = Route(os.environ["MESSENGER_APP_SECRET"], None if no_insert else pool)
    uvicorn.run(route, port=port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
