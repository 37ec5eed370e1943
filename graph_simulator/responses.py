"""HTTP responses: JSON, replaced by something else, or cut off."""

import asyncio
import json
import re
from contextlib import suppress
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

SEND = "graph_simulator.send"
"""The key of the server's own `send` in a scope."""

_HEADERS = {"facebook-api-version": "v26.0"}
_INFINITY = re.compile(r'(?<!\\)": Infinity')


def json_response(status: int, body: Any, headers: dict[str, str]) -> Response:
    text = json.dumps(body)
    if "Infinity" in text:
        text = _INFINITY.sub('": 1e999', text)  # JSON has no literal for infinity
    return Response(text, status, {**_HEADERS, **headers}, "application/json")


class ReplaceResponse(Exception):
    """Raised to send this response instead of the API's."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


class CutResponse(Response):
    """A response that announces its full length and closes the connection after `sent` bytes of
    the body, or without sending anything if `sent` is None."""

    sent: int | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.sent is not None:
            headers = {"type": "http.response.start", "status": self.status_code}
            await send({**headers, "headers": self.raw_headers})
            part = self.body[: self.sent]
            await send({"type": "http.response.body", "body": part, "more_body": True})
        # ASGI cannot close a connection. `send` is a method of uvicorn's, whose object can.
        scope[SEND].__self__.transport.close()
        await _disconnected(receive)


async def wait_for_disconnect(request: Request, seconds: float) -> None:
    """Return when the client has disconnected, or after `seconds`."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await _disconnected(request.receive)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
