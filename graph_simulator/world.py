"""A seeded world of pages, threads and messages: any size, the same for the same seed.

Only what orders the threads is held; messages are made when they are asked for.
"""

import bisect
import itertools
import random
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

from graph_simulator.history import END, Letters, contact_of, opaque
from graph_simulator.malformed import Oddity
from graph_simulator.page import SimulatedPage, ThreadKey
from graph_simulator.truth import Row, row_of

__all__ = ["END", "CursorKind", "SimulatedPage", "ThreadKey", "World"]

CursorKind = Literal["position", "offset"]
Place = ThreadKey | int
"""Where a list goes on: behind a thread's place in the order, or at an index."""

_BUSINESSES = ("Acme Store", "Bäckerei Müller", "Casa Verde", "Delta Travel", "Erde & Co", "花屋")
_HISTORIES_KEPT = 1024


class World:
    """`pages` pages; the first has `conversations` threads, each further one fewer.

    `cursors` says what a cursor of a list of threads is. A position stands behind a thread: what
    changes elsewhere moves nothing. An offset counts threads: one that comes to the head makes
    the walk see a thread twice, one that is deleted makes it pass one by.
    """

    def __init__(
        self,
        seed: int = 1,
        pages: int = 3,
        conversations: int = 300,
        cursors: CursorKind = "position",
    ) -> None:
        self.seed = seed
        self.cursors = cursors
        self.pages: dict[str, SimulatedPage] = {}
        self.oddities: list[Oddity] = []  # records that are odd for good
        self._injections = itertools.count(1)
        self._histories: dict[tuple[str, int], list[dict[str, Any]]] = {}
        for index in range(pages):
            page = self._make_page(index, max(3, conversations // (1 + 7 * index)))
            self.pages[page.id] = page
        self._by_index = list(self.pages.values())

    # -- Reading ------------------------------------------------------------------------------

    def thread_id(self, page: SimulatedPage, number: int) -> str:
        return f"t_{10**15 + page.index * 10**9 + number}"

    def find_thread(self, thread_id: str) -> tuple[SimulatedPage, int] | None:
        """The page and number of a thread id."""
        if not thread_id.startswith("t_") or not thread_id[2:].isdecimal():
            return None
        index, number = divmod(int(thread_id[2:]) - 10**15, 10**9)
        if not 0 <= index < len(self._by_index) or not self._by_index[index].has(number):
            return None
        return self._by_index[index], number

    def contact(self, page: SimulatedPage, number: int) -> dict[str, str]:
        return contact_of(page, number)

    def key(self, page: SimulatedPage, number: int) -> ThreadKey:
        return page.key(number)

    def length(self, page: SimulatedPage, number: int) -> int:
        return page.length(number)

    def messages(
        self, page: SimulatedPage, number: int, below: int | None, limit: int
    ) -> list[dict[str, Any]]:
        """Up to `limit` messages with an ordinal less than `below`, newest first. The ordinal
        counts from a thread's first message, so what is new moves no cursor."""
        history = self._history(page, number)
        newer = page.injected.get(number, [])
        whole = len(history) + len(newer)
        top = whole if below is None else min(below, whole)
        return [
            history[at] if at < len(history) else newer[at - len(history)]
            for at in range(top - 1, max(-1, top - 1 - limit), -1)
        ]

    def threads(
        self, page: SimulatedPage, after: Place | None, limit: int
    ) -> tuple[list[ThreadKey], bool]:
        """Up to `limit` threads behind `after` in the list, and whether more follow."""
        start = self.depth(page, after)
        return page.order[start : start + limit], start + limit < len(page.order)

    def depth(self, page: SimulatedPage, place: Place | None) -> int:
        """How many threads stand before a place in the list."""
        if isinstance(place, int):
            return place
        return 0 if place is None else bisect.bisect_right(page.order, place)

    def truth(
        self,
        page: SimulatedPage,
        *,
        newest: int | None = None,
        deleted: bool = False,
        unusable: bool = False,
    ) -> Iterator[Row]:
        """Every message that can be stored, as a row, or the `newest` listed of each thread; or
        those of deleted threads; or those that cannot be stored because of how odd their records
        are. A message that was taken back is of the truth, without its text."""
        for number in range(len(page.lengths)):
            if (number in page.deleted) is not deleted:
                continue
            odd = [one for one in self.oddities if one.concerns(page, number)]
            contact = self.contact(page, number)["id"]
            length = page.length(number)
            found = self.messages(page, number, None, length if newest is None else newest)
            if newest is None:
                found += page.unsent.get(number, [])
            for ordinal, message in zip(itertools.count(length - 1, -1), found, strict=False):
                row, usable = row_of(page, contact, message, ordinal, odd)
                if usable is not unusable:
                    yield row

    # -- Changing -----------------------------------------------------------------------------

    def inject(
        self,
        page: SimulatedPage,
        number: int | None,
        text: str,
        now: datetime,
        by_page: bool = False,
        beside: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """A new message in a thread, or in a new one (`number` None), with what it has `beside`
        its text; the thread moves to the head of the list."""
        if number is None:
            number = len(page.lengths)
            page.lengths.append(0)
            page.ages.append(0)
        created = now.replace(microsecond=0)
        # With the time: another simulator of the same seed makes up other messages.
        serial = f"new:{next(self._injections)}:{now.isoformat()}"
        message = Letters(self.seed, page, number).message(serial, created, by_page)
        message |= {"message": text, **(beside or {})}
        page.unplace(number)
        page.injected.setdefault(number, []).append(message)
        page.moved[number] = int((END - created).total_seconds())
        for odd in (page.stands, page.postponed):
            odd.pop(number, None)
        for absent in (page.hidden, page.deleted):
            absent.discard(number)
        page.place(number)
        return {"thread_id": self.thread_id(page, number), **message}

    def edit(self, page: SimulatedPage, number: int, message_id: str, text: str) -> None:
        """Give a message that is not of the seeded past another text."""
        _find(page.injected[number], message_id)["message"] = text

    def unsend(self, page: SimulatedPage, number: int, message_id: str) -> None:
        """Take a message back that is not of the seeded past: it is listed no more. Cursors
        that stand above it show one message again."""
        message = _find(page.injected[number], message_id)
        page.injected[number].remove(message)
        page.unsent.setdefault(number, []).append({**message, "message": None})

    def delete(self, page: SimulatedPage, number: int) -> None:
        """Delete a thread: it is listed no more, and calls of its own find nothing."""
        page.unplace(number)
        page.deleted.add(number)

    def restore(self, page: SimulatedPage, number: int) -> None:
        """Have a deleted thread again, where it was."""
        if number in page.deleted:
            page.deleted.remove(number)
            page.place(number)

    def lengthen(self, page: SimulatedPage, number: int, messages: int) -> None:
        """Give a thread older messages, so that it has so many. The others stay as they are, but
        cursors handed out before stand elsewhere."""
        added = max(0, messages - page.length(number))
        page.older[number] += added
        page.lengths[number] += added
        self._histories.pop((page.id, number), None)

    def share_contact(self, page: SimulatedPage, number: int, other: int) -> None:
        """Let a thread have the contact of another: theirs are both threads' messages."""
        before = self.contact(page, number)["id"]
        page.contacts[number] = page.contacts.get(other, other)
        contact = self.contact(page, number)
        for message in page.injected.get(number, []):
            parties = [message["from"], *message["to"]["data"]]
            for party in parties:
                party.update(contact if party["id"] == before else {})
        self._histories.pop((page.id, number), None)

    def level(self, page: SimulatedPage, number: int) -> None:
        """Let all seeded messages of a thread be of one second."""
        page.simultaneous.add(number)
        self._histories.pop((page.id, number), None)

    def order_again(self) -> None:
        """End what hides threads, lists them out of order or changes times. What was deleted,
        written or lengthened stays so."""
        for page in self.pages.values():
            page.order_again()
            for number in page.simultaneous:
                self._histories.pop((page.id, number), None)
            page.simultaneous.clear()

    # -- Making -------------------------------------------------------------------------------

    def _history(self, page: SimulatedPage, number: int) -> list[dict[str, Any]]:
        """The seeded messages of a thread, oldest first; those read last are kept."""
        key = (page.id, number)
        found = self._histories.pop(key, None)
        if found is None:
            found = Letters(self.seed, page, number).history()
            if len(self._histories) >= _HISTORIES_KEPT:
                self._histories.pop(next(iter(self._histories)))
        self._histories[key] = found
        return found

    def _make_page(self, index: int, threads: int) -> SimulatedPage:
        page = SimulatedPage(
            index,
            id=str(100_000_000_000_001 + index),
            name=f"{_BUSINESSES[index % len(_BUSINESSES)]} {index + 1}",
            token="EAAsim" + opaque(f"{self.seed}:token:{index}", 90),
        )
        chance = random.Random(f"{self.seed}:{index}")
        # Skewed as real ones: half of the threads have under ten messages, some have hundreds.
        page.lengths = [
            max(1, min(2_000, round(chance.lognormvariate(2.2, 1.1)))) for _ in range(threads)
        ]
        page.ages = [
            60 + int(chance.expovariate(1 / timedelta(days=120).total_seconds()))
            for _ in range(threads)
        ]
        page.order = sorted(ThreadKey(age, number) for number, age in enumerate(page.ages))
        return page


def _find(messages: list[dict[str, Any]], message_id: str) -> dict[str, Any]:
    return next(message for message in reversed(messages) if message["id"] == message_id)
