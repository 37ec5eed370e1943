"""The least that answers HTTP: raw ASGI applications on uvicorn's fast loop and parser."""

from starlette.types import Send

_OPTIONS = "--factory --lifespan off --no-access-log --log-level warning --timeout-keep-alive 3600"


def uvicorn(factory: str) -> tuple[str, ...]:
    """The module and arguments that serve an application. Idle connections are kept."""
    return "uvicorn", factory, *_OPTIONS.split()


async def respond(send: Send, status: int, body: bytes, kind: bytes = b"text/plain") -> None:
    headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
