"""Requesting a sync of a page: the page that is meant, and what the request led to."""

from datetime import UTC, datetime
from typing import NoReturn
from uuid import UUID

from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from messenger_pipeline.db.pages import PageRecord, get_page, unknown_page_error
from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.progress import SessionProgress, list_progress
from messenger_pipeline.db.sync_requests import RequestOutcome, request_sync
from messenger_pipeline.errors import UnknownPage
from messenger_pipeline.progress import describe
from messenger_pipeline.web.answers import encode_status
from messenger_pipeline.web.control_models import Accepted, InProgress, Links, SyncRequest

SYNC = "/api/conversations/sync"


def accepted(row: SessionProgress, headers: dict[str, str] | None = None) -> JSONResponse:
    """The answer to a caller that does not wait: 202, the session's status and links."""
    now, links = datetime.now(UTC), links_to(row.sync_session_id)
    accepted = Accepted(
        sync_session_id=row.sync_session_id,
        page_id=row.page_id,
        state=row.state,
        links=links,
        message=describe(row, now),
    )
    body = encode_status(row, now) | accepted.model_dump(mode="json", by_alias=True)
    return JSONResponse(body, 202, {"Location": links.self, **(headers or {})})


def links_to(session: UUID) -> Links:
    return Links(self=f"{SYNC}/{session}", events=f"{SYNC}/{session}/events")


class SyncInProgress(Exception):
    """Another sync of the page is in progress, or is requested."""

    def __init__(self, outcome: RequestOutcome) -> None:
        super().__init__()
        self._outcome = outcome

    def response(self) -> JSONResponse:
        session = self._outcome.sync_session_id
        links = links_to(session) if session else None
        body = InProgress(error=_in_progress(self._outcome), sync_session_id=session, links=links)
        return JSONResponse(body.model_dump(mode="json"), 409)


def request_page_sync(database: Database, request: SyncRequest, *, waits: bool) -> SessionProgress:
    """Request a sync. Returns its session. Raises SyncInProgress, HTTPException, UnknownPage and
    DatabaseError.

    `waits`: the caller waits for the session's end. One that resumes a session by its id then gets
    that session also while it is in progress, or if it has ended.
    """
    page = find_page(database, request)
    _require_token(page)
    outcome = request_sync(
        database,
        page.facebook_page_id,
        mode=request.mode,
        session=request.resume_session,
        max_conversations=request.max_conversations,
        requested_by="control API",
    )
    page_id, session = page.facebook_page_id, outcome.sync_session_id
    if outcome.outcome != "accepted":
        if waits and request.resume_session is not None:
            return _named_session(database, page_id, request.resume_session, outcome)
        _refuse(page_id, outcome)
    assert session is not None
    return _read_session(database, page_id, session)


def find_page(database: Database, request: SyncRequest) -> PageRecord:
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


def unknown_session(page_id: str, session: UUID | None) -> HTTPException:
    return HTTPException(404, f"Page {page_id} has no sync session {session}.")


def _require_token(page: PageRecord) -> None:
    remedy = f"run `messenger-pipeline pages add {page.facebook_page_id}` with a new token"
    if page.status == "needs_reauthorization":
        why = f" ({page.status_reason})" if page.status_reason else ""
        raise HTTPException(422, f"The page must be authorized again by its owner{why}: {remedy}.")
    if page.token_encrypted is None:
        raise HTTPException(422, f"The page has no access token: {remedy}.")


def _named_session(
    database: Database, page_id: str, named: UUID, outcome: RequestOutcome
) -> SessionProgress:
    """The session that the request names, if it has ended or is the one in progress."""
    row = _read_session(database, page_id, named)
    if row.outcome is None and named != outcome.sync_session_id:
        raise SyncInProgress(outcome)
    return row


def _read_session(database: Database, page_id: str, session: UUID) -> SessionProgress:
    row = list_progress(database, [session]).get(session)
    if row is None or row.page_id != page_id:
        raise unknown_session(page_id, session)
    return row


def _refuse(page_id: str, outcome: RequestOutcome) -> NoReturn:
    session = outcome.sync_session_id
    if outcome.outcome == "in_progress":
        raise SyncInProgress(outcome)
    if outcome.outcome == "unknown_session":
        raise unknown_session(page_id, session)
    raise HTTPException(
        422, f"Sync session {session} has ended; omit resumeSession to start a new one."
    )


def _in_progress(outcome: RequestOutcome) -> str:
    # Clients of the replaced application compare the beginning of this text.
    error = "Sync already in progress for this page. "
    if outcome.locked_by and outcome.locked_at:
        return f"{error}Run {outcome.locked_by} started at {outcome.locked_at:%H:%M:%S %Z}."
    return f"{error}It was requested before, and a run starts within moments."
