"""Malformed records: each fault is a small change of a thread's or a message's record.

A function gets the record of a correct response and returns the malformed one. It cannot change a
field that the call did not request. Its docstring is the description that users read.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from graph_simulator.page import SimulatedPage

Record = dict[str, Any]
ThreadChange = Callable[[Record], Any]
MessageChange = Callable[[Record], Record]

THREADS: dict[str, ThreadChange] = {}
MESSAGES: dict[str, MessageChange] = {}

UNUSABLE = frozenset({
    "thread_without_id", "thread_without_time", "thread_is_null", "thread_is_text",
    "message_without_id", "message_without_time", "message_bad_time", "message_huge_id",
})  # fmt: skip
"""Records that cannot be stored. The truth leaves them out."""

IN_LISTS_ONLY = frozenset({"thread_is_null", "thread_is_text"})


@dataclass(frozen=True)
class Malformation:
    """Which record is malformed, and how.

    `message` counts the seeded messages of the thread from the oldest, which is 0. Negative numbers
    count from the newest.
    """

    name: str
    page_id: str | None
    thread: int
    message: int = -1

    def concerns(self, page: SimulatedPage, number: int) -> bool:
        return number == self.thread and self.page_id in (None, page.id)

    def apply_to_thread(self, thread: Any) -> Any:
        change = THREADS.get(self.name)
        # Another malformation may have replaced the thread's object.
        return change(thread) if change and isinstance(thread, dict) else thread

    def apply_to_message(self, page: SimulatedPage, ordinal: int, message: Record) -> Record:
        change = MESSAGES.get(self.name)
        seeded = page.lengths[self.thread]
        at = self.message if self.message >= 0 else max(0, seeded + self.message)
        return change(message) if change and ordinal == at else message


def _thread(change: ThreadChange) -> ThreadChange:
    THREADS[change.__name__] = change
    return change


def _message(change: MessageChange) -> MessageChange:
    MESSAGES[change.__name__] = change
    return change


def _with(record: Record, name: str, value: Any) -> Record:
    return {**record, name: value} if name in record else record


def _without(record: Record, name: str) -> Record:
    return {key: record[key] for key in record if key != name} if name in record else record


# -- Threads ----------------------------------------------------------------------------------


def _with_participants(thread: Record, change: Callable[[list[Any]], Any]) -> Record:
    """Replace the participants. `change` gets a list of the contact and the page, in this order."""
    parties = thread.get("participants")
    if not isinstance(parties, dict):
        return thread
    return _with(thread, "participants", change(parties["data"]))


@_thread
def participants_null(thread: Record) -> Any:
    """A thread whose participants are null."""
    return _with(thread, "participants", None)


@_thread
def participants_missing(thread: Record) -> Any:
    """A thread without participants."""
    return _without(thread, "participants")


@_thread
def participants_without_id(thread: Record) -> Any:
    """A thread whose contact has no id, like a deactivated account."""
    return _with_participants(thread, lambda all: {"data": [_without(all[0], "id"), *all[1:]]})


@_thread
def participants_without_name(thread: Record) -> Any:
    """A thread whose contact has no name, like a deactivated account."""
    return _with_participants(thread, lambda all: {"data": [_without(all[0], "name"), *all[1:]]})


@_thread
def participants_bare_list(thread: Record) -> Any:
    """A thread whose participants are a list without the object around it."""
    return _with_participants(thread, lambda all: all)


@_thread
def participants_single_object(thread: Record) -> Any:
    """A thread whose participants are one object, the contact, instead of a list."""
    return _with_participants(thread, lambda all: {"data": all[0]})


@_thread
def participants_page_only(thread: Record) -> Any:
    """A thread whose only participant is the page."""
    return _with_participants(thread, lambda all: {"data": all[1:]})


@_thread
def participants_numeric_ids(thread: Record) -> Any:
    """A thread whose participants have integer ids."""
    return _with_participants(
        thread, lambda all: {"data": [{**one, "id": int(one["id"])} for one in all]}
    )


@_thread
def count_too_high(thread: Record) -> Any:
    """A thread whose message_count is greater than the number of its messages."""
    return _with(thread, "message_count", (thread.get("message_count") or 0) + 7)


@_thread
def messages_null(thread: Record) -> Any:
    """A thread whose nested messages are null."""
    return _with(thread, "messages", None)


@_thread
def messages_missing(thread: Record) -> Any:
    """A thread without the requested nested messages."""
    return _without(thread, "messages")


@_thread
def thread_without_id(thread: Record) -> Any:
    """A thread without an id."""
    return _without(thread, "id")


@_thread
def thread_without_time(thread: Record) -> Any:
    """A thread without updated_time."""
    return _without(thread, "updated_time")


@_thread
def thread_is_null(thread: Record) -> Any:
    """A null in the list instead of a thread."""
    return None


@_thread
def thread_is_text(thread: Record) -> Any:
    """A string in the list instead of a thread."""
    return str(thread.get("id", "a thread"))


# -- Messages ---------------------------------------------------------------------------------


@_message
def message_without_from(message: Record) -> Record:
    """A message without a sender."""
    return _without(message, "from")


@_message
def message_from_null(message: Record) -> Record:
    """A message whose sender is null."""
    return _with(message, "from", None)


@_message
def message_without_text(message: Record) -> Record:
    """A message without a text field."""
    return _without(message, "message")


@_message
def message_nul(message: Record) -> Record:
    """A message with a NUL character in its text, which PostgreSQL cannot store."""
    return _with(message, "message", "before \x00 after")


@_message
def message_lone_surrogate(message: Record) -> Record:
    """A message with half of a surrogate pair in its text, as a truncated emoji leaves it."""
    return _with(message, "message", "half an emoji \ud83d")


@_message
def message_huge(message: Record) -> Record:
    """A message with a text of one megabyte."""
    return _with(message, "message", "A lot to say. " * (2**20 // 14))


@_message
def message_without_time(message: Record) -> Record:
    """A message without created_time."""
    return _without(message, "created_time")


@_message
def message_without_id(message: Record) -> Record:
    """A message without an id."""
    return _without(message, "id")


@_message
def message_bad_time(message: Record) -> Record:
    """A message whose created_time is not a time."""
    return _with(message, "created_time", "yesterday")


@_message
def message_huge_id(message: Record) -> Record:
    """A message with an id of 5,000 characters, too long for an index."""
    return _with(message, "id", (str(message.get("id")) * 100)[:5000])


@_message
def infinite_number(message: Record) -> Record:
    """A message with an attachment of size 1e999, which overflows a float."""
    return {**message, "attachments": {"data": [{"id": "1", "name": "all", "size": float("inf")}]}}


@_message
def deep_json(message: Record) -> Record:
    """A message with an attachment nested 60 levels deep."""
    nested: Record = {}
    for level in range(60, 0, -1):
        nested = {f"level_{level}": nested}
    return {**message, "attachments": {"data": [{"id": "1", "payload": nested}]}}


@_message
@_thread
def unknown_fields(record: Record) -> Any:
    """A thread and a message with unknown fields, some of them objects."""
    unknown = {"deep": {"deeper": [1, {"null": None}]}, "emoji": "🙂", "number": 1.5}
    return {**record, "unknown_object": unknown, "unknown_flag": True}
