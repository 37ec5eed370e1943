"""A seeded world of pages, threads and messages: any size, the same for the same seed.

Only what orders the threads is held; messages are made when they are asked for.
"""

import base64
import bisect
import hashlib
import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

END = datetime(2026, 3, 1, tzinfo=UTC)
"""When the seeded past ends. Fixed, so that a world is the same whenever it is made."""

_PHRASES = (
    "Hello, is this still available?", "Do you ship internationally?", "What are your hours?",
    "Thank you so much!", "My order has not arrived yet 😟", "Can I get a refund?",
    "Sure, let me check that for you.", "Your order is on its way 🚚", "We open at 9:00.",
    "مرحبا، هل المنتج متوفر؟", "شكرا جزيلا", "你好，请问有货吗？", "谢谢！明天可以发货吗？",
    "नमस्ते, कीमत क्या है?", "ขอบคุณค่ะ", "สินค้ายังมีอยู่ไหมคะ", "Guten Tag, wann öffnen Sie?",
    "Können Sie mir die Größe nennen?", "¿Cuánto cuesta el envío?", "Merci beaucoup !",
    "Magkano po ito?", "Salamat po 🙏", "Сколько стоит доставка?", "ありがとうございます。",
    "배송은 얼마나 걸리나요?", "Cảm ơn shop nhiều ạ", "👍", "ok", "\"quoted\" \\ and\nnew line",
)  # fmt: skip
_NAMES = (
    "Jane Doe", "Maria Santos", "أحمد علي", "王小明", "प्रिया शर्मा", "สมชาย ใจดี", "Jürgen Groß",
    "José Núñez", "Анна Иванова", "田中太郎", "김민수", "Nguyễn Văn An", "O'Brien", "Zoë",
)  # fmt: skip
_BUSINESSES = ("Acme Store", "Bäckerei Müller", "Casa Verde", "Delta Travel", "Erde & Co", "花屋")


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
    lengths: list[int] = field(default_factory=list)  # seeded messages of each thread, by number
    ages: list[int] = field(default_factory=list)  # of each thread's newest seeded message
    moved: dict[int, int] = field(default_factory=dict)  # ages of threads with newer ones
    order: list[ThreadKey] = field(default_factory=list)
    injected: dict[int, list[dict[str, Any]]] = field(default_factory=dict)  # oldest first


class World:
    """`pages` pages; the first has `conversations` threads, each further one fewer."""

    def __init__(self, seed: int = 1, pages: int = 3, conversations: int = 300) -> None:
        self.seed = seed
        self.pages: dict[str, SimulatedPage] = {}
        self._injections = itertools.count(1)
        for index in range(pages):
            page = self._make_page(index, max(3, conversations // (1 + 7 * index)))
            self.pages[page.id] = page
        self._history = lru_cache(maxsize=1024)(self._make_history)

    # -- Reading ------------------------------------------------------------------------------

    def thread_id(self, page: SimulatedPage, number: int) -> str:
        return f"t_{10**15 + page.index * 10**9 + number}"

    def find_thread(self, thread_id: str) -> tuple[SimulatedPage, int] | None:
        """The page and number of a thread id."""
        if not thread_id.startswith("t_") or not thread_id[2:].isdigit():
            return None
        index, number = divmod(int(thread_id[2:]) - 10**15, 10**9)
        pages = list(self.pages.values())
        if not 0 <= index < len(pages) or number >= len(pages[index].lengths):
            return None
        return pages[index], number

    def contact(self, page: SimulatedPage, number: int) -> dict[str, str]:
        name = f"{_NAMES[number % len(_NAMES)]} {number}"
        contact_id = str(6_000_000_000_000_000 + page.index * 10**9 + number)
        return {"name": name, "email": f"{contact_id}@facebook.com", "id": contact_id}

    def key(self, page: SimulatedPage, number: int) -> ThreadKey:
        return ThreadKey(page.moved.get(number, page.ages[number]), number)

    def length(self, page: SimulatedPage, number: int) -> int:
        return page.lengths[number] + len(page.injected.get(number, ()))

    def messages(
        self, page: SimulatedPage, number: int, below: int | None, limit: int
    ) -> list[dict[str, Any]]:
        """Up to `limit` messages with an ordinal less than `below`, newest first. The ordinal
        counts from a thread's first message, so what is new moves no cursor."""
        history = self._history(page.id, number)
        newer = page.injected.get(number, [])
        top = min(self.length(page, number) if below is None else below, len(history) + len(newer))
        return [
            history[at] if at < len(history) else newer[at - len(history)]
            for at in range(top - 1, max(-1, top - 1 - limit), -1)
        ]

    def threads(
        self, page: SimulatedPage, after: ThreadKey | None, limit: int
    ) -> tuple[list[ThreadKey], bool]:
        """Up to `limit` threads behind `after` in the list, and whether more follow."""
        start = 0 if after is None else bisect.bisect_right(page.order, after)
        return page.order[start : start + limit], start + limit < len(page.order)

    def truth(self, page: SimulatedPage) -> Iterator[dict[str, Any]]:
        """Every message there is, as a row."""
        for number in range(len(page.lengths)):
            contact = self.contact(page, number)["id"]
            for message in self.messages(page, number, None, self.length(page, number)):
                yield {
                    "page_id": page.id,
                    "sender_id": contact,
                    "message_id": message["id"],
                    "created_time": message["created_time"],
                    "event_type": "message_sent"
                    if message["from"]["id"] == page.id
                    else "message_received",
                    "text": message.get("message"),
                }

    # -- Changing -----------------------------------------------------------------------------

    def inject(
        self,
        page: SimulatedPage,
        number: int | None,
        text: str,
        now: datetime,
        by_page: bool = False,
    ) -> dict[str, Any]:
        """A new message in a thread, or in a new one (`number` None); the thread moves to the
        head of the list."""
        if number is None:
            number = len(page.lengths)
            page.lengths.append(0)
            page.ages.append(0)
        else:
            page.order.remove(self.key(page, number))
        created = now.replace(microsecond=0)
        serial = next(self._injections)
        message = self._message(page, number, f"new:{serial}", created, by_page)
        message["message"] = text
        page.injected.setdefault(number, []).append(message)
        page.moved[number] = int((END - created).total_seconds())
        bisect.insort(page.order, self.key(page, number))
        return {"thread_id": self.thread_id(page, number), **message}

    # -- Making -------------------------------------------------------------------------------

    def _make_page(self, index: int, threads: int) -> SimulatedPage:
        page = SimulatedPage(
            index,
            id=str(100_000_000_000_001 + index),
            name=f"{_BUSINESSES[index % len(_BUSINESSES)]} {index + 1}",
            token="EAAsim" + self._opaque(f"token:{index}", 90),
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

    def _make_history(self, page_id: str, number: int) -> list[dict[str, Any]]:
        """The seeded messages of a thread, oldest first."""
        page = self.pages[page_id]
        chance = random.Random(f"{self.seed}:{page.index}:{number}")
        length = page.lengths[number]
        if not length:
            return []
        age = page.ages[number]
        messages = []
        for ordinal in range(length - 1, -1, -1):
            created = END - timedelta(seconds=age)
            by_page = chance.random() < 0.45
            message = self._message(page, number, str(ordinal), created, by_page)
            self._fill(message, chance)
            messages.append(message)
            # Sometimes two in one second.
            age += 0 if chance.random() < 0.02 else int(chance.expovariate(1 / 7200)) + 1
        messages.reverse()
        return messages

    def _message(
        self, page: SimulatedPage, number: int, serial: str, created: datetime, by_page: bool
    ) -> dict[str, Any]:
        contact = self.contact(page, number)
        us = {"name": page.name, "email": f"{page.id}@facebook.com", "id": page.id}
        sender, receiver = (us, contact) if by_page else (contact, us)
        return {
            "id": "m_" + self._opaque(f"{page.id}:{number}:{serial}", 86),
            "created_time": created.strftime("%Y-%m-%dT%H:%M:%S+0000"),
            "from": sender,
            "to": {"data": [receiver]},
        }

    def _fill(self, message: dict[str, Any], chance: random.Random) -> None:
        kind = chance.random()
        if kind < 0.07:
            size = chance.randrange(10_000, 3_000_000)
            message["message"] = ""
            message["attachments"] = {
                "data": [
                    {
                        "id": str(chance.randrange(10**14, 10**15)),
                        "mime_type": "image/jpeg",
                        "name": f"image-{size}.jpg",
                        "size": size,
                        "image_data": {"width": 1080, "height": 720, "url": "", "preview_url": ""},
                    }
                ]
            }
        elif kind < 0.09:
            message["message"] = ""
            message["sticker"] = "https://scontent.xx.fbcdn.net/v/t39.1997-6/sticker.png?oh=0"
        else:
            words = chance.choice(_PHRASES)
            message["message"] = f"{words} #{chance.randrange(10_000)}" if kind < 0.8 else words * 3

    def _opaque(self, name: str, length: int) -> str:
        digest = hashlib.sha512(f"{self.seed}:{name}".encode()).digest()
        return base64.urlsafe_b64encode(digest * 2).decode()[:length]
