"""Threads as Meta sends them, the same for the same page, number and start of the process."""

import base64
import hashlib
import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

MESSAGES = 25
"""Messages of each thread: what one answer nests, so that no history is left to fetch."""
OLD = timedelta(days=3)
"""Age of the newest thread: old enough that its answer is trusted to be whole."""

_BEGAN = datetime.now(UTC).replace(microsecond=0) - OLD
_WORDS = (  # noqa: SIM905 - it is read as a text
    "hello is this still available thank you so much my order has not arrived yet can I get a"
    " refund sure let me check that for you we open at nine your parcel is on its way what does"
    " shipping cost to the islands I would like two of the blue ones please and one in green"
).split()
_PHRASES = (
    "مرحبا، هل المنتج متوفر؟", "شكرا جزيلا", "你好，请问有货吗？", "谢谢！明天可以发货吗？", "👍",
    "नमस्ते, कीमत क्या है?", "สินค้ายังมีอยู่ไหมคะ", "Guten Tag, wann öffnen Sie?", "¿Cuánto cuesta?",
    "Magkano po ito? Salamat po 🙏", "Сколько стоит доставка?", "ありがとうございます。", "ok",
    "배송은 얼마나 걸리나요?", "Cảm ơn shop nhiều ạ", '"quoted" \\ and\nnew line', "yes", "",
)  # fmt: skip
_NAMES = (
    "Jane Doe",
    "Maria Santos",
    "أحمد علي",
    "王小明",
    "Jürgen Groß",
    "Анна Иванова",
    "田中太郎",
)


def make_thread(page_id: str, number: int) -> dict[str, Any]:
    """One thread with all its messages, newest first; `messages` has no paging yet."""
    chance = random.Random(f"{page_id}/{number}")
    updated = _BEGAN - timedelta(seconds=37 * number)
    serial = int(page_id) % 10_000 * 10**8 + number
    contact_id = str(6 * 10**15 + serial)
    name = f"{_NAMES[number % len(_NAMES)]} {number}"
    contact = {"name": name, "email": f"{contact_id}@facebook.com", "id": contact_id}
    page = {"name": "Acme Store", "email": f"{page_id}@facebook.com", "id": page_id}
    messages, at = [], updated
    for index in range(MESSAGES):
        sender = page if chance.random() < 0.5 else contact
        messages.append(_message(chance, f"{serial}/{index}", sender, at))
        at -= timedelta(seconds=chance.randint(1, 20_000))
    return {
        "id": f"t_{10**15 + serial}",
        "updated_time": _written(updated),
        "participants": {"data": [contact, page]},
        "message_count": MESSAGES,
        "messages": {"data": messages},
    }


def _message(
    chance: random.Random, identity: str, sender: dict[str, str], at: datetime
) -> dict[str, Any]:
    digest = hashlib.sha512(identity.encode()).digest()
    message: dict[str, Any] = {
        "id": "m_" + base64.urlsafe_b64encode(digest)[:84].decode(),
        "created_time": _written(at),
        "from": sender,
        "message": make_text(chance),
    }
    if chance.random() < 0.05:
        message["message"] = ""
        message["attachments"] = {"data": [_picture(chance)]}
    return message


def make_text(chance: random.Random) -> str:
    """Mostly some words, often a phrase in another script, now and then a long explanation."""
    kind = chance.random()
    if kind < 0.3:
        return chance.choice(_PHRASES)
    return " ".join(chance.choices(_WORDS, k=chance.randint(3, 30) if kind < 0.95 else 150))


def _picture(chance: random.Random) -> dict[str, Any]:
    number = chance.randint(10**14, 10**15)
    address = f"https://scontent.xx.fbcdn.net/v/t1.15752-9/{number}_n.jpg?oh=03_Q7cD1&oe=6A0F7644"
    return {
        "id": str(number),
        "mime_type": "image/jpeg",
        "name": f"image-{number}",
        "size": chance.randint(10**4, 10**6),
        "image_data": {"width": 960, "height": 1280, "url": address, "preview_url": address},
    }


def _written(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S+0000")


def as_bytes(value: Any) -> bytes:
    """JSON as Meta writes it: compact, ASCII, with slashes escaped."""
    return json.dumps(value, separators=(",", ":")).replace("/", "\\/").encode()
