"""The progress of syncs as server-sent events."""

import re
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header
from fastapi.responses import Response
from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

from messenger_pipeline.web.failures import described, failure
from messenger_pipeline.web.watching import Seen, Watching

_PING_SECONDS = 15
_SEND_SECONDS = 30.0  # for a watcher to take one event; it may come again
_RETRY = ServerSentEvent(retry=2000, sep="\n").encode()  # milliseconds, after a connection is lost

LastEventId = Annotated[
    str | None,
    Header(alias="Last-Event-ID", description="Of the event seen last: it is not repeated."),
]
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events without a name, each a status answer: what is now, then each change."
        " Their ids are SESSION:CHANGE.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    },
}


class EventStream(EventSourceResponse):
    """Ends quietly when a watcher takes nothing any more."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Its answer is not whole, and so the server closes the connection.
        with suppress(SendTimeoutError):
            await super().__call__(scope, receive, send)


def event_routes(watching: Watching) -> APIRouter:
    router = APIRouter(tags=["control"])

    @router.get(
        "/api/conversations/events",
        summary="Watch all open syncs",
        response_class=EventSourceResponse,
        responses={**_STREAM, **described(_422="A header is wrong.")},
    )
    async def watch_all(last_event_id: LastEventId = None) -> Response:
        return _stream(watching.follow(None, parse_seen(last_event_id)))

    @router.get(
        "/api/conversations/sync/{sync_session_id}/events",
        summary="Watch a sync until it ends",
        response_class=EventSourceResponse,
        responses={
            **_STREAM,
            204: {"description": "It ended, and you have seen its end: do not come again."},
            **described(_404="There is no such session.", _422="That is no session's id."),
        },
    )
    async def watch(sync_session_id: UUID, last_event_id: LastEventId = None) -> Response:
        session = await watching.find(sync_session_id)
        if session is None:
            return failure(404, f"There is no sync session {sync_session_id}.")
        seen = parse_seen(last_event_id)
        if session.outcome is not None and seen == (sync_session_id, session.changes):
            return Response(status_code=204)
        return _stream(watching.follow(session, seen))

    return router


def parse_seen(last_event_id: str | None) -> Seen | None:
    """What a Last-Event-ID names; None for one that is not of ours."""
    found = re.fullmatch(r"([0-9a-fA-F-]{36}):(\d{1,18})", last_event_id or "")
    try:
        return (UUID(found[1]), int(found[2])) if found else None
    except ValueError:
        return None


def _stream(events: Any) -> Response:
    async def told() -> AsyncIterator[bytes]:
        yield _RETRY
        async with aclosing(events):
            async for event in events:
                yield event

    return EventStream(
        told(),
        ping=_PING_SECONDS,
        ping_message_factory=lambda: ServerSentEvent(comment="ping", sep="\n"),
        send_timeout=_SEND_SECONDS,
        sep="\n",
    )
