"""Request a sync, and its status: the routes of the application that this replaces."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from messenger_pipeline.db.overview import list_last_sessions
from messenger_pipeline.db.pages import get_page
from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.progress import SessionProgress, list_progress
from messenger_pipeline.progress import StatusAnswer, status_answer
from messenger_pipeline.web.answers import (
    Answering,
    answer_optimized,
    answer_plain,
    is_over,
    is_over_after_run,
)
from messenger_pipeline.web.control_models import (
    ID_PATTERN,
    Accepted,
    InProgress,
    SyncRequest,
    Waited,
    WaitedOptimized,
)
from messenger_pipeline.web.dependencies import DatabaseDependency, WaitsDependency
from messenger_pipeline.web.errors import error_response, error_responses
from messenger_pipeline.web.preferences import PREFER, Preferences, read_preferences
from messenger_pipeline.web.requesting import (
    SYNC,
    SyncInProgress,
    accepted,
    request_page_sync,
)
from messenger_pipeline.web.waits import ClientGone, SessionGone, Waits

_LISTED = 10  # sessions of a page
_CLIENT_GONE = 499  # nginx's; nobody receives it

control_routes = APIRouter(tags=["control"])


def describe_requests(waited: Any) -> dict[int | str, dict[str, Any]]:
    """The responses of a route that requests a sync; `waited`: the model of those after a wait."""
    return {
        200: {"model": waited, "description": "After a wait: the sync completed, or goes on."},
        202: {"model": Accepted, "description": "The sync is requested."},
        409: {
            "model": InProgress | waited,
            "description": "A run walks the page, or is requested; after a wait: a newer full sync"
            " took this one's place.",
        },
        502: {"model": waited, "description": "After a wait: the sync failed."},
        **error_responses(
            _400="The body cannot be read.",
            _404="There is no such page, or it has no such session.",
            _413="The body is too large.",
            _422="The body is invalid, the session has ended, or the page's owner must act first.",
        ),
    }


_PLAIN: dict[str, Any] = {
    "status_code": 202,
    "response_model": None,
    "responses": describe_requests(Waited),
    "openapi_extra": PREFER,
}
_OPTIMIZED = _PLAIN | {"responses": describe_requests(WaitedOptimized)}


@control_routes.post(SYNC, summary="Request a sync of a page", **_PLAIN)
@control_routes.post(SYNC + "-fixed", summary="The same, under its other name", **_PLAIN)
async def create_sync(
    sync: SyncRequest, request: Request, database: DatabaseDependency, waits: WaitsDependency
) -> Response:
    return await _create(sync, request, database, waits, answer_plain)


@control_routes.post(
    SYNC + "-optimized", summary="The same; after a wait it answers with statistics", **_OPTIMIZED
)
async def create_sync_optimized(
    sync: SyncRequest, request: Request, database: DatabaseDependency, waits: WaitsDependency
) -> Response:
    return await _create(sync, request, database, waits, answer_optimized)


@control_routes.get(
    SYNC,
    summary="The last syncs of a page, newest first",
    responses=error_responses(_404="There is no such page.", _422="That is not a page's id."),
)
def list_syncs(
    page_id: Annotated[str, Query(alias="pageId", pattern=ID_PATTERN)],
    database: DatabaseDependency,
) -> list[StatusAnswer]:
    page = get_page(database, page_id)
    sessions = list_last_sessions(database, page.facebook_page_id, _LISTED)
    rows, now = list_progress(database, sessions), datetime.now(UTC)
    return [status_answer(rows[session], now) for session in sessions if session in rows]


@control_routes.get(
    SYNC + "/{sync_session_id}",
    summary="The status of a sync",
    responses=error_responses(_404="There is no such session.", _422="That is not a session's id."),
)
def get_sync(sync_session_id: UUID, database: DatabaseDependency) -> StatusAnswer:
    rows = list_progress(database, [sync_session_id])
    if not rows:
        raise HTTPException(404, f"There is no sync session {sync_session_id}.")
    return status_answer(rows[sync_session_id], datetime.now(UTC))


async def _create(
    sync: SyncRequest, request: Request, database: Database, waits: Waits, answering: Answering
) -> Response:
    preferences = read_preferences(request.headers)
    seconds = waits.seconds(preferences)
    try:
        row = await run_in_threadpool(request_page_sync, database, sync, waits=seconds > 0)
    except SyncInProgress as conflict:
        return conflict.response()
    if seconds and is_over(row):
        return _answer(row, answering, preferences, seconds)
    if not seconds or not waits.take_place():
        return accepted(
            row, {"Preference-Applied": "respond-async"} if preferences.respond_async else None
        )
    try:
        over = is_over_after_run if sync.max_conversations else is_over
        row = await waits.wait(row, seconds, over, request)
    except ClientGone:
        return Response(status_code=_CLIENT_GONE)
    except SessionGone:
        return error_response(404, f"The sync session {row.sync_session_id} was deleted.")
    finally:
        waits.give_back_place()
    if preferences.respond_async and not over(row):
        return accepted(row, {"Preference-Applied": "respond-async"})
    return _answer(row, answering, preferences, seconds)


def _answer(
    row: SessionProgress, answering: Answering, preferences: Preferences, seconds: int
) -> Response:
    answer = answering(row, datetime.now(UTC))
    applied = {} if preferences.wait is None else {"Preference-Applied": f"wait={seconds}"}
    return JSONResponse(answer.body, answer.status, {**answer.headers, **applied})
