"""Signed deliveries as Meta sends them, one message each. Each serial number has its own body."""

import hmac
import random
import time
from typing import Any

from bench.payloads import as_bytes, make_picture_url, make_text, message_id

SECRET = "bench-app-secret"  # noqa: S105 - signs nothing else
PAGES = [f"104100000000{number:03}" for number in range(1, 11)]
PATH = "/api/webhook"
_START_MS = int(time.time() * 1000) - 3_600_000  # each message is a millisecond later


def mid_of(serial: int) -> str:
    return message_id(f"delivery {serial}")


def make_body(serial: int) -> bytes:
    """A text, an attachment or an echo, in one of 2,003 conversations."""
    page, contact = PAGES[serial % len(PAGES)], str(7 * 10**15 + serial % 2003)
    message = {"mid": mid_of(serial)} | _CONTENTS[serial % len(_CONTENTS)]
    sender, recipient = contact, page
    if serial % 10 == 7:
        message |= {"is_echo": True, "app_id": 1517776481860111}
        sender, recipient = page, contact
    at = _START_MS + serial
    parties = {"sender": {"id": sender}, "recipient": {"id": recipient}}
    entry = {"time": at + 250, "id": page}
    entry["messaging"] = [parties | {"timestamp": at, "message": message}]
    return as_bytes({"object": "page", "entry": [entry]})


def make_request(port: int, body: bytes, signed: bytes | None = None) -> bytes:
    """The HTTP/1.1 request of a delivery, with the signature of its body or of other bytes."""
    signature = hmac.digest(SECRET.encode(), body if signed is None else signed, "sha256").hex()
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: facebookexternalua\r\n"
        "Accept: */*\r\nAccept-Encoding: deflate, gzip\r\nContent-Type: application/json\r\n"
        f"X-Hub-Signature-256: sha256={signature}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _content(chance: random.Random) -> dict[str, Any]:
    """Of at most 600 bytes."""
    if chance.random() < 0.1:
        picture = {"type": "image", "payload": {"url": make_picture_url(chance)}}
        return {"attachments": [picture]}
    text = " ".join(make_text(chance) for _ in range(chance.choice((1, 1, 1, 2, 4))))
    return {"text": text} if text and len(as_bytes(text)) < 560 else _content(chance)


_CHANCE = random.Random("contents")
_CONTENTS = [_content(_CHANCE) for _ in range(997)]  # a prime: they meet every page and contact
