"""The status page's routes: the list of pages, and figures for all of them together."""

from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel

from messenger_pipeline.db import overview
from messenger_pipeline.db.alerts import Alert, list_alerts
from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.progress import list_progress
from messenger_pipeline.progress import StatusAnswer, status_answer
from messenger_pipeline.web.dependencies import DatabaseDependency
from messenger_pipeline.web.errors import error_responses

PAGE_SIZE = 50
_ALERTS = 50
_ALIVE_SECONDS = 180.0  # since the last heartbeat of Dagster's daemon, which sends two a minute

page_routes = APIRouter(tags=["status page"])

Status = Literal["active", "paused", "needs_reauthorization", "removed"]


class PageShown(BaseModel):
    """A page, what is stored of it, and its open syncs.

    `more`: counting stopped there, and the page has more conversations and messages.
    """

    id: str
    pageId: str
    pageName: str | None
    platform: str
    status: str
    statusReason: str | None
    hasToken: bool
    lastSyncedAt: datetime | None
    nextSyncAt: datetime
    lagSeconds: float | None
    conversations: int
    messages: int
    more: bool
    quarantined: int
    sessions: list[StatusAnswer]


class PagesShown(BaseModel):
    """Part `page` of `pageCount` of the list, which has `found` pages in all."""

    page: int
    pageCount: int
    found: int
    pages: list[PageShown]


class AlertShown(BaseModel):
    """What is wrong, and the remedy."""

    id: int
    kind: str
    severity: str
    summary: str
    pageId: str | None
    pageName: str | None
    openedAt: datetime


class Overview(BaseModel):
    """Figures for all pages. `dagsterAlive` is null if its daemon never sent a heartbeat."""

    pages: dict[str, int]
    openSessions: int
    running: int
    waitingRequests: int
    oldestRequest: datetime | None
    openAlerts: int
    openErrors: int
    alerts: list[AlertShown]
    inboxWaiting: int
    inboxOldest: datetime | None
    deliveriesAMinute: int
    quarantined: int
    dagsterAlive: bool | None
    dagsterSeenAt: datetime | None
    now: datetime


@page_routes.get(
    "/api/pages",
    summary="The pages: first those whose owner must act, then by name",
    responses=error_responses(_422="A parameter is invalid."),
)
def list_pages(
    database: DatabaseDependency,
    search: Annotated[
        str, Query(max_length=100, description="A part of the name, or of Facebook's id.")
    ] = "",
    status: Annotated[
        Status | Literal[""], Query(description="Empty: all pages that are not removed.")
    ] = "",
    page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
) -> PagesShown:
    rows = overview.list_page_states(
        database,
        search=search.replace("\0", "").strip(),  # PostgreSQL's text cannot hold NUL
        status=status or None,
        offset=(page - 1) * PAGE_SIZE,
        limit=PAGE_SIZE,
    )
    found = rows[0].found if rows else 0
    answers = _open_sessions(database, rows)
    return PagesShown(
        page=page,
        pageCount=-(-found // PAGE_SIZE),
        found=found,
        pages=[
            _shown(row, [answers[one] for one in row.open_sessions if one in answers])
            for row in rows
        ],
    )


@page_routes.get("/api/overview", summary="Figures for all pages, and open alerts")
def get_overview(database: DatabaseDependency) -> Overview:
    figures = overview.get_overview(database)
    now = datetime.now(UTC)
    seen = figures.dagster_seen_at
    return Overview(
        pages=figures.pages,
        openSessions=figures.open_sessions,
        running=figures.running_sessions,
        waitingRequests=figures.waiting_requests,
        oldestRequest=figures.oldest_request,
        openAlerts=figures.open_alerts,
        openErrors=figures.open_errors,
        alerts=[_alert(one) for one in list_alerts(database, True, _ALERTS)],
        inboxWaiting=figures.inbox_waiting,
        inboxOldest=figures.inbox_oldest,
        deliveriesAMinute=figures.deliveries_a_minute,
        quarantined=figures.quarantined,
        dagsterAlive=None if seen is None else (now - seen).total_seconds() < _ALIVE_SECONDS,
        dagsterSeenAt=seen,
        now=now,
    )


def _open_sessions(database: Database, rows: list[overview.PageState]) -> dict[UUID, StatusAnswer]:
    sessions = [session for row in rows for session in row.open_sessions]
    if not sessions:
        return {}
    now = datetime.now(UTC)
    progress = list_progress(database, sessions)
    return {session: status_answer(row, now) for session, row in progress.items()}


def _shown(row: overview.PageState, sessions: list[StatusAnswer]) -> PageShown:
    return PageShown(
        id=row.id,
        pageId=row.page_id,
        pageName=row.page_name,
        platform=row.platform,
        status=row.status,
        statusReason=row.status_reason,
        hasToken=row.has_token,
        lastSyncedAt=row.last_synced_at,
        nextSyncAt=row.next_sync_at,
        lagSeconds=row.lag_seconds,
        conversations=row.conversations,
        messages=row.messages,
        more=row.conversations_more,
        quarantined=row.quarantined,
        sessions=sessions,
    )


def _alert(one: Alert) -> AlertShown:
    return AlertShown(
        id=one.id,
        kind=one.kind,
        severity=one.severity,
        summary=one.summary,
        pageId=one.page_id,
        pageName=one.page_name,
        openedAt=one.opened_at,
    )
