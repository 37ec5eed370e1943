"""Threads as Meta sends them. Page and number determine a thread; times count from the start of
the process.
"""

import base64
import hashlib
import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

MESSAGES = 25  # of each thread: as many as one response nests, so no history is left to fetch
_OLD = timedelta(days=3)  # old enough that a response is trusted to be complete
_NEWEST = datetime.now(UTC).replace(microsecond=0) - _OLD
_TIME = "%Y-%m-%dT%H:%M:%S+0000"
_WORDS = (  # noqa: SIM905 - easier to read as a text
    "hello is this still available thank you so much my order has not arrived yet can I get a"
    " refund sure let me check that for you what does shipping cost to the islands I would like"
    " two please. Сколько стоит доставка? 你好，请问有货吗？ 👍 ありがとうございます。"
    ' Guten Tag, wann öffnen Sie? ¿Cuánto cuesta? Salamat po 🙏 مرحبا، هل المنتج متوفر؟ "quoted" \\'
).split()


def make_thread(page_id: str, number: int) -> dict[str, Any]:
    """One thread with all its messages, newest first; `messages` is without paging."""
    chance = random.Random(f"{page_id}/{number}")
    updated = at = _NEWEST - timedelta(seconds=37 * number)
    serial = int(page_id) % 100_000 * 10**8 + number
    contact = _party(str(6 * 10**15 + serial), f"Jürgen Groß {number}")
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
    """Mostly a sentence, often a few words or none, sometimes a long explanation."""
    kind = chance.random()
    longest = 4 if kind < 0.3 else 30 if kind < 0.95 else 300
    return " ".join(chance.choices(_WORDS, k=chance.randint(longest // 10, longest)))


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
