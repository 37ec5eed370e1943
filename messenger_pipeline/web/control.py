"""Request a sync, and its status: the routes of the application that this replaces."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from messenger_pipeline.db.overview import list_last_sessions
from messenger_pipeline.db.pages import PageRecord, get_page, unknown_page_error
from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.progress import list_progress
from messenger_pipeline.db.sync_requests import RequestOutcome, request_sync
from messenger_pipeline.errors import UnknownPage
from messenger_pipeline.progress import StatusAnswer, describe, status_answer
from messenger_pipeline.web.control_models import (
    ID_PATTERN,
    Accepted,
    InProgress,
    Links,
    SyncRequest,
)
from messenger_pipeline.web.dependencies import DatabaseDependency
from messenger_pipeline.web.errors import error_responses

SYNC = "/api/conversations/sync"
_LISTED = 10  # sessions of a page

control_routes = APIRouter(tags=["control"])


@control_routes.post(
    SYNC,
    status_code=202,
    summary="Request a sync of a page",
    response_model=Accepted,
    responses={
        409: {"model": InProgress, "description": "A run walks the page, or is requested."},
        **error_responses(
            _400="The body cannot be read.",
            _404="There is no such page, or it has no such session.",
            _413="The body is too large.",
            _422="The body is invalid, the session has ended, or the page's owner must act first.",
        ),
    },
)
def create_sync(request: SyncRequest, database: DatabaseDependency) -> Response:
    page = _find_page(database, request)
    _require_token(page)
    outcome = request_sync(
        database,
        page.facebook_page_id,
        mode=request.mode,
        session=request.resume_session,
        max_conversations=request.max_conversations,
        requested_by="control API",
    )
    return _response(database, page.facebook_page_id, outcome)


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


def _find_page(database: Database, request: SyncRequest) -> PageRecord:
    """The requested page.

    Old clients send both ids. Theirs of the registry may be from another registry; then
    Facebook's counts.
    """
    page_id = request.page_id or request.facebook_page_id
    try:
        page = get_page(database, page_id)
    except UnknownPage:
        if request.facebook_page_id in ("", page_id):
            raise
        page = get_page(database, request.facebook_page_id)
    if page.status == "removed":
        raise unknown_page_error(page_id)
    if request.facebook_page_id not in ("", page.facebook_page_id, page.id):
        raise HTTPException(
            422, "pageId and facebookPageId name two different pages; send one of them."
        )
    return page


def _require_token(page: PageRecord) -> None:
    remedy = f"run `messenger-pipeline pages add {page.facebook_page_id}` with a new token"
    if page.status == "needs_reauthorization":
        why = f" ({page.status_reason})" if page.status_reason else ""
        raise HTTPException(422, f"The page must be authorized again by its owner{why}: {remedy}.")
    if page.token_encrypted is None:
        raise HTTPException(422, f"The page has no access token: {remedy}.")


def _response(database: Database, page_id: str, outcome: RequestOutcome) -> Response:
    session = outcome.sync_session_id
    links = Links(self=f"{SYNC}/{session}", events=f"{SYNC}/{session}/events") if session else None
    if outcome.outcome == "in_progress":
        body = InProgress(error=_in_progress(outcome), sync_session_id=session, links=links)
        return JSONResponse(body.model_dump(mode="json"), 409)
    if outcome.outcome == "unknown_session":
        raise HTTPException(404, f"Page {page_id} has no sync session {session}.")
    if outcome.outcome == "session_ended":
        raise HTTPException(
            422, f"Sync session {session} has ended; omit resumeSession to start a new one."
        )
    assert session is not None
    assert links is not None
    return _accepted(database, page_id, session, links)


def _accepted(database: Database, page_id: str, session: UUID, links: Links) -> Response:
    row, now = list_progress(database, [session])[session], datetime.now(UTC)
    accepted = Accepted(
        sync_session_id=session,
        page_id=page_id,
        state=row.state,
        links=links,
        message=describe(row, now),
    )
    body = jsonable_encoder(status_answer(row, now))
    body |= accepted.model_dump(mode="json", by_alias=True)
    return JSONResponse(body, 202, {"Location": links.self})


def _in_progress(outcome: RequestOutcome) -> str:
    # Clients of the replaced application compare the beginning of this text.
    error = "Sync already in progress for this page. "
    if outcome.locked_by and outcome.locked_at:
        return f"{error}Run {outcome.locked_by} started at {outcome.locked_at:%H:%M:%S %Z}."
    return f"{error}It was requested before, and a run starts within moments."
