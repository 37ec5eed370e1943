"""Threads as Meta sends them. Page and number determine a thread; times count from the start of
the process.
"""

import base64
import hashlib
import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

MESSAGES = 25
"""Messages of each thread: as many as one response nests, so no history is left to fetch."""

_NEWEST = datetime.now(UTC).replace(microsecond=0) - timedelta(days=3)
"""Time of the newest thread: old enough that a response is trusted to be complete."""
_TIME = "%Y-%m-%dT%H:%M:%S+0000"
_WORDS = (  # noqa: SIM905 - easier to read as a text
    "hello is this still available thank you so much my order has not arrived yet can I get a"
    " refund sure let me check that for you we open at nine your parcel is on its way what does"
    " shipping cost to the islands I would like two of the blue ones please and one in green"
).split()
_PHRASES = [
    "مرحبا، هل المنتج متوفر؟", "你好，请问有货吗？", "👍", "नमस्ते, कीमत क्या है?", "สินค้ายังมีอยู่ไหมคะ",
    "Guten Tag, wann öffnen Sie?", "¿Cuánto cuesta?", "Magkano po ito? Salamat po 🙏", "ok", "",
    "Сколько стоит доставка?", "ありがとうございます。", "배송은 얼마나 걸리나요?", "a \"b\" \\\n",
]  # fmt: skip
_NAMES = ["Jane Doe", "Maria Santos", "أحمد علي", "王小明", "Jürgen Groß", "Анна Иванова"]


def make_thread(page_id: str, number: int) -> dict[str, Any]:
    """One thread with all its messages, newest first; `messages` is without paging."""
    chance = random.Random(f"{page_id}/{number}")
    updated = at = _NEWEST - timedelta(seconds=37 * number)
    serial = int(page_id) % 100_000 * 10**8 + number
    contact = _party(str(6 * 10**15 + serial), f"{_NAMES[number % len(_NAMES)]} {number}")
    page = _party(page_id, "Acme Store")
    messages = []
    for index in range(MESSAGES):
        sender = page if chance.random() < 0.5 else contact
        messages.append(_message(chance, message_id(f"{serial}/{index}"), sender, at))
        at -= timedelta(seconds=chance.randint(1, 20_000))
    return {
        "id": f"t_{10**15 + serial}",
        "updated_time": updated.strftime(_TIME),
        "participants": {"data": [contact, page]},
        "message_count": MESSAGES,
        "messages": {"data": messages},
    }


def message_id(seed: str) -> str:
    digest = hashlib.sha512(seed.encode()).digest()
    return "m_" + base64.urlsafe_b64encode(digest)[:84].decode()


def make_text(chance: random.Random) -> str:
    """Mostly some words, often a phrase in another script, sometimes a long explanation."""
    kind = chance.random()
    if kind < 0.3:
        return chance.choice(_PHRASES)
    return " ".join(chance.choices(_WORDS, k=chance.randint(3, 30) if kind < 0.95 else 150))


def make_picture_url(chance: random.Random) -> str:
    number = chance.randint(10**14, 10**15)
    signed = f"_nc_cat={number % 111}&ccb=1-7&_nc_sid=fc17b8&_nc_ohc={number:x}&oe=6A0F7644"
    return f"https://scontent.xx.fbcdn.net/v/t1.15752-9/{number}_n.jpg?{signed}"


def as_bytes(value: Any) -> bytes:
    """JSON as Meta writes it: compact, ASCII, with slashes escaped."""
    return json.dumps(value, separators=(",", ":")).replace("/", "\\/").encode()


def _party(identity: str, name: str) -> dict[str, str]:
    return {"name": name, "email": f"{identity}@facebook.com", "id": identity}


def _message(
    chance: random.Random, identity: str, sender: dict[str, str], at: datetime
) -> dict[str, Any]:
    message: dict[str, Any] = {"id": identity, "created_time": at.strftime(_TIME), "from": sender}
    if chance.random() >= 0.05:
        return message | {"message": make_text(chance)}
    image = {"width": 960, "height": 1280, "url": make_picture_url(chance)}
    picture = {"id": identity, "mime_type": "image/jpeg", "size": 54_321, "image_data": image}
    return message | {"message": "", "attachments": {"data": [picture]}}
