"""The progress of syncs as server-sent events."""

import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header
from fastapi.responses import Response
from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

from messenger_pipeline.web.dependencies import FeedDependency
from messenger_pipeline.web.errors import error_response, error_responses
from messenger_pipeline.web.snapshots import EventId

_PING_SECONDS = 15
_SEND_TIMEOUT = 30.0  # seconds for a client to take one event; it may reconnect
_RETRY = ServerSentEvent(retry=2000, sep="\n").encode()  # milliseconds before it reconnects

event_routes = APIRouter(tags=["control"])

LastEventId = Annotated[
    str | None,
    Header(alias="Last-Event-ID", description="Id of the last event seen; it is not repeated."),
]
STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events without a name. The data of each is a status: first the current"
        " one, then one for each change. Their ids are SESSION:CHANGE.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    },
}


class EventStream(EventSourceResponse):
    """Ends quietly when the client stops reading."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # The response is incomplete then, and so the server closes the connection.
        with suppress(SendTimeoutError):
            await super().__call__(scope, receive, send)


@event_routes.get(
    "/api/conversations/events",
    summary="Follow all open syncs",
    response_class=EventSourceResponse,
    responses={**STREAM, **error_responses(_422="A header is invalid.")},
)
async def follow_all(feed: FeedDependency, last_event_id: LastEventId = None) -> Response:
    return stream_response(feed.follow(None, parse_event_id(last_event_id)))


@event_routes.get(
    "/api/conversations/sync/{sync_session_id}/events",
    summary="Follow a sync until it has ended",
    response_class=EventSourceResponse,
    responses={
        **STREAM,
        204: {"description": "It has ended, and you have seen its last event: do not reconnect."},
        **error_responses(_404="There is no such session.", _422="That is not a session's id."),
    },
)
async def follow_session(
    sync_session_id: UUID, feed: FeedDependency, last_event_id: LastEventId = None
) -> Response:
    session = await feed.find(sync_session_id)
    if session is None:
        return error_response(404, f"There is no sync session {sync_session_id}.")
    seen = parse_event_id(last_event_id)
    if session.outcome is not None and seen == (sync_session_id, session.changes):
        return Response(status_code=204)
    return stream_response(feed.follow(session, seen))


def parse_event_id(last_event_id: str | None) -> EventId | None:
    """The session and change that a Last-Event-ID names; None if it is not one of ours."""
    found = re.fullmatch(r"([0-9a-fA-F-]{36}):(\d{1,18})", last_event_id or "")
    try:
        return (UUID(found[1]), int(found[2])) if found else None
    except ValueError:
        return None


def stream_response(
    events: AsyncGenerator[bytes, None], stream: type[EventStream] = EventStream, **options: Any
) -> EventStream:
    """A stream of encoded events. `options` are those of EventSourceResponse."""

    async def body() -> AsyncIterator[bytes]:
        yield _RETRY
        async with aclosing(events):
            async for event in events:
                yield event

    return stream(
        body(),
        ping=_PING_SECONDS,
        ping_message_factory=lambda: ServerSentEvent(comment="ping", sep="\n"),
        send_timeout=_SEND_TIMEOUT,
        sep="\n",
        **options,
    )
