"""What to do with each thread of an answer: skip it, or load its messages and leave the rest as a
gap. Pure.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from itertools import pairwise

from messenger_pipeline.graph.models import (
    Message,
    Party,
    Reject,
    Thread,
    next_cursor,
    without_paging,
)
from messenger_pipeline.merge import dedupe_conversations, message_key
from messenger_pipeline.rows import (
    ConversationRow,
    EventRow,
    GapRow,
    Source,
    ThreadRow,
    ThreadState,
)
from messenger_pipeline.sync.parse import (
    find_own_ids,
    messages_of,
    name_of,
    others_in,
    owner_of,
    parse_message,
    party_without_id,
)

WITHHELD = "Meta returns only the ids of its older messages"

SETTLED = timedelta(seconds=5)
"""Meta's times are whole seconds: an answer given less than this after a thread's updated_time may
have missed another message of the same second. Such an answer does not prove it unchanged."""


@dataclass(frozen=True)
class Page:
    """The page that threads belong to, and the source that their rows are marked with.

    `other_ids` are further ids of its account: whoever has one of them is the page.
    """

    page_id: str
    source: Source
    other_ids: frozenset[str] = frozenset()

    @cached_property
    def own(self) -> frozenset[str]:
        """Every id of the account."""
        return self.other_ids | {self.page_id}


@dataclass
class Plan:
    """What one response adds to the load. `seen` are the ids of unchanged threads, `account_ids`
    further ids of the page's account."""

    conversations: list[ConversationRow] = field(default_factory=list)
    threads: list[ThreadRow] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    gaps: list[GapRow] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    account_ids: set[str] = field(default_factory=set)


def plan_threads(
    threads: Iterable[Thread],
    known: Mapping[str, ThreadState],
    page: Page,
    answered_at: datetime,
    withheld: Collection[str | None] = (),
) -> Plan:
    """Plan the load of an answer's threads.

    `known` are the states of those that were read before, by id. `withheld` are the ids of those
    of which Meta returned some messages without content.
    """
    plan = Plan()
    # A thread that moves while Meta makes the answer may be in it twice: the newer one counts.
    newest: dict[str, Thread] = {}
    for thread in threads:
        other = newest.get(thread["id"])
        if other is None or thread["updated_time"] > other["updated_time"]:
            newest[thread["id"]] = thread
    plan.account_ids = find_own_ids(newest.values(), page.own)
    if plan.account_ids:
        page = replace(page, other_ids=page.other_ids | plan.account_ids)
    for thread in newest.values():
        state = known.get(thread["id"])
        try:
            if state and is_unchanged(thread, state):
                plan.seen.append(thread["id"])
            else:
                _plan_changed(plan, thread, state, page, answered_at, thread["id"] in withheld)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next thread is planned
            reason = f"it could not be planned: {type(error).__name__}: {error}"
            plan.rejects.append(Reject("thread", thread["id"], reason, without_paging(thread)))
    plan.conversations = dedupe_conversations(plan.conversations)
    return plan


def states_after(plan: Plan) -> dict[str, ThreadState]:
    """The states of a plan's threads once it is loaded, by thread id."""
    gaps = {gap["thread_id"] for gap in plan.gaps if "reason" not in gap}
    return {
        row["thread_id"]: ThreadState(**row, has_gap=row["thread_id"] in gaps)
        for row in plan.threads
    }


def is_unchanged(thread: Thread, state: ThreadState) -> bool:
    """Whether the thread is as in Meta's last answer, and has been read whole."""
    messages = messages_of(thread)
    newest = message_key(messages[0]["id"]) if messages else None
    return (
        thread["updated_time"] == state.updated_time
        and newest == state.newest_message_id
        and thread.get("message_count") == state.message_count
        and state.answered_at - state.updated_time >= SETTLED
        and not state.has_gap
        and not is_short(thread, state)
    )


def is_short(thread: Thread, state: ThreadState) -> bool:
    """Whether fewer messages of the thread are stored than Meta counts, and no gap explains it. Its
    count is an estimate: a thread that was read whole with the same two counts is not short."""
    counted, stored = thread.get("message_count"), state.stored_count
    if counted is None or stored is None or counted <= stored or state.has_gap:
        return False
    return (stored, counted) != (state.tried_stored, state.tried_counted)


def reaches(messages: list[Message], time: datetime | None) -> bool:
    """Whether messages include all those from `time` on.

    Only a message from before that second proves that all of that second are listed. Messages
    that are not in order, newest first, prove nothing: one may be missing anywhere.
    """
    if time is None or not messages or messages[-1]["created_time"] >= time:
        return False
    return all(
        newer["created_time"] >= older["created_time"] for newer, older in pairwise(messages)
    )


def parse_history(
    messages: list[Message],
    sender_id: str,
    page: Page,
    answered_at: datetime,
    thread_id: str | None = None,
) -> list[ConversationRow]:
    """The rows of further messages in the thread of a known contact."""
    return dedupe_conversations(_rows(messages, thread_id, {}, sender_id, page, answered_at))


def _rows(
    messages: list[Message],
    thread_id: str | None,
    others: dict[str, Party],
    contact_id: str,
    page: Page,
    answered_at: datetime,
) -> list[ConversationRow]:
    """A conversation for each contact who has messages among these."""
    events: dict[str, list[EventRow]] = {}
    for message in messages:
        owner = owner_of(message, page.own, contact_id)
        events.setdefault(owner, []).append(parse_message(message, page.own, page.source))
    rows: list[ConversationRow] = [
        {
            "sender_id": owner,
            "sender_name": name_of(others[owner]) if owner in others else None,
            "as_of": answered_at,
            "events": found,
        }
        for owner, found in events.items()
    ]
    for row in rows:
        if row["sender_id"] == thread_id:
            row["thread_id"] = thread_id
    return rows


def _plan_changed(
    plan: Plan,
    thread: Thread,
    state: ThreadState | None,
    page: Page,
    answered_at: datetime,
    is_withheld: bool,
) -> None:
    """Add a changed thread to the plan: its messages, its new state and its gap, if one is left."""
    messages = messages_of(thread)
    others = others_in(thread, page.own)
    sender_id = _find_sender(thread, state, others)
    row = _thread_row(thread, state, sender_id, answered_at)
    if sender_id is not None:
        deleted = party_without_id(thread, page.own) if not others else None
        if deleted:
            others = {sender_id: deleted}
        plan.gaps += _find_gap(thread, state, is_withheld)
        plan.conversations += _rows(messages, thread["id"], others, sender_id, page, answered_at)
    plan.threads.append(row)


def _find_sender(thread: Thread, state: ThreadState | None, others: dict[str, Party]) -> str | None:
    """The id of the thread's contact; if the answer has none, the one known before.

    A contact without an id, such as a deleted account, is the thread itself: those of different
    threads are different people. None for a thread that has no messages either.
    """
    if others:
        return min(others)
    if state and state.sender_id is not None:
        return state.sender_id
    return thread["id"] if messages_of(thread) else None


def _thread_row(
    thread: Thread, state: ThreadState | None, sender_id: str | None, answered_at: datetime
) -> ThreadRow:
    messages = messages_of(thread)
    newest_loaded_at = max((message["created_time"] for message in messages), default=None)
    if newest_loaded_at is None and state:
        newest_loaded_at = state.newest_loaded_at
    row: ThreadRow = {
        "thread_id": thread["id"],
        "sender_id": sender_id,
        "updated_time": thread["updated_time"],
        "message_count": thread.get("message_count"),
        "newest_message_id": message_key(messages[0]["id"]) if messages else None,
        "answered_at": answered_at,
        "newest_loaded_at": newest_loaded_at,
        "newest_loaded_message_id": _find_id_at(messages, newest_loaded_at)
        or (state.newest_loaded_message_id if state else None),
    }
    counted = thread.get("message_count")
    if state and state.stored_count is not None and counted and is_short(thread, state):
        row |= {"tried_stored": state.stored_count, "tried_counted": counted}
    return row


def _find_id_at(messages: list[Message], time: datetime | None) -> str | None:
    """The id of the message of that time; of several the greatest id."""
    found = [message["id"] for message in messages if message["created_time"] == time]
    return max((message_key(one) for one in found), default=None)


def _find_gap(thread: Thread, state: ThreadState | None, is_withheld: bool) -> list[GapRow]:
    """The gap below the thread's messages: one, or none if they reach what is loaded."""
    messages, nested = messages_of(thread), thread.get("messages")
    after = next_cursor(nested.get("paging")) if nested else None
    until = state.newest_loaded_at if state and not is_short(thread, state) else None
    if not (after or is_withheld) or reaches(messages, until):
        return []
    gap: GapRow = {
        "thread_id": thread["id"],
        "resume_cursor": after,
        "newest_time": min(
            (message["created_time"] for message in messages), default=thread["updated_time"]
        ),
        "until_time": until,
    }
    if is_withheld:
        gap["reason"] = WITHHELD
    return [gap]
