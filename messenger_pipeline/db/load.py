"""Sync sessions, and the load of what one response brought."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb
from pydantic_core import to_json

from messenger_pipeline.db.pool import Database
from messenger_pipeline.rows import ThreadState

# The escape, not the six characters: those have an escaped backslash, so an even number of them.
_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")


@dataclass(frozen=True)
class SyncSession:
    """A row of sync_state, as far as a run needs to know it; counters are those of all its runs."""

    sync_session_id: UUID
    page_id: str
    mode: str
    run_id: str | None
    step: int
    last_cursor: str | None
    cursor_fingerprint: str | None
    last_updated_time: datetime | None
    cutoff: datetime | None
    next_watermark: datetime | None
    listed_at: datetime | None
    dead_cursor_time: datetime | None
    list_refused: bool
    truncated: str | None
    warning: str | None
    unknown_fields: dict[str, int]
    total_synced: int
    inserted: int
    updated: int
    unchanged: int
    deleted: int
    events_created: int
    quarantined: int
    api_calls: int
    outcome: str | None
    is_complete: bool
    last_error: str | None
    started_at: datetime
    updated_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True)
class Gap:
    """A stretch of a thread's history still to fetch: from newest_time down past until_time."""

    id: int
    thread_id: str
    sender_id: str
    resume_cursor: str | None
    newest_time: datetime
    until_time: datetime | None
    dead_cursor_time: datetime | None


@dataclass(frozen=True)
class Loaded:
    """What a load changed; `refused` rows PostgreSQL did not take, and are quarantined."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    events_created: int = 0
    refused: int = 0

    def __add__(self, other: "Loaded") -> "Loaded":
        return Loaded(
            self.inserted + other.inserted,
            self.updated + other.updated,
            self.unchanged + other.unchanged,
            self.events_created + other.events_created,
            self.refused + other.refused,
        )


@dataclass(frozen=True)
class Continuation:
    """An open session that a run should resume; `attempt` differs from its earlier ones."""

    sync_session_id: UUID
    page_id: str
    attempt: str


def open_session(
    database: Database, page_id: str, fence: int, mode: str, run_id: str, session: UUID | None
) -> SyncSession | None:
    """The session to walk: an open one resumed, or a new one. None if `session` is not open."""
    opened = database.value(
        "open_sync_session",
        page_id=page_id,
        fence=fence,
        mode=mode,
        run_id=run_id,
        session=session,
    )
    return get_session(database, opened) if opened else None


def list_thread_states(
    database: Database, page_id: str, thread_ids: list[str]
) -> dict[str, ThreadState]:
    """What the walk knows of these threads, by thread id."""
    rows: list[ThreadState] = database.call(
        "list_thread_states", ThreadState, page_id=page_id, thread_ids=thread_ids
    )
    return {row.thread_id: row for row in rows}


def encoded(value: Any) -> Jsonb:
    """A value as the JSON that a function takes."""
    body = to_json(value, inf_nan_mode="strings")
    if b"\\u0000" in body:  # in hardly any, and this is much faster to see
        # NUL is no character in PostgreSQL, and text that holds one is still worth its row.
        body = _NUL.sub(rb"\1\\ufffd", body)
    # As bytes: a megabyte of text in many scripts takes longer to decode than to send.
    return Jsonb(body, dumps=bytes)


@dataclass(frozen=True)
class EncodedResponse:
    """A response as the load takes it: the conversations, which are most of it, and the rest."""

    conversations: Jsonb
    rest: Jsonb


def encoded_response(response: dict[str, Any]) -> EncodedResponse:
    """A response as the load takes it; without conversations there are none."""
    rest = {name: value for name, value in response.items() if name != "conversations"}
    return EncodedResponse(encoded(response.get("conversations", [])), encoded(rest))


def load_response(
    database: Database, session: UUID, fence: int, step: int, response: EncodedResponse
) -> Loaded:
    """Load what one response brought, all of it or nothing. Raises LeaseLost, SessionMoved,
    MostlyRefused."""
    rows: list[Loaded] = database.call(
        "load_sync_response",
        Loaded,
        session=session,
        fence=fence,
        step=step,
        conversations=response.conversations,
        response=response.rest,
    )
    return rows[0]


def get_session(database: Database, session: UUID) -> SyncSession:
    """A session as it is now."""
    rows: list[SyncSession] = database.call("get_sync_session", SyncSession, session=session)
    return rows[0]


def restart_list(
    database: Database, session: SyncSession, fence: int, step: int, reason: str
) -> None:
    """Begin the list again from the top; where that led no deeper before, it is truncated."""
    database.call(
        "restart_session_list",
        session=session.sync_session_id,
        fence=fence,
        step=step,
        reason=reason,
    )


def give_up_list(
    database: Database, session: SyncSession, fence: int, step: int, reason: str
) -> None:
    """Go on without the list, which Meta refuses."""
    database.call(
        "give_up_session_list",
        session=session.sync_session_id,
        fence=fence,
        step=step,
        reason=reason,
    )


def list_unseen_threads(database: Database, session: UUID, limit: int) -> list[str]:
    """Known threads that a session without a list has still to ask for, newest first."""
    rows = database.call("list_unseen_threads", session=session, limit=limit)
    return [thread_id for (thread_id,) in rows]


@dataclass(frozen=True)
class MissingThread:
    """A thread that a full walk did not see. `living` is one that it saw."""

    thread_id: str
    living: str | None


def list_missing_threads(
    database: Database, session: UUID, fence: int, *, final: bool
) -> list[MissingThread]:
    """The threads that a full walk ought to have seen. None, and a warning noted, where the walk
    proves nothing, or where in the end (`final`) it would be suspiciously many."""
    return database.call(
        "list_missing_threads", MissingThread, session=session, fence=fence, final=final
    )


def mark_threads_gone(
    database: Database, session: UUID, fence: int, gone: dict[str, datetime]
) -> None:
    """Note of each thread when Meta said that it is gone; mark conversations without another."""
    database.call(
        "mark_threads_gone",
        session=session,
        fence=fence,
        thread_ids=list(gone),
        gone_at=list(gone.values()),
    )


def warn_session(database: Database, session: UUID, fence: int, warning: str) -> None:
    """Note what somebody should know of a session."""
    database.call("warn_sync_session", session=session, fence=fence, warning=warning)


def complete_session(database: Database, session: UUID, fence: int) -> bool:
    """End a session whose list is read and whose gaps are closed. False if they are not."""
    return bool(database.value("complete_sync_session", session=session, fence=fence))


def suspend_session(
    database: Database,
    session: UUID,
    fence: int,
    seconds: float,
    error: str | None = None,
    waiting_for: str | None = None,
) -> None:
    """Leave a session for a later run to go on with: after an error, or what is waited for."""
    database.call(
        "suspend_sync_session",
        session=session,
        fence=fence,
        seconds=seconds,
        error=error,
        waiting_for=waiting_for,
    )


def list_gaps(database: Database, session: UUID, limit: int) -> list[Gap]:
    """The gaps that a session has still to close, newest first."""
    return database.call("list_session_gaps", Gap, session=session, limit=limit)


def list_sessions(
    database: Database, since: datetime, page_id: str | None = None
) -> list[SyncSession]:
    """The sessions that changed since a time, oldest first."""
    found = database.call("list_sync_sessions", since=since, page_id=page_id)
    return [get_session(database, session) for (session,) in found]


def request_continuations(database: Database, busy: list[str]) -> list[Continuation]:
    """The open sessions that a run should go on with now; each is given out once per turn."""
    return database.call("request_continuations", Continuation, busy=busy)


@dataclass(frozen=True)
class Lease:
    """A lease that was not released; it may have run out."""

    page_id: str
    locked_by: str
    expires_at: datetime


def list_leases(database: Database) -> list[Lease]:
    """The leases that runs hold, or left behind."""
    return database.call("list_leases", Lease)
