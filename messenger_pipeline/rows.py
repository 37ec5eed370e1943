"""The rows that Python and PostgreSQL exchange."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

Source = Literal["initial_sync", "incremental_sync", "webhook"]


class EventRow(TypedDict):
    """A row of contact_interaction_events; as_of defaults to its conversation's."""

    event_type: str
    event_timestamp: datetime
    message_id: str | None
    discriminator: NotRequired[str]
    as_of: NotRequired[datetime]
    metadata: dict[str, Any]


class ConversationRow(TypedDict):
    """A row of messenger_conversations with its events; as_of is when the source stated it."""

    sender_id: str
    sender_name: str | None
    as_of: datetime
    events: list[EventRow]


class ThreadRow(TypedDict):
    """A row of messenger_threads: what an answer told of a thread."""

    thread_id: str
    sender_id: str | None
    updated_time: datetime
    message_count: int | None
    newest_message_id: str | None
    answered_at: datetime
    newest_loaded_at: datetime | None
    newest_loaded_message_id: str | None


class GapRow(TypedDict):
    """A new row of thread_gaps; with a `reason` one that Meta will not let be read."""

    thread_id: str
    resume_cursor: str | None
    newest_time: datetime
    until_time: datetime | None
    reason: NotRequired[str]


@dataclass(frozen=True)
class ThreadState:
    """What the last answer told of a thread; newest_loaded_… is the newest message loaded."""

    thread_id: str
    sender_id: str | None
    updated_time: datetime
    message_count: int | None
    newest_message_id: str | None
    answered_at: datetime
    newest_loaded_at: datetime | None
    newest_loaded_message_id: str | None
    has_gap: bool
