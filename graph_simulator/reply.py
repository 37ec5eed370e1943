"""How an answer goes out: as it is, cut, or not at all."""

import asyncio
import json
import re
from contextlib import suppress
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

SEND = "graph_simulator.send"
"""Where a scope has the server's own `send`."""

_HEADERS = {"facebook-api-version": "v26.0"}
_INFINITY = re.compile(r'(?<!\\)": Infinity')


def json_reply(status: int, body: Any, headers: dict[str, str]) -> Response:
    text = json.dumps(body)
    if "Infinity" in text:
        text = _INFINITY.sub('": 1e999', text)  # JSON has no word for it
    return Response(text, status, {**_HEADERS, **headers}, "application/json")


class Instead(Exception):
    """What goes out instead of an answer."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


class CutResponse(Response):
    """A response that tells its whole length and ends after `sent` bytes of the body, with the
    connection; with none at all, if `sent` is None."""

    sent: int | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.sent is not None:
            headers = {"type": "http.response.start", "status": self.status_code}
            await send({**headers, "headers": self.raw_headers})
            part = self.body[: self.sent]
            await send({"type": "http.response.body", "body": part, "more_body": True})
        # ASGI has no word for this; the method is uvicorn's, and its object knows the connection.
        scope[SEND].__self__.transport.close()
        await disconnected(receive)


async def disconnected(receive: Receive) -> None:
    """Wait until the client is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def wait_for_disconnect(request: Request, seconds: float) -> None:
    """Wait for so long, or until the client is gone."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await disconnected(request.receive)
