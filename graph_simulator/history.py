"""The seeded messages of a thread. Generating them twice gives the same messages."""

import base64
import hashlib
import random
from datetime import UTC, datetime, timedelta
from typing import Any

from graph_simulator.page import GoneId, SimulatedPage

END = datetime(2026, 3, 1, tzinfo=UTC)
"""When the seeded history ends. Fixed, so that a seed always gives the same world."""

PHRASES = (
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


def opaque(name: str, length: int) -> str:
    """Up to 90 random-looking characters derived from a name, as in Meta's ids and tokens."""
    digest = hashlib.sha512(name.encode()).digest()
    return base64.urlsafe_b64encode(digest + digest[:5])[:length].decode()


def wire_time(time: datetime) -> str:
    """A UTC time in Meta's format, in whole seconds."""
    return f"{time.isoformat(timespec='seconds')[:19]}+0000"


def exact_time(time: datetime) -> str:
    """A UTC time in Meta's format, with milliseconds."""
    return f"{time.isoformat(timespec='milliseconds')[:23]}+0000"


def updated_time(age: int) -> str:
    """The time `age` seconds before END, in Meta's format."""
    return wire_time(END - timedelta(seconds=age))


def contact_of(page: SimulatedPage, number: int) -> dict[str, Any]:
    number = page.contacts.get(number, number)
    if number in page.gone:
        return _gone_contact(page.gone[number])
    name = f"{_NAMES[number % len(_NAMES)]} {number}"
    contact_id = str(first_contact_id(page) + number)
    if page.is_instagram:
        return {"username": username(contact_id), "id": contact_id}
    return {"name": name, "email": f"{contact_id}@facebook.com", "id": contact_id}


def _gone_contact(kind: GoneId) -> dict[str, Any]:
    """A deleted account: all of them have one name."""
    ids: dict[GoneId, dict[str, Any]] = {
        "none": {}, "empty": {"id": ""}, "zero": {"id": "0"}, "number": {"id": 0}
    }  # fmt: skip
    return {"name": "Facebook User", "email": "@facebook.com", **ids[kind]}


def username(account_id: str) -> str:
    """The username of an Instagram account."""
    return f"user.{account_id}"


def first_contact_id(page: SimulatedPage) -> int:
    """The id of the contact of a page's first thread. Those of the other threads follow it."""
    return 6_000_000_000_000_000 + page.index * 10**9


def page_as_party(page: SimulatedPage) -> dict[str, str]:
    if page.is_instagram:
        return {"username": username(page.id), "id": page.id}
    return {"name": page.name, "email": f"{page.id}@facebook.com", "id": page.id}


class ThreadHistory:
    """The messages between a page and the contact of one of its threads."""

    def __init__(self, seed: int, page: SimulatedPage, number: int) -> None:
        self._seed = seed
        self._page = page
        self._number = number
        self._own = page_as_party(page)
        self._contact = contact_of(page, number)

    def history(self) -> list[dict[str, Any]]:
        """The seeded messages, oldest first. They are generated from the newest to the oldest, so
        that World.lengthen adds older ones and leaves the others unchanged."""
        chance = random.Random(f"{self._seed}:{self._page.index}:{self._number}")
        older, length = self._page.older[self._number], self._page.lengths[self._number]
        same_second = self._number in self._page.same_second
        age = self._page.ages[self._number]
        messages = []
        for ordinal in range(length - older - 1, -older - 1, -1):
            created = END - timedelta(seconds=age)
            by_page = chance.random() < 0.45
            message = self.message(str(ordinal), created, by_page)
            _fill(message, chance)
            messages.append(message)
            # Some messages share a second.
            pause = 0 if chance.random() < 0.02 else int(chance.expovariate(1 / 7200)) + 1
            age += 0 if same_second else pause
        messages.reverse()
        return messages

    def message(self, serial: str, created: datetime, by_page: bool) -> dict[str, Any]:
        """A message without content."""
        sender, receiver = (self._own, self._contact) if by_page else (self._contact, self._own)
        return {
            "id": "m_" + opaque(f"{self._seed}:{self._page.id}:{self._number}:{serial}", 86),
            "created_time": wire_time(created),
            "from": {**sender},
            "to": {"data": [{**receiver}]},
        }


def _fill(message: dict[str, Any], chance: random.Random) -> None:
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
        words = chance.choice(PHRASES)
        message["message"] = f"{words} #{chance.randrange(10_000)}" if kind < 0.8 else words * 3
