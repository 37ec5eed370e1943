"""What a run did."""

import time
from dataclasses import dataclass, field
from datetime import datetime

from messenger_pipeline.db import sessions
from messenger_pipeline.db.pages import get_page
from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.progress import list_progress
from messenger_pipeline.errors import UnknownSession
from messenger_pipeline.sync.request import SyncRequest
from messenger_pipeline.sync.sync_run import SyncRun

CANCELLED = "cancelled; it is not continued automatically"
"""Why a run ended that a person cancelled."""


@dataclass(frozen=True)
class SyncResult:
    """What one run did; counts are the run's, not the session's.

    `outcome` is the session's: completed, truncated (Meta's list could not be read to its end,
    `warning` says why), superseded (by a newer full sync, before this run started) or partial:
    there is more to do, and `stopped` says why the run ended.
    `failed_batches` counts responses of which some records were quarantined. `set_aside` counts the
    stretches of history, and parts of the list, that were put off or are unreadable.
    `did_nothing`: the requested session had ended already, with `outcome`.
    `parked`: a person cancelled the run, so no continuation follows.
    """

    sync_session_id: str
    mode: str
    outcome: str = "completed"
    fetched: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    events: int = 0
    quarantined: int = 0
    set_aside: int = 0
    failed_batches: int = 0
    deleted: int = 0
    api_calls: int = 0
    waited_seconds: float = 0.0
    duration_seconds: float = 0.0
    conversations_per_second: float = 0.0
    watermark: datetime | None = None
    stopped: str | None = None
    warning: str | None = None
    unknown_fields: dict[str, int] = field(default_factory=dict)
    did_nothing: bool = False
    parked: bool = False

    @property
    def has_more(self) -> bool:
        return self.outcome == "partial"


def build_result(run: SyncRun, stopped: str | None) -> SyncResult:
    """The result of a run that ended; `stopped` is why it left more to do."""
    seconds = time.monotonic() - run.started_at
    before, session = run.session, sessions.get_session(run.database, run.session.sync_session_id)
    return SyncResult(
        sync_session_id=str(session.sync_session_id),
        mode=session.mode,
        outcome="partial" if stopped else session.outcome or "partial",
        fetched=run.fetched,
        inserted=run.loaded.inserted,
        updated=run.loaded.updated,
        unchanged=run.loaded.unchanged,
        events=run.loaded.events_created,
        quarantined=run.quarantined,
        set_aside=run.set_aside,
        failed_batches=run.failed_batches,
        deleted=session.deleted - before.deleted,
        api_calls=run.client.calls,
        waited_seconds=round(run.pacer.waited, 3),
        duration_seconds=round(seconds, 3),
        conversations_per_second=round(run.fetched / seconds, 1) if seconds else 0.0,
        watermark=get_page(run.database, run.page.facebook_page_id).watermark,
        stopped=stopped,
        warning=session.truncated or session.warning,
        unknown_fields=session.unknown_fields,
        parked=stopped == CANCELLED,
    )


def find_ended_result(database: Database, request: SyncRequest) -> SyncResult:
    """The result of a run that found its session already ended: it did nothing.

    Raises UnknownSession if the page has no such session.
    """
    assert request.session is not None
    ended = list_progress(database, [request.session]).get(request.session)
    page_id = get_page(database, request.page_id).facebook_page_id
    if ended is None or ended.page_id != page_id:
        raise UnknownSession(page_id, request.session)
    return SyncResult(
        str(request.session),
        ended.mode,
        ended.outcome or "completed",
        warning=ended.warning,
        did_nothing=True,
    )
