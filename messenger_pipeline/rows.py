"""The rows that Python and PostgreSQL exchange."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

Source = Literal["initial_sync", "incremental_sync", "webhook"]


class EventRow(TypedDict):
    """A row of contact_interaction_events. Without `as_of` it has its conversation's."""

    event_type: str
    event_timestamp: datetime
    message_id: str | None
    discriminator: NotRequired[str]
    as_of: NotRequired[datetime]
    metadata: dict[str, Any]


class ConversationRow(TypedDict):
    """A row of messenger_conversations with its events. `as_of`: when Meta stated it.

    `thread_id` is set where the contact has no id: it is the `sender_id`, too.
    """

    sender_id: str
    sender_name: str | None
    as_of: datetime
    events: list[EventRow]
    thread_id: NotRequired[str]


class ThreadRow(TypedDict):
    """A row of messenger_threads: a thread as an answer had it. See ThreadState."""

    thread_id: str
    sender_id: str | None
    updated_time: datetime
    message_count: int | None
    newest_message_id: str | None
    answered_at: datetime
    newest_loaded_at: datetime | None
    newest_loaded_message_id: str | None
    tried_stored: NotRequired[int]
    tried_counted: NotRequired[int]


class GapRow(TypedDict):
    """A new row of thread_gaps.

    With a `reason` the gap is unreadable: Meta withholds it. With an `error` it is put off.
    """

    thread_id: str
    resume_cursor: str | None
    newest_time: datetime
    until_time: datetime | None
    reason: NotRequired[str]
    error: NotRequired[str]


@dataclass(frozen=True)
class ThreadState:
    """A thread as the last answer had it.

    `newest_message_id` is the newest message in that answer, newest_loaded_… the newest that a
    walk loaded. `answered_at` is the time of the answer. `stored_count` messages are stored; None:
    the walk does not compare it with Meta's count. tried_… are the two counts with which the thread
    was last read whole because Meta's was greater.
    """

    thread_id: str
    sender_id: str | None
    updated_time: datetime
    message_count: int | None
    newest_message_id: str | None
    answered_at: datetime
    newest_loaded_at: datetime | None
    newest_loaded_message_id: str | None
    has_gap: bool
    stored_count: int | None = None
    tried_stored: int | None = None
    tried_counted: int | None = None
