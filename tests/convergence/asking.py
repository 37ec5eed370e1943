"""What tests of convergence tell a database, and what they ask of it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic_core import to_json

from messenger_pipeline.db import load, migrate, sessions
from messenger_pipeline.db.pool import Connection, Database, call
from messenger_pipeline.rows import ConversationRow, EventRow

PAGE = "10"
T = datetime(2026, 5, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return T + timedelta(seconds=seconds)


def message(message_id: str, seconds: float = 0, **metadata: Any) -> EventRow:
    """A message received, stated when its conversation is."""
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
    """Each conversation's (sender, id, inserted, updated, version, events created)."""
    return database.call(
        "bulk_upsert_conversations_with_events",
        page_id=PAGE,
        conversations=to_json(rows).decode(),
        fence=fence,
    )


def upsert_within(connection: Connection, *rows: ConversationRow) -> list[Any]:
    """The same in a transaction that is open."""
    return call(
        connection,
        "bulk_upsert_conversations_with_events",
        page_id=PAGE,
        conversations=to_json(rows).decode(),
    )


def asked(database: Database, statement: str, *arguments: Any) -> list[Any]:
    with database.transaction() as connection:
        return connection.execute(statement, arguments or None).fetchall()


def event_facts(database: Database) -> list[Any]:
    return asked(
        database,
        "select sender_id, event_type, event_timestamp, message_id, discriminator, content"
        " from event_facts order by 4, 2, 5, 3, 1",
    )


def conversation_facts(database: Database) -> list[Any]:
    return asked(
        database,
        "select sender_id, sender_name, last_message, last_message_time, message_count,"
        " conversation_status from conversation_facts order by 1",
    )


def findings(database: Database) -> dict[str, str]:
    """What the checks of the stored rows find."""
    return {name: found for name, found in migrate.verify(database).items() if found is not None}


def open_session(database: Database, run_id: str = "run") -> tuple[UUID, int]:
    """A full walk's session and its fence."""
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


def thread_row(thread_id: str, sender_id: str, answered_at: datetime) -> dict[str, Any]:
    return {
        "thread_id": thread_id,
        "sender_id": sender_id,
        "updated_time": answered_at,
        "answered_at": answered_at,
    }


def respond(
    database: Database,
    session: tuple[UUID, int],
    step: int,
    load_id: str,
    conversations: list[ConversationRow],
    threads: list[Any],
) -> load.Loaded:
    """Load an answer that told these conversations and threads."""
    response = {
        "load_id": load_id,
        "conversations": conversations,
        "threads": threads,
        "gaps_opened": [],
        "fetched": len(threads),
        "api_calls": 1,
    }
    return load.load_response(database, *session, step, load.encoded_response(response))


def wait_until_blocked(database: Database, by: Connection) -> None:
    """Return once another connection waits for a lock that `by` holds."""
    holder = by.info.backend_pid
    waiting = "select exists (select from pg_stat_activity where %s = any (pg_blocking_pids(pid)))"
    while not asked(database, waiting, holder)[0][0]:
        pass
