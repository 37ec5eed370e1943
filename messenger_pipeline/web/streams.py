"""/sync-stream: requests a sync and reports its progress in the answer, as server-sent events."""

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.types import Receive, Scope, Send

from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.progress import SessionProgress
from messenger_pipeline.web.answers import answer_plain, encode_status, is_over, is_over_after_run
from messenger_pipeline.web.control import describe_requests
from messenger_pipeline.web.control_models import ID_PATTERN, SyncRequest, Waited
from messenger_pipeline.web.dependencies import DatabaseDependency, FeedDependency, WaitsDependency
from messenger_pipeline.web.errors import error_response, error_responses
from messenger_pipeline.web.events import (
    STREAM,
    EventStream,
    LastEventId,
    parse_event_id,
    stream_response,
)
from messenger_pipeline.web.preferences import PREFER, read_preferences
from messenger_pipeline.web.requesting import (
    SYNC,
    SyncInProgress,
    accepted,
    find_page,
    links_to,
    request_page_sync,
    unknown_session,
)
from messenger_pipeline.web.session_feed import SessionFeed
from messenger_pipeline.web.snapshots import EventId
from messenger_pipeline.web.waits import SessionGone, Waits

SYNC_STREAM = SYNC + "-stream"
NO_PAGE = (
    "An EventSource sends no body: name the page in the address, for example"
    f" new EventSource('{SYNC_STREAM}?pageId=112233445566')."
)
_GRACE_SECONDS = 2.0  # for the last event when the server ends

_REFUSALS = {
    status: text for status, text in describe_requests(Waited).items() if status not in (200, 502)
}

stream_routes = APIRouter(tags=["control"])


class _PlacedStream(EventStream):
    """A stream that gives back its place among the waits when it has ended, however it ends."""

    waits: Waits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self.waits.give_back_place()


@stream_routes.post(
    SYNC_STREAM,
    status_code=202,
    summary="Request a sync of a page, and follow it in the answer",
    response_class=EventSourceResponse,
    responses={
        **_REFUSALS,
        **STREAM,
        202: {
            "description": "The same events, for a request without a wait: they end with the sync."
            " As JSON, links to it: too many wait, or the request prefers respond-async.",
            "content": {
                "text/event-stream": {"schema": {"type": "string"}},
                "application/json": {"schema": {"type": "object"}},
            },
        },
    },
    openapi_extra=PREFER,
)
async def create_stream(
    sync: SyncRequest, request: Request, database: DatabaseDependency, waits: WaitsDependency
) -> Response:
    preferences = read_preferences(request.headers)
    seconds = waits.seconds(preferences)
    follows = not preferences.respond_async
    try:
        row = await run_in_threadpool(request_page_sync, database, sync, waits=follows)
    except SyncInProgress as conflict:
        return conflict.response()
    if not follows or not waits.take_place():
        return accepted(row)
    over = is_over_after_run if sync.max_conversations else is_over
    headers = {"Location": links_to(row.sync_session_id).self}
    if preferences.wait:
        headers["Preference-Applied"] = f"wait={seconds}"
    events = _events(waits, row, seconds or None, over)
    return _placed_stream(waits, events, 200 if seconds else 202, headers)


@stream_routes.get(
    SYNC_STREAM,
    summary="The same for an EventSource",
    response_class=EventSourceResponse,
    responses={
        **_REFUSALS,
        **STREAM,
        204: {"description": "It has ended, and you have seen its last event: do not reconnect."},
        **error_responses(_400="The parameter pageId is missing."),
    },
)
async def follow_new_sync(
    database: DatabaseDependency,
    feed: FeedDependency,
    waits: WaitsDependency,
    page_id: Annotated[str, Query(alias="pageId", pattern=rf"^$|{ID_PATTERN}")] = "",
    facebook_page_id: Annotated[
        str, Query(alias="facebookPageId", pattern=rf"^$|{ID_PATTERN}")
    ] = "",
    max_conversations: Annotated[
        int | None, Query(alias="maxConversations", ge=1, le=2**31 - 1)
    ] = None,
    resume_session: Annotated[UUID | None, Query(alias="resumeSession")] = None,
    last_event_id: LastEventId = None,
) -> Response:
    if not page_id:
        return error_response(400, NO_PAGE)
    given = {"pageId": page_id, "maxConversations": max_conversations}
    given |= {"facebookPageId": facebook_page_id} if facebook_page_id else {}
    sync = SyncRequest.model_validate({**given, "resumeSession": resume_session})
    # It reconnects by itself: that asks for no second sync.
    seen = parse_event_id(last_event_id)
    if seen is not None:
        return await _follow_again(database, feed, waits, sync, seen)
    try:
        row = await run_in_threadpool(request_page_sync, database, sync, waits=True)
    except SyncInProgress as conflict:
        return conflict.response()
    if not waits.take_place():
        return accepted(row)
    return _placed_stream(waits, _events(waits, row, None, _has_ended), 200, {})


async def _follow_again(
    database: Database, feed: SessionFeed, waits: Waits, sync: SyncRequest, seen: EventId
) -> Response:
    page = await run_in_threadpool(find_page, database, sync)
    row = await feed.find(seen[0])
    if row is None or row.page_id != page.facebook_page_id:
        raise unknown_session(page.facebook_page_id, seen[0])
    if _has_ended(row) and seen == (row.sync_session_id, row.changes):
        return Response(status_code=204)
    if not waits.take_place():
        return accepted(row)
    return _placed_stream(waits, _events(waits, row, None, _has_ended, seen), 200, {})


def describe_page_id(openapi: dict[str, Any]) -> None:
    """Describe the parameter pageId as required. It is optional to FastAPI, which would not answer
    with the remedy."""
    for parameter in openapi["paths"][SYNC_STREAM]["get"]["parameters"]:
        if parameter["name"] == "pageId":
            parameter["required"] = True
            parameter["schema"] = {"type": "string", "pattern": ID_PATTERN}


def _placed_stream(
    waits: Waits, events: AsyncGenerator[bytes, None], status: int, headers: dict[str, str]
) -> Response:
    stream = stream_response(
        events,
        _PlacedStream,
        status_code=status,
        headers=headers,
        shutdown_grace_period=_GRACE_SECONDS,
    )
    assert isinstance(stream, _PlacedStream)
    stream.waits = waits
    return stream


async def _events(
    waits: Waits,
    row: SessionProgress,
    seconds: float | None,
    over: Callable[[SessionProgress], bool],
    seen: EventId | None = None,
) -> AsyncGenerator[bytes, None]:
    """The events of a session. The last one is the answer that a caller without a stream gets."""
    if seen is None:
        seen = row.sync_session_id, row.changes
        status = encode_status(row, datetime.now(UTC))
        status["links"] = links_to(row.sync_session_id).model_dump()
        yield _event(status, f"{seen[0]}:{seen[1]}")
    try:
        async with aclosing(waits.follow(row, seconds, seen)) as snapshots:
            async for snapshot in snapshots:
                row = snapshot.row
                yield snapshot.event
                if over(row):
                    break
    except SessionGone:
        error = f"The sync session {row.sync_session_id} was deleted."
        yield _event({"success": False, "error": error})
        return
    if row.outcome != "completed":
        yield _event(answer_plain(row, datetime.now(UTC)).body)


def _has_ended(row: SessionProgress) -> bool:
    return row.outcome is not None


def _event(data: dict[str, Any], event_id: str | None = None) -> bytes:
    return ServerSentEvent(json.dumps(data), id=event_id, sep="\n").encode()
