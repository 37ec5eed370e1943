"""A seeded world of pages, threads and messages. A seed and a size always give the same world.

Memory holds only the order of the threads. Messages are generated when they are read.
"""

import bisect
import itertools
import random
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

from graph_simulator.faults.malformed import Malformation
from graph_simulator.history import END, ThreadHistory, contact_of, opaque
from graph_simulator.page import GoneId, SimulatedPage, ThreadKey
from graph_simulator.truth import Row, expected_row

__all__ = ["END", "CursorKind", "SimulatedPage", "ThreadKey", "World"]

CursorKind = Literal["position", "offset"]
ListPosition = ThreadKey | int
"""Where a list continues: after a thread's key, or at an index."""

_BUSINESSES = ("Acme Store", "Bäckerei Müller", "Casa Verde", "Delta Travel", "Erde & Co", "花屋")
_CACHED_HISTORIES = 1024


class World:
    """`pages` pages. The first has `conversations` threads, each further one fewer. The first
    `instagram` of them have an Instagram account, an inbox of its own with half as many threads.

    `cursors` is what a cursor of a list of threads encodes. A position continues after a thread, so
    changes elsewhere do not move it. An offset counts threads: when a thread moves to the head, a
    walk sees one thread twice; when one is deleted, a walk skips one.
    """

    def __init__(
        self,
        seed: int = 1,
        pages: int = 3,
        conversations: int = 300,
        cursors: CursorKind = "position",
        instagram: int = 0,
    ) -> None:
        self.seed = seed
        self.cursors = cursors
        self.pages: dict[str, SimulatedPage] = {}
        self.malformations: list[Malformation] = []  # the permanent ones
        self._injections = itertools.count(1)
        self._histories: dict[tuple[str, int], list[dict[str, Any]]] = {}
        for index in range(pages):
            page = self._generate_page(index, max(3, conversations // (1 + 7 * index)))
            self.pages[page.id] = page
        for number, page in enumerate([*self.pages.values()][:instagram]):
            account = self._generate_page(pages + number, max(3, len(page.lengths) // 2))
            account.graph_id, account.token = page.id, page.token
            account.id = str(17_840_000_000_000_001 + number)
            account.second_id = str(27_770_000_000_000_001 + number)
            self.pages[account.id] = account
        self._by_index = list(self.pages.values())

    # -- Reading ------------------------------------------------------------------------------

    def thread_id(self, page: SimulatedPage, number: int) -> str:
        return f"t_{10**15 + page.index * 10**9 + number}"

    def inbox(self, page: SimulatedPage, platform: str) -> SimulatedPage | None:
        """The inbox of a page on a platform."""
        if platform != "instagram":
            return page
        accounts = self.pages.values()
        return next((one for one in accounts if one.graph_id == page.id), None)

    def find_thread(self, thread_id: str) -> tuple[SimulatedPage, int] | None:
        """The page and number of a thread id."""
        if not thread_id.startswith("t_") or not thread_id[2:].isdecimal():
            return None
        index, number = divmod(int(thread_id[2:]) - 10**15, 10**9)
        if not 0 <= index < len(self._by_index) or not self._by_index[index].has(number):
            return None
        return self._by_index[index], number

    def contact(self, page: SimulatedPage, number: int) -> dict[str, Any]:
        return contact_of(page, number)

    def contact_id(self, page: SimulatedPage, number: int) -> str:
        """The id of a thread's contact as a correct sync stores it: without an id, the thread's."""
        if page.is_gone(number):
            return self.thread_id(page, number)
        return str(self.contact(page, number)["id"])

    def length(self, page: SimulatedPage, number: int) -> int:
        return page.length(number)

    def messages(
        self, page: SimulatedPage, number: int, below: int | None, limit: int
    ) -> list[dict[str, Any]]:
        """Up to `limit` messages with an ordinal less than `below`, newest first. Ordinals count
        from a thread's first message, so that new messages move no cursor."""
        history = self._history(page, number)
        newer = page.injected.get(number, [])
        total = len(history) + len(newer)
        top = total if below is None else min(below, total)
        return [
            history[at] if at < len(history) else newer[at - len(history)]
            for at in range(top - 1, max(-1, top - 1 - limit), -1)
        ]

    def threads(
        self, page: SimulatedPage, after: ListPosition | None, limit: int
    ) -> tuple[list[ThreadKey], bool]:
        """Up to `limit` threads after a position in the list, and whether more follow."""
        start = self.depth(page, after)
        return page.order[start : start + limit], start + limit < len(page.order)

    def depth(self, page: SimulatedPage, position: ListPosition | None) -> int:
        """The number of threads before a position in the list."""
        if isinstance(position, int):
            return position
        return 0 if position is None else bisect.bisect_right(page.order, position)

    def truth(
        self,
        page: SimulatedPage,
        *,
        newest: int | None = None,
        deleted: bool = False,
        unusable: bool = False,
    ) -> Iterator[Row]:
        """Yield the row of each message that a sync must store.

        With `newest`, yield only this many listed messages of each thread. With `deleted`, yield
        the messages of deleted threads instead, with `unusable` those whose malformed records
        cannot be stored. Unsent messages are included, without their text.
        """
        for number in range(len(page.lengths)):
            if (number in page.deleted) is not deleted:
                continue
            malformed = [one for one in self.malformations if one.concerns(page, number)]
            contact = self.contact_id(page, number)
            length = page.length(number)
            found = self.messages(page, number, None, length if newest is None else newest)
            if newest is None:
                found += page.unsent.get(number, [])
            for ordinal, message in zip(itertools.count(length - 1, -1), found, strict=False):
                row, usable = expected_row(page, contact, message, ordinal, malformed)
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
        extra: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Add a message to a thread, or to a new thread if `number` is None, and move the thread to
        the head of the list. `extra` has the message's fields apart from its text. Returns the
        message with its thread's id."""
        if number is None:
            number = len(page.lengths)
            page.lengths.append(0)
            page.ages.append(0)
        created = now.replace(microsecond=0)
        # The time makes ids differ between two simulators of the same seed.
        serial = f"new:{next(self._injections)}:{now.isoformat()}"
        message = ThreadHistory(self.seed, page, number).message(serial, created, by_page)
        message |= {"message": text, **(extra or {})}
        page.unlist_thread(number)
        page.injected.setdefault(number, []).append(message)
        page.moved[number] = int((END - created).total_seconds())
        for ages in (page.list_ages, page.future_ages):
            ages.pop(number, None)
        for unlisted in (page.hidden, page.deleted):
            unlisted.discard(number)
        page.list_thread(number)
        return {"thread_id": self.thread_id(page, number), **message}

    def edit(self, page: SimulatedPage, number: int, message_id: str, text: str) -> None:
        """Replace the text of an injected message."""
        _find(page.injected[number], message_id)["message"] = text

    def unsend(self, page: SimulatedPage, number: int, message_id: str) -> None:
        """Unsend an injected message, so that its thread no longer lists it. Cursors above it
        return one message again."""
        message = _find(page.injected[number], message_id)
        page.injected[number].remove(message)
        page.unsent.setdefault(number, []).append({**message, "message": None})

    def delete(self, page: SimulatedPage, number: int) -> None:
        """Delete a thread: the list leaves it out, and its own calls do not find it."""
        page.unlist_thread(number)
        page.deleted.add(number)

    def restore(self, page: SimulatedPage, number: int) -> None:
        """Restore a deleted thread at its former position."""
        if number in page.deleted:
            page.deleted.remove(number)
            page.list_thread(number)

    def lengthen(self, page: SimulatedPage, number: int, messages: int) -> None:
        """Add older messages to a thread until it has `messages`. The others stay unchanged, but
        cursors issued before point elsewhere."""
        added = max(0, messages - page.length(number))
        page.older[number] += added
        page.lengths[number] += added
        self._histories.pop((page.id, number), None)

    def share_contact(self, page: SimulatedPage, number: int, other: int) -> None:
        """Give a thread, and its messages, the contact of another thread."""
        before = self.contact(page, number)["id"]
        page.contacts[number] = page.contacts.get(other, other)
        contact = self.contact(page, number)
        for message in page.injected.get(number, []):
            parties = [message["from"], *message["to"]["data"]]
            for party in parties:
                party.update(contact if party["id"] == before else {})
        self._histories.pop((page.id, number), None)

    def delete_account(self, page: SimulatedPage, number: int, kind: GoneId) -> None:
        """Delete the account of a thread's contact: the thread and its messages stay."""
        before = self.contact(page, number)
        page.gone[page.contacts.get(number, number)] = kind
        after = self.contact(page, number)
        for messages in (page.injected, page.unsent):
            for message in messages.get(number, []):
                for party in [message["from"], *message["to"]["data"]]:
                    if party == before:
                        party.clear()
                        party.update(after)
        self._histories.clear()

    def put_in_one_second(self, page: SimulatedPage, number: int) -> None:
        """Give all seeded messages of a thread the same time."""
        page.same_second.add(number)
        self._histories.pop((page.id, number), None)

    def restore_order(self) -> None:
        """Undo what hides threads, lists them out of order or changes their times. Deletions, new
        messages and longer histories stay."""
        for page in self.pages.values():
            page.restore_order()
            for number in page.same_second:
                self._histories.pop((page.id, number), None)
            page.same_second.clear()

    # -- Generating ---------------------------------------------------------------------------

    def _history(self, page: SimulatedPage, number: int) -> list[dict[str, Any]]:
        """The seeded messages of a thread, oldest first, from a cache of the last ones read."""
        key = (page.id, number)
        found = self._histories.pop(key, None)
        if found is None:
            found = ThreadHistory(self.seed, page, number).history()
            if len(self._histories) >= _CACHED_HISTORIES:
                self._histories.pop(next(iter(self._histories)))
        self._histories[key] = found
        return found

    def _generate_page(self, index: int, threads: int) -> SimulatedPage:
        page = SimulatedPage(
            index,
            id=str(100_000_000_000_001 + index),
            name=f"{_BUSINESSES[index % len(_BUSINESSES)]} {index + 1}",
            token="EAAsim" + opaque(f"{self.seed}:token:{index}", 90),
        )
        chance = random.Random(f"{self.seed}:{index}")
        # As skewed as real pages: half of the threads have under ten messages, some have hundreds.
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
