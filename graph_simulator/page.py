"""A simulated page: its threads, and the order in which they are listed."""

import bisect
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

FIELDS = (
    "messages", "message_echoes", "message_edits", "message_reactions", "message_deliveries",
    "message_reads", "messaging_postbacks", "messaging_referrals", "messaging_optins", "standby",
)  # fmt: skip
"""What a page's webhooks can tell of."""


@dataclass(frozen=True, order=True)
class ThreadKey:
    """Where a thread stands in its page's list: newest first, then by number."""

    age: int  # seconds before END, negative after it
    number: int


@dataclass
class SimulatedPage:
    """A page, its token, and its threads in the order of its list."""

    index: int
    id: str
    name: str
    token: str
    access: str = "valid"
    # Of the token, in seconds since 1970; 0: never.
    expires_at: int = 0
    data_access_expires_at: int = 0
    # The fields of which the app gets webhooks; None: it is not subscribed.
    subscribed_fields: list[str] | None = field(default_factory=lambda: [*FIELDS])
    lengths: list[int] = field(default_factory=list)  # seeded messages of each thread, by number
    ages: list[int] = field(default_factory=list)  # of each thread's newest seeded message
    moved: dict[int, int] = field(default_factory=dict)  # ages of threads with newer ones
    order: list[ThreadKey] = field(default_factory=list)
    injected: dict[int, list[dict[str, Any]]] = field(default_factory=dict)  # oldest first
    older: Counter[int] = field(default_factory=Counter)  # how many messages World.lengthen added
    contacts: dict[int, int] = field(default_factory=dict)  # whose contact a thread has, if not its
    deleted: set[int] = field(default_factory=set)
    # Of live traffic: when each message was written, to the millisecond; the messages taken back,
    # by thread, without their texts; and what webhooks alone tell, as rows.
    exact: dict[str, datetime] = field(default_factory=dict)
    unsent: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    # What makes a list odd, until order_again:
    hidden: set[int] = field(default_factory=set)
    stands: dict[int, int] = field(default_factory=dict)  # ages threads are listed by, if others
    postponed: dict[int, int] = field(default_factory=dict)  # ages told, of threads of the future
    simultaneous: set[int] = field(default_factory=set)  # threads all of one second
    # How often the cursors of "list" and "messages" expired.
    expiries: Counter[str] = field(default_factory=Counter)

    def age(self, number: int) -> int:
        """Seconds from a thread's updated_time to END."""
        seeded = self.moved.get(number, self.ages[number])
        return self.postponed.get(number, seeded)

    def key(self, number: int) -> ThreadKey:
        return ThreadKey(self.stands.get(number, self.age(number)), number)

    def length(self, number: int) -> int:
        return self.lengths[number] + len(self.injected.get(number, ()))

    def has(self, number: int) -> bool:
        """Whether there is such a thread, and it is not deleted."""
        return 0 <= number < len(self.lengths) and number not in self.deleted

    def last(self) -> int:
        """The thread at the end of the list; 0 if nothing is listed."""
        return self.order[-1].number if self.order else 0

    def place(self, number: int) -> None:
        """List a thread where it belongs, unless it is hidden or deleted."""
        if number not in self.hidden and number not in self.deleted:
            bisect.insort(self.order, self.key(number))

    def unplace(self, number: int) -> None:
        """List a thread no more."""
        key = self.key(number)
        at = bisect.bisect_left(self.order, key)
        if self.order[at : at + 1] == [key]:
            self.order.pop(at)

    def hide(self, number: int) -> None:
        """List a thread no more, as one of the request folder; a new message brings it back."""
        self.unplace(number)
        self.hidden.add(number)

    def disorder(self) -> None:
        """Let each two neighbours of the list change places, whatever their times."""
        for one, other in zip(self.order[::2], self.order[1::2], strict=False):
            self.stands[one.number], self.stands[other.number] = other.age, one.age
        self.order = sorted(self.key(key.number) for key in self.order)

    def postpone(self, number: int, age: int) -> None:
        """Tell this age of a thread, until it gets a new message."""
        self.unplace(number)
        self.stands.pop(number, None)
        self.postponed[number] = age
        self.place(number)

    def order_again(self) -> None:
        """End what hide, disorder and postpone did."""
        listed = {key.number for key in self.order} | (self.hidden - self.deleted)
        for odd in (self.hidden, self.stands, self.postponed):
            odd.clear()
        self.order = sorted(self.key(number) for number in listed)
