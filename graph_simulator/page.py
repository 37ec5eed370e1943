"""A simulated page: its threads, and the order in which its list returns them."""

import bisect
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

WEBHOOK_FIELDS = (
    "messages", "message_echoes", "message_edits", "message_reactions", "message_deliveries",
    "message_reads", "messaging_postbacks", "messaging_referrals", "messaging_optins", "standby",
)  # fmt: skip
"""The fields that an app can subscribe to."""


GoneId = Literal["none", "empty", "zero", "number"]
"""The id that a deleted account has: no id, an empty text, "0", or the number 0."""


@dataclass(frozen=True, order=True)
class ThreadKey:
    """A thread's position in its page's list: newest first, then by number."""

    age: int  # seconds before END, negative after it
    number: int


@dataclass
class SimulatedPage:
    """A page, its token, and its threads in list order."""

    index: int
    id: str
    name: str
    token: str
    access: str = "valid"
    # When the token and its data access expire, in seconds since 1970; 0: never.
    expires_at: int = 0
    data_access_expires_at: int = 0
    # The webhook fields that the app is subscribed to; None: not subscribed.
    subscribed_fields: list[str] | None = field(default_factory=lambda: [*WEBHOOK_FIELDS])
    # An Instagram account: the Facebook page whose token reads it, and a second id of its own that
    # some webhooks name.
    graph_id: str | None = None
    second_id: str | None = None
    lengths: list[int] = field(default_factory=list)  # seeded messages of each thread, by number
    ages: list[int] = field(default_factory=list)  # age of each thread's newest seeded message
    moved: dict[int, int] = field(default_factory=dict)  # ages of threads with newer messages
    order: list[ThreadKey] = field(default_factory=list)
    injected: dict[int, list[dict[str, Any]]] = field(default_factory=dict)  # oldest first
    older: Counter[int] = field(default_factory=Counter)  # messages that World.lengthen added
    contacts: dict[int, int] = field(default_factory=dict)  # threads with another thread's contact
    gone: dict[int, GoneId] = field(default_factory=dict)  # contacts whose accounts are deleted
    deleted: set[int] = field(default_factory=set)
    # Live traffic: the time of each message in milliseconds by message id, unsent messages without
    # their text by thread, and the events that only webhooks report, as rows.
    live_times: dict[str, datetime] = field(default_factory=dict)
    unsent: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    live_events: list[dict[str, Any]] = field(default_factory=list)
    # Changes to the list that `restore_order` undoes:
    hidden: set[int] = field(default_factory=set)
    list_ages: dict[int, int] = field(default_factory=dict)  # ages that only the order uses
    future_ages: dict[int, int] = field(default_factory=dict)  # ages of threads in the future
    same_second: set[int] = field(default_factory=set)  # threads whose messages share one second
    # How often the cursors of "list" and "messages" have expired.
    expiries: Counter[str] = field(default_factory=Counter)

    def is_gone(self, number: int) -> bool:
        """Whether the contact of a thread has deleted the account."""
        return self.contacts.get(number, number) in self.gone

    @property
    def is_instagram(self) -> bool:
        return self.graph_id is not None

    def age(self, number: int) -> int:
        """Seconds from a thread's updated_time to END."""
        seeded = self.moved.get(number, self.ages[number])
        return self.future_ages.get(number, seeded)

    def key(self, number: int) -> ThreadKey:
        return ThreadKey(self.list_ages.get(number, self.age(number)), number)

    def length(self, number: int) -> int:
        return self.lengths[number] + len(self.injected.get(number, ()))

    def has(self, number: int) -> bool:
        """Whether the thread exists and is not deleted."""
        return 0 <= number < len(self.lengths) and number not in self.deleted

    def last(self) -> int:
        """The last thread of the list; 0 if the list is empty."""
        return self.order[-1].number if self.order else 0

    def list_thread(self, number: int) -> None:
        """Add a thread to the list at its position, unless it is hidden or deleted."""
        if number not in self.hidden and number not in self.deleted:
            bisect.insort(self.order, self.key(number))

    def unlist_thread(self, number: int) -> None:
        """Remove a thread from the list, if it is there."""
        key = self.key(number)
        at = bisect.bisect_left(self.order, key)
        if self.order[at : at + 1] == [key]:
            self.order.pop(at)

    def hide(self, number: int) -> None:
        """Leave a thread out of the list, like an idle one of the request folder. A new message
        lists it again."""
        self.unlist_thread(number)
        self.hidden.add(number)

    def swap_neighbours(self) -> None:
        """Swap each pair of neighbours in the list; their times stay."""
        for one, other in zip(self.order[::2], self.order[1::2], strict=False):
            self.list_ages[one.number], self.list_ages[other.number] = other.age, one.age
        self.order = sorted(self.key(key.number) for key in self.order)

    def move_to_future(self, number: int, age: int) -> None:
        """Report this age for a thread until it gets a new message."""
        self.unlist_thread(number)
        self.list_ages.pop(number, None)
        self.future_ages[number] = age
        self.list_thread(number)

    def restore_order(self) -> None:
        """Undo hide, swap_neighbours and move_to_future."""
        listed = {key.number for key in self.order} | (self.hidden - self.deleted)
        for change in (self.hidden, self.list_ages, self.future_ages):
            change.clear()
        self.order = sorted(self.key(number) for number in listed)
