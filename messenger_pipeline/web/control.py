"""Asking for a sync, and how it is: the routes of the application that this replaces."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Response
from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from starlette.exceptions import HTTPException

from messenger_pipeline.db.overview import list_last_sessions
from messenger_pipeline.db.pages import PageRecord, get_page, unknown
from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.progress import list_progress
from messenger_pipeline.db.sync_requests import RequestOutcome, request_sync
from messenger_pipeline.errors import UnknownPage
from messenger_pipeline.progress import StatusAnswer, describe, status_answer
from messenger_pipeline.web.failures import Failure, described

SYNC = "/api/conversations/sync"
_SHOWN = 10  # sessions of a page

_ID = r"^[0-9A-Za-z_.:-]{1,100}$"


def _as_integer(value: Any) -> Any:
    """In JSON 5.0 is 5."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _as_text(value: Any) -> Any:
    """Facebook's ids are digits, which some callers send as a number."""
    value = _as_integer(value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


PageId = Annotated[
    str,
    BeforeValidator(_as_text),
    Field(pattern=_ID),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": _ID},
                {"type": "integer", "minimum": 0, "maximum": 10**30},
            ]
        }
    ),
]


class SyncAsked(BaseModel):
    """Which page, and how. A field that is not known is told: it may be a known one misspelt."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "anyOf": [{"required": ["pageId"]}, {"required": ["facebookPageId"]}],
            "examples": [{"pageId": "112233445566"}],
        },
    )

    page_id: PageId = Field(
        "", alias="pageId", description="The registry's id of the page, or Facebook's."
    )
    facebook_page_id: PageId = Field("", alias="facebookPageId", description="Facebook's id.")
    mode: Literal["auto", "incremental", "full"] = Field(
        "auto", description="auto: go on with what is open, else fetch what is new."
    )
    max_conversations: Annotated[int | None, BeforeValidator(_as_integer)] = Field(
        None, alias="maxConversations", ge=1, le=2**31 - 1, strict=True,
        description="The first run ends after so many; continuations follow.",
    )  # fmt: skip
    resume_session: UUID | None = Field(
        None, alias="resumeSession", description="Go on with this open session."
    )

    @model_validator(mode="after")
    def _names_a_page(self) -> "SyncAsked":
        if not self.page_id and not self.facebook_page_id:
            raise ValueError("pageId is missing: give the registry's id of a page, or Facebook's")
        return self


class Links(BaseModel):
    """Where to ask how it is, and where to be told."""

    self: str
    events: str


class Accepted(BaseModel):
    """The sync is asked for: a run begins within moments. All that its state tells is told, too."""

    model_config = ConfigDict(populate_by_name=True, extra="allow")

    success: Literal[True] = True
    sync_session_id: UUID
    page_id: str = Field(serialization_alias="pageId")
    state: str
    message: str
    links: Links


class InProgress(Failure):
    """What is under way, where that is known."""

    sync_session_id: UUID | None
    links: Links | None


def control_routes(database: Database) -> APIRouter:
    router = APIRouter(tags=["control"])

    @router.post(
        SYNC,
        status_code=202,
        summary="Ask for a sync of a page",
        response_model=Accepted,
        responses={
            409: {"model": InProgress, "description": "A run walks the page, or is asked for."},
            **described(
                _400="The body cannot be read.", _404="No such page, or no such session of it.",
                _413="The body is too large.", _422="The body is wrong, the session has ended, or"
                " the page's owner must act first.",
            ),
        },
    )  # fmt: skip
    def ask(asked: SyncAsked) -> Response:
        page = _find_page(database, asked)
        _require_token(page)
        outcome = request_sync(
            database,
            page.facebook_page_id,
            mode=asked.mode,
            session=asked.resume_session,
            max_conversations=asked.max_conversations,
            requested_by="control API",
        )
        return _answer(database, page.facebook_page_id, outcome)

    @router.get(
        SYNC,
        summary="The last syncs of a page, newest first",
        responses=described(_404="No such page.", _422="That is no page's id."),
    )
    def list_syncs(
        page_id: Annotated[str, Query(alias="pageId", pattern=_ID)],
    ) -> list[StatusAnswer]:
        page = get_page(database, page_id)
        names = list_last_sessions(database, page.facebook_page_id, _SHOWN)
        found, now = list_progress(database, names), datetime.now(UTC)
        return [status_answer(found[name], now) for name in names if name in found]

    @router.get(
        SYNC + "/{sync_session_id}",
        summary="How a sync is",
        responses=described(_404="There is no such session.", _422="That is no session's id."),
    )
    def show(sync_session_id: UUID) -> StatusAnswer:
        found = list_progress(database, [sync_session_id])
        if not found:
            raise HTTPException(404, f"There is no sync session {sync_session_id}.")
        return status_answer(found[sync_session_id], datetime.now(UTC))

    return router


def _find_page(database: Database, asked: SyncAsked) -> PageRecord:
    """The page that is meant. Old callers give both its ids, the registry's maybe of another
    registry: then Facebook's tells."""
    given = asked.page_id or asked.facebook_page_id
    try:
        page = get_page(database, given)
    except UnknownPage:
        if not asked.facebook_page_id or asked.facebook_page_id == given:
            raise
        page = get_page(database, asked.facebook_page_id)
    if page.status == "removed":
        raise unknown(given)
    if asked.facebook_page_id not in ("", page.facebook_page_id, str(page.id)):
        raise HTTPException(
            422, "pageId and facebookPageId name two different pages; give one of them."
        )
    return page


def _require_token(page: PageRecord) -> None:
    remedy = f"`messenger-pipeline pages add {page.facebook_page_id}` with a new token"
    if page.status == "needs_reauthorization":
        why = f" ({page.status_reason})" if page.status_reason else ""
        raise HTTPException(
            422, f"The page needs to be authorized again by its owner{why}: {remedy}."
        )
    if page.token_encrypted is None:
        raise HTTPException(422, f"The page has no access token: {remedy}.")


def _answer(database: Database, page_id: str, outcome: RequestOutcome) -> Response:
    session = outcome.sync_session_id
    links = Links(self=f"{SYNC}/{session}", events=f"{SYNC}/{session}/events") if session else None
    if outcome.outcome == "in_progress":
        told = InProgress(error=_in_progress(outcome), sync_session_id=session, links=links)
        return JSONResponse(told.model_dump(mode="json"), 409)
    if outcome.outcome == "unknown_session":
        raise HTTPException(404, f"Page {page_id} has no sync session {session}.")
    if outcome.outcome == "session_ended":
        raise HTTPException(
            422, f"The sync session {session} has ended; ask without resumeSession for a new one."
        )
    assert session is not None
    assert links is not None
    row = list_progress(database, [session])[session]
    accepted = Accepted(
        sync_session_id=session, page_id=page_id, state=row.state, links=links,
        message=describe(row, datetime.now(UTC)),
    )  # fmt: skip
    body = jsonable_encoder(status_answer(row, datetime.now(UTC)))
    body |= accepted.model_dump(mode="json", by_alias=True)
    return JSONResponse(body, 202, {"Location": links.self})


def _in_progress(outcome: RequestOutcome) -> str:
    told = "Sync already in progress for this page. "
    if outcome.locked_by and outcome.locked_at:
        return f"{told}Run {outcome.locked_by} walks it since {outcome.locked_at:%H:%M:%S %Z}."
    return f"{told}It was asked for before, and a run is to begin within moments."
