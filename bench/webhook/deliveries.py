"""Signed deliveries as Meta sends them, one message each. A serial number makes one, and no
other has its bytes.
"""

import base64
import hashlib
import hmac
import json
import random
import time

from bench.payloads import make_text

SECRET = "bench-app-secret"  # noqa: S105 - of no use
PAGES = [f"104100000000{number:03}" for number in range(1, 11)]
PATH = "/api/webhook"

_CONTACTS = 2003
_LONGEST = 600
_BEGAN = int(time.time() * 1000) - 3_600_000
"""Time of the first message: an hour is enough for a millisecond each."""
_HEAD = (
    "POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: facebookexternalua\r\n"
    "Accept: */*\r\nAccept-Encoding: deflate, gzip\r\nContent-Type: application/json\r\n"
    "X-Hub-Signature-256: {signature}\r\nContent-Length: {length}\r\n\r\n"
)
_ENVELOPE = (
    '{{"object":"page","entry":[{{"time":{sent},"id":"{page}","messaging":[{{"sender":'
    '{{"id":"{sender}"}},"recipient":{{"id":"{recipient}"}},"timestamp":{time},"message":'
    '{{"mid":"{mid}",{content}}}}}]}}]}}'
)


def message_id(serial: int) -> str:
    digest = hashlib.sha512(b"delivery %d" % serial).digest()
    return "m_" + base64.urlsafe_b64encode(digest)[:84].decode()


def make_body(serial: int) -> bytes:
    """A text, an attachment or an echo, in a conversation that has others."""
    page = PAGES[serial % len(PAGES)]
    contact = str(7 * 10**15 + serial % _CONTACTS)
    echo = serial % 10 == 7
    sender, recipient = (page, contact) if echo else (contact, page)
    content = _CONTENTS[serial % len(_CONTENTS)]
    return _ENVELOPE.format(
        sent=_BEGAN + serial + 250,
        page=page,
        sender=sender,
        recipient=recipient,
        time=_BEGAN + serial,
        mid=message_id(serial),
        content='"is_echo":true,"app_id":1517776481860111,' + content if echo else content,
    ).encode()


def sign(body: bytes) -> str:
    return "sha256=" + hmac.digest(SECRET.encode(), body, "sha256").hex()


def make_request(port: int, body: bytes) -> bytes:
    """The delivery's HTTP/1.1 request, whole."""
    head = _HEAD.format(path=PATH, port=port, signature=sign(body), length=len(body))
    return head.encode() + body


def _contents() -> list[str]:
    chance = random.Random("contents")
    found: list[str] = []
    while len(found) < 997:  # a prime: goes together with every page and contact
        content = _attachment(chance) if chance.random() < 0.1 else _text(chance)
        written = json.dumps(content, separators=(",", ":")).replace("/", "\\/")[1:-1]
        if content.get("text") != "" and len(written) <= _LONGEST:
            found.append(written)
    return found


def _text(chance: random.Random) -> dict[str, object]:
    return {"text": " ".join(make_text(chance) for _ in range(chance.choice((1, 1, 1, 2, 4))))}


def _attachment(chance: random.Random) -> dict[str, object]:
    number = chance.randint(10**14, 10**15)
    signed = f"_nc_cat={number % 111}&ccb=1-7&_nc_sid=fc17b8&_nc_ohc={number:x}&oe=6A0F7644"
    url = f"https://scontent.xx.fbcdn.net/v/t1.15752-9/{number}_{number}_n.jpg?{signed}"
    return {"attachments": [{"type": "image", "payload": {"url": url}}]}


_CONTENTS = _contents()
