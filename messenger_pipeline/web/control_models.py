"""Bodies of the control routes' requests and responses.

Names in camelCase are those of the application that this replaces.
"""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from messenger_pipeline.web.errors import ErrorBody

ID_PATTERN = r"^[0-9A-Za-z_.:-]{1,100}$"


def _as_integer(value: Any) -> Any:
    """In JSON 5.0 is the same number as 5."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _as_text(value: Any) -> Any:
    """Facebook's ids are digits, and some clients send them as a number."""
    value = _as_integer(value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


PageId = Annotated[
    str,
    BeforeValidator(_as_text),
    Field(pattern=ID_PATTERN),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": ID_PATTERN},
                {"type": "integer", "minimum": 0, "maximum": 10**30},
            ]
        }
    ),
]


class SyncRequest(BaseModel):
    """Which page to sync, and how. Unknown fields are errors: they may be misspelt."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "anyOf": [{"required": ["pageId"]}, {"required": ["facebookPageId"]}],
            "examples": [{"pageId": "112233445566"}],
        },
    )

    page_id: PageId = Field(
        "", alias="pageId", description="The page's id in the registry, or Facebook's id."
    )
    facebook_page_id: PageId = Field("", alias="facebookPageId", description="Facebook's id.")
    mode: Literal["auto", "incremental", "full"] = Field(
        "auto", description="auto: resume an open sync, else fetch what is new."
    )
    max_conversations: Annotated[int | None, BeforeValidator(_as_integer)] = Field(
        None,
        alias="maxConversations",
        ge=1,
        le=2**31 - 1,
        strict=True,
        description="The first run ends after this many; other runs resume it.",
    )
    resume_session: UUID | None = Field(
        None, alias="resumeSession", description="Resume this open session."
    )

    @model_validator(mode="after")
    def _require_page(self) -> "SyncRequest":
        if not self.page_id and not self.facebook_page_id:
            raise ValueError("pageId is missing: send the page's id in the registry, or Facebook's")
        return self


class Links(BaseModel):
    """Where to poll the status of a sync, and where to follow it."""

    self: str
    events: str


class Accepted(BaseModel):
    """The sync was requested; a run starts within moments. All fields of its status follow."""

    model_config = ConfigDict(populate_by_name=True, extra="allow")

    success: Literal[True] = True
    sync_session_id: UUID
    page_id: str = Field(serialization_alias="pageId")
    state: str
    message: str
    links: Links


class InProgress(ErrorBody):
    """The sync that is in progress; null while its session is not known."""

    sync_session_id: UUID | None
    links: Links | None


class Waited(BaseModel):
    """The sync after a wait, with the names of the replaced application. `hasMore`: it goes on, and
    `resumeSession` names it. All fields of its status follow; `error` is a sentence if it failed.
    """

    model_config = ConfigDict(extra="allow")

    success: bool
    synced: int
    inserted: int
    updated: int
    total: int
    eventsCreated: int
    syncMode: str
    message: str
    hasMore: bool
    resumeSession: UUID | None


class Stats(BaseModel):
    """The figures of a sync. `batches`: calls to Meta."""

    fetched: int
    inserted: int
    updated: int
    events: int
    batches: int
    duration: str
    speed: str
    errors: list[str]


class WaitedOptimized(BaseModel):
    """The sync after a wait, as /sync-optimized of the replaced application describes it."""

    model_config = ConfigDict(extra="allow")

    success: bool
    stats: Stats
    message: str
    hasMore: bool
    resumeSession: UUID | None
