"""What a new message says, as the Graph API has it and as a webhook tells it."""

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
_THUMB = 369239263222822  # the id of the sticker that is sent most
_CDN = "https://scontent.xx.fbcdn.net/v"


@dataclass(frozen=True)
class Content:
    """A text, and what is beside it: in the Graph API's message, and in a webhook's. A webhook
    leaves out a text that is empty."""

    text: str = ""
    listed: Record = field(default_factory=dict)
    told: Record = field(default_factory=dict)

    def as_told(self, mid: str) -> Record:
        """The message of a webhook."""
        return {"mid": mid, **({"text": self.text} if self.text else {}), **self.told}


def make_text(chance: random.Random) -> str:
    return f"{chance.choice(PHRASES)} #{chance.randrange(10_000)}"


def make_content(chance: random.Random, *, by_page: bool, answered: str | None) -> Content:
    """Mostly a text; by contacts some are quick replies. `answered` is the id of a message that
    some reply to."""
    kind = chance.random()
    if kind < 0.2:
        return chance.choice(_KINDS)(chance)
    text = make_text(chance)
    if kind < 0.3 and not by_page:
        return Content(text, told={"quick_reply": {"payload": f"ANSWER_{chance.randrange(9)}"}})
    if kind < 0.4 and answered is not None:
        return Content(text, {"reply_to": {"mid": answered}}, {"reply_to": {"mid": answered}})
    return Content(text)


def _make_file(chance: random.Random) -> Content:
    kind, mime_type = chance.choice([*_MIME_TYPES.items()])
    size = chance.randrange(10_000, 3_000_000)
    # The API's name tells what it is, a webhook's address does not.
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
    return Content(
        listed={"attachments": {"data": [attachment]}},
        told={"attachments": [{"type": kind, "payload": {"url": address}}]},
    )


def _make_sticker(chance: random.Random) -> Content:
    address = f"{_CDN}/t39.1997-6/sticker.png?oh={chance.getrandbits(64):x}"
    payload = {"url": address, "sticker_id": _THUMB}
    kind = chance.choice(["image", "sticker"])  # it is told as either
    return Content(
        listed={"sticker": address},
        told={"sticker_id": _THUMB, "attachments": [{"type": kind, "payload": payload}]},
    )


def _make_location(chance: random.Random) -> Content:
    lat, long = round(chance.uniform(-60, 70), 6), round(chance.uniform(-180, 180), 6)
    address = f"https://www.bing.com/maps/default.aspx?where1={lat},{long}"
    payload = {"coordinates": {"lat": lat, "long": long}}
    attachment = {"type": "location", "title": "A place", "url": address, "payload": payload}
    share = {"name": "A place", "link": address}
    return Content(listed={"shares": {"data": [share]}}, told={"attachments": [attachment]})


def _make_fallback(chance: random.Random) -> Content:
    address = f"https://www.example.com/articles/{chance.randrange(10_000)}"
    attachment = {"type": "fallback", "title": "An article", "url": address, "payload": None}
    share = {"name": "An article", "link": address}
    return Content(
        f"{chance.choice(PHRASES)} {address}",
        listed={"shares": {"data": [share]}},
        told={"attachments": [attachment]},
    )


_KINDS: tuple[Callable[[random.Random], Content], ...] = (
    _make_file, _make_file, _make_file, _make_file, _make_sticker, _make_location, _make_fallback,
)  # fmt: skip
