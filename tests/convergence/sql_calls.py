"""The SQL calls and queries that the tests of convergence share."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic_core import to_json

from messenger_pipeline.db import load, migrate, sessions
from messenger_pipeline.db.pool import Database, call
from messenger_pipeline.db.server import Connection
from messenger_pipeline.rows import ConversationRow, EventRow

PAGE = "10"
T = datetime(2026, 5, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return T + timedelta(seconds=seconds)


def message(message_id: str, seconds: float = 0, **metadata: Any) -> EventRow:
    """A received message without an as_of of its own: its conversation's applies."""
    return {
        "event_type": "message_received",
        "event_timestamp": at(seconds),
        "message_id": message_id,
        "metadata": {"source": "webhook", "message_id": message_id, **metadata},
    }


def conversation(
    sender_id: str, as_of: float, *events: EventRow, name: str | None = None
) -> ConversationRow:
    return {
        "sender_id": sender_id,
        "sender_name": name,
        "as_of": at(as_of),
        "events": list(events),
    }


def upsert(database: Database, *rows: ConversationRow, fence: int | None = None) -> list[Any]:
    """Returns for each conversation (sender, id, inserted, updated, version, events created)."""
    return database.call(
        "bulk_upsert_conversations_with_events",
        page_id=PAGE,
        conversations=to_json(rows).decode(),
        fence=fence,
    )


def upsert_within(connection: Connection, *rows: ConversationRow) -> list[Any]:
    """Upsert in an open transaction."""
    return call(
        connection,
        "bulk_upsert_conversations_with_events",
        page_id=PAGE,
        conversations=to_json(rows).decode(),
    )


def query(database: Database, statement: str, *arguments: Any) -> list[Any]:
    with database.transaction() as connection:
        return connection.execute(statement, arguments or None).fetchall()


def event_facts(database: Database) -> list[Any]:
    return query(
        database,
        "select sender_id, event_type, event_timestamp, message_id, discriminator, content"
        " from event_facts order by 4, 2, 5, 3, 1",
    )


def conversation_facts(database: Database) -> list[Any]:
    return query(
        database,
        "select sender_id, sender_name, last_message, last_message_time, message_count,"
        " conversation_status from conversation_facts order by 1",
    )


def failed_checks(database: Database) -> dict[str, str]:
    """The checks of `db verify` that fail, with their findings."""
    return {name: found for name, found in migrate.verify(database).items() if found is not None}


def open_session(database: Database, run_id: str = "run") -> tuple[UUID, int]:
    """Open a full walk. Returns its session id and its fence."""
    database.call(
        "register_page",
        page_id=PAGE,
        name=None,
        user_id=None,
        platform=None,
        token_encrypted="-",
    )
    fence = database.value("take_lease", page_id=PAGE, locked_by=run_id, seconds=3600)
    session = sessions.open_session(database, PAGE, fence, "full", run_id, None)
    assert session is not None
    return session.sync_session_id, fence


def thread_row(thread_id: str, sender_id: str, listed_at: datetime) -> dict[str, Any]:
    return {
        "thread_id": thread_id,
        "sender_id": sender_id,
        "updated_time": listed_at,
        "answered_at": listed_at,
    }


def load_response(
    database: Database,
    session: tuple[UUID, int],
    step: int,
    load_id: str,
    conversations: list[ConversationRow],
    threads: list[Any],
) -> load.Loaded:
    """Load a response that contains these conversations and threads."""
    response = {
        "load_id": load_id,
        "conversations": conversations,
        "threads": threads,
        "gaps_opened": [],
        "fetched": len(threads),
        "api_calls": 1,
    }
    return load.load_response(database, *session, step, load.encode_response(response))


def wait_until_blocked(database: Database, by: Connection) -> None:
    """Wait until another connection waits for a lock that `by` holds."""
    holder = by.info.backend_pid
    waiting = "select exists (select from pg_stat_activity where %s = any (pg_blocking_pids(pid)))"
    while not query(database, waiting, holder)[0][0]:
        pass
