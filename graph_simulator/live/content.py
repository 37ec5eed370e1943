"""The content of a generated message, in the Graph API's shape and in the webhook's."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from graph_simulator.history import PHRASES

Record = dict[str, Any]

_MIME_TYPES = {
    "image": "image/jpeg",
    "video": "video/mp4",
    "audio": "audio/mpeg",
    "file": "application/pdf",
}
_THUMB = 369239263222822  # the id of the most common sticker, the thumb
_CDN = "https://scontent.xx.fbcdn.net/v"


@dataclass(frozen=True)
class Content:
    """A text, and the other fields of the message in the Graph API and in a webhook."""

    text: str = ""
    graph_fields: Record = field(default_factory=dict)
    webhook_fields: Record = field(default_factory=dict)

    def webhook_message(self, mid: str) -> Record:
        """The message of a webhook, which leaves out an empty text."""
        return {"mid": mid, **({"text": self.text} if self.text else {}), **self.webhook_fields}


def generate_text(chance: random.Random) -> str:
    return f"{chance.choice(PHRASES)} #{chance.randrange(10_000)}"


def generate_content(chance: random.Random, *, by_page: bool, replied_to: str | None) -> Content:
    """Mostly a text. Some messages of contacts are quick replies, and some reply to the message
    with the id `replied_to`."""
    kind = chance.random()
    if kind < 0.2:
        return chance.choice(_KINDS)(chance)
    text = generate_text(chance)
    if kind < 0.3 and not by_page:
        return Content(
            text, webhook_fields={"quick_reply": {"payload": f"ANSWER_{chance.randrange(9)}"}}
        )
    if kind < 0.4 and replied_to is not None:
        reply = {"reply_to": {"mid": replied_to}}
        return Content(text, reply, reply)
    return Content(text)


def _generate_files(chance: random.Random) -> Content:
    """One file, or several at once, which the API lists under ids and addresses of its own."""
    files = [_generate_file(chance) for _ in range(chance.choice((1, 1, 1, 2, 3)))]
    return Content(
        graph_fields={"attachments": {"data": [listed for listed, _ in files]}},
        webhook_fields={"attachments": [delivered for _, delivered in files]},
    )


def _generate_file(chance: random.Random) -> tuple[Record, Record]:
    """A file as the API lists it and as a webhook delivers it."""
    kind, mime_type = chance.choice([*_MIME_TYPES.items()])
    size = chance.randrange(10_000, 3_000_000)
    # The kind shows in the API's file name, but not in a webhook's address.
    name = f"{kind}-{size}.{mime_type.partition('/')[2]}"
    attachment: Record = {
        "id": str(chance.randrange(10**14, 10**15)),
        "mime_type": mime_type,
        "name": name,
        "size": size,
    }
    if kind in ("image", "video"):
        sized = {"width": 1080, "height": 720, "url": "", "preview_url": ""}
        attachment[f"{kind}_data"] = sized
    else:
        attachment["file_url"] = ""
    address = f"{_CDN}/{chance.randrange(10**9)}_n?oh={chance.getrandbits(64):x}&oe=6A0F7644"
    return attachment, {"type": kind, "payload": {"url": address}}


def _generate_sticker(chance: random.Random) -> Content:
    address = f"{_CDN}/t39.1997-6/sticker.png?oh={chance.getrandbits(64):x}"
    payload = {"url": address, "sticker_id": _THUMB}
    twins = _choose_twins(chance, "image", "sticker", payload)
    return Content(
        graph_fields={"sticker": address},
        webhook_fields={"sticker_id": _THUMB, "attachments": twins},
    )


def _generate_post(chance: random.Random) -> Content:
    """An Instagram post that a contact shares."""
    number = chance.randrange(10**9)
    address = f"https://lookaside.fbsbx.com/ig_messaging_cdn/?asset_id={number}"
    payload = {"url": f"{address}&signature={chance.getrandbits(64):x}"}
    return Content(
        graph_fields={"shares": {"data": [{"link": payload["url"]}]}},
        webhook_fields={"attachments": _choose_twins(chance, "share", "ig_post", payload)},
    )


def _choose_twins(chance: random.Random, old: str, new: str, payload: Record) -> list[Record]:
    """One attachment under its old type, its new one, or both, as Meta sent it for a while."""
    kinds = chance.choice(([old], [new], [old, new]))
    return [{"type": kind, "payload": payload} for kind in kinds]


def _generate_location(chance: random.Random) -> Content:
    lat, long = round(chance.uniform(-60, 70), 6), round(chance.uniform(-180, 180), 6)
    address = f"https://www.bing.com/maps/default.aspx?where1={lat},{long}"
    payload = {"coordinates": {"lat": lat, "long": long}}
    attachment = {"type": "location", "title": "A place", "url": address, "payload": payload}
    share = {"name": "A place", "link": address}
    return Content(
        graph_fields={"shares": {"data": [share]}}, webhook_fields={"attachments": [attachment]}
    )


def _generate_fallback(chance: random.Random) -> Content:
    address = f"https://www.example.com/articles/{chance.randrange(10_000)}"
    attachment = {"type": "fallback", "title": "An article", "url": address, "payload": None}
    share = {"name": "An article", "link": address}
    return Content(
        f"{chance.choice(PHRASES)} {address}",
        graph_fields={"shares": {"data": [share]}},
        webhook_fields={"attachments": [attachment]},
    )


_KINDS: tuple[Callable[[random.Random], Content], ...] = (
    _generate_files, _generate_files, _generate_files, _generate_files, _generate_sticker,
    _generate_location, _generate_fallback, _generate_post,
)  # fmt: skip
