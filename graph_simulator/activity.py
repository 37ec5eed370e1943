"""What happens on the pages of a world while it is live: each happening changes the world, and is
told as an item of a webhook."""

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from graph_simulator.contents import make_content, make_text
from graph_simulator.history import exact_time, opaque
from graph_simulator.page import SimulatedPage
from graph_simulator.world import World

Item = dict[str, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_APPS = (1517776481860111, 263902037430900)  # one that answers for the page, and the page's inbox
_REACTIONS = {"love": "❤", "like": "👍", "smile": "😆", "sad": "😢", "other": "🎉"}
_NEW_THREADS = 0.1  # of the messages by contacts
_SHARES = {
    "message": 40,
    "echo": 20,
    "reaction": 8,
    "edit": 7,
    "unsend": 4,
    "postback": 5,
    "read": 7,
    "delivery": 4,
    "referral": 3,
    "optin": 2,
}


@dataclass(frozen=True)
class Happening:
    """What happened on a page, as the item of a webhook."""

    page: SimulatedPage
    item: Item


@dataclass(eq=False)
class _Matter:
    """What something is about: a thread, or a message in it."""

    page: SimulatedPage
    number: int
    mid: str = ""
    edits: int = 0


class Happenings:
    """Makes up what happens, from a seed. Mostly on the first page and in its first threads; no
    two things of one millisecond in one thread."""

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self._chance = random.Random(f"{seed}:live")
        self._pages = [*world.pages.values()]
        self._latest: dict[tuple[str, int], datetime] = {}
        self._texts: deque[_Matter] = deque(maxlen=50)  # of contacts
        self._reacted: deque[_Matter] = deque(maxlen=50)
        self._events: dict[str, Callable[[_Matter, datetime], tuple[str | None, Item] | None]] = {
            "reaction": self._react,
            "edit": self._edit,
            "unsend": self._unsend,
            "postback": self._press,
            "read": self._read,
            "delivery": self._receive,
            "referral": self._follow,
            "optin": self._opt_in,
        }

    def happen(self, now: datetime) -> Happening:
        """The next thing; a message, where there is nothing yet that another thing is about."""
        [kind] = self._chance.choices([*_SHARES], [*_SHARES.values()])
        if kind in self._events and (matter := self._matter(kind)):
            at = self._instant(matter.page, matter.number, now)
            event = self._events[kind](matter, at)
            if event:
                return self._note(matter, at, kind, *event)
        return self._write(now, by_page=kind == "echo")

    # -- Messages -----------------------------------------------------------------------------

    def _write(self, now: datetime, *, by_page: bool) -> Happening:
        page = self._page()
        number = self._thread(page)
        if number is None or (not by_page and self._chance.random() < _NEW_THREADS):
            number = len(page.lengths)
        new = number == len(page.lengths)
        answered = None if new else self._mid(page, number)
        content = make_content(self._chance, by_page=by_page, answered=answered)
        at = self._instant(page, number, now)
        thread = None if new else number
        message = self._world.inject(page, thread, content.text, at, by_page, content.listed)
        page.exact[message["id"]] = at
        if content.text and not by_page:
            self._texts.append(_Matter(page, number, message["id"]))
        told = content.as_told(message["id"])
        if by_page:
            told |= {"is_echo": True, "app_id": self._chance.choice(_APPS)}
        return Happening(page, self._item(page, number, at, by_page=by_page) | {"message": told})

    # -- Other events, all of contacts: the message id of each, and the item ---------------------

    def _react(self, matter: _Matter, _: datetime) -> tuple[str, Item] | None:
        told = {"action": "unreact"}
        if matter.mid:
            self._reacted.remove(matter)
        elif mid := self._mid(matter.page, matter.number):
            matter.mid = mid
            self._reacted.append(matter)
            name, emoji = self._chance.choice([*_REACTIONS.items()])
            told = {"action": "react", "reaction": name, "emoji": emoji}
        else:
            return None
        return matter.mid, {"reaction": {"mid": matter.mid, **told}}

    def _edit(self, text: _Matter, _: datetime) -> tuple[str, Item]:
        text.edits += 1
        self._texts.remove(text)
        self._texts.append(text)  # it may well be changed once more
        words = make_text(self._chance)
        self._world.edit(text.page, text.number, text.mid, words)
        count = self._chance.choice([text.edits, str(text.edits)])
        return text.mid, {"message_edit": {"mid": text.mid, "text": words, "num_edit": count}}

    def _unsend(self, text: _Matter, _: datetime) -> tuple[str, Item]:
        self._texts.remove(text)
        self._world.unsend(text.page, text.number, text.mid)
        return text.mid, {"message": {"mid": text.mid, "is_deleted": True}}

    def _press(self, thread: _Matter, now: datetime) -> tuple[str | None, Item]:
        told = {"title": "Get started", "payload": f"START_{self._chance.randrange(9)}"}
        if self._chance.random() < 0.4:
            return None, {"postback": told}
        page = thread.page
        name = f"{self._world.seed}:{page.id}:event:{len(page.events)}:{now.isoformat()}"
        mid = "m_" + opaque(name, 86)
        return mid, {"postback": {"mid": mid, **told}}

    def _read(self, _: _Matter, at: datetime) -> tuple[None, Item]:
        return None, {"read": {"watermark": _milliseconds(at)}}

    def _receive(self, thread: _Matter, at: datetime) -> tuple[str | None, Item]:
        """What the page wrote last; sometimes, as by old clients, told by the watermark alone."""
        watermark = {"watermark": _milliseconds(at)}
        newest = self._world.messages(thread.page, thread.number, None, 10)
        sent = [one["id"] for one in newest if one["from"]["id"] == thread.page.id]
        if not sent or self._chance.random() < 0.3:
            return None, {"delivery": watermark}
        return sent[0], {"delivery": {"mids": [sent[0]], **watermark}}

    def _follow(self, _: _Matter, __: datetime) -> tuple[None, Item]:
        told = {"ref": self._ref(), "source": "SHORTLINK", "type": "OPEN_THREAD"}
        if self._chance.random() < 0.3:
            told |= {"source": "ADS", "ad_id": str(self._chance.randrange(10**14, 10**15))}
        return None, {"referral": told}

    def _opt_in(self, _: _Matter, __: datetime) -> tuple[None, Item]:
        return None, {"optin": {"ref": self._ref()}}

    def _note(
        self, matter: _Matter, at: datetime, kind: str, mid: str | None, told: Item
    ) -> Happening:
        page, number = matter.page, matter.number
        page.events.append(
            {
                "page_id": page.id,
                "sender_id": self._world.contact(page, number)["id"],
                "message_id": mid,
                "event_timestamp": exact_time(at),
                "event_type": kind,
            }
        )
        return Happening(page, self._item(page, number, at) | told)

    # -- About what, and when -----------------------------------------------------------------

    def _matter(self, kind: str) -> _Matter | None:
        if kind in ("edit", "unsend"):
            return self._one_of(self._texts)
        if kind == "reaction" and self._chance.random() < 0.25:
            return self._one_of(self._reacted)
        page = self._page()
        number = self._thread(page)
        return None if number is None else _Matter(page, number)

    def _one_of(self, matters: deque[_Matter]) -> _Matter | None:
        """One of the last: people change what they have just written."""
        back = int(self._chance.expovariate(1 / 2))
        return matters[-1 - back] if back < len(matters) else None

    def _page(self) -> SimulatedPage:
        shares = [1 / (1 + index) for index in range(len(self._pages))]
        return self._chance.choices(self._pages, shares)[0]

    def _thread(self, page: SimulatedPage) -> int | None:
        """A thread, unless it is deleted. Not by its place in the list, which depends on when
        things happened: a seed is to choose the same at any speed."""
        number = int(len(page.lengths) * self._chance.random() ** 2)
        return number if page.has(number) else None

    def _mid(self, page: SimulatedPage, number: int) -> str | None:
        """One of the newest messages of a thread."""
        newest = self._world.messages(page, number, None, 3)
        return str(self._chance.choice(newest)["id"]) if newest else None

    def _ref(self) -> str:
        return f"ref_{self._chance.randrange(100)}"

    def _instant(self, page: SimulatedPage, number: int, now: datetime) -> datetime:
        at = now.replace(microsecond=now.microsecond // 1000 * 1000)
        if before := self._latest.get((page.id, number)):
            at = max(at, before + _MILLISECOND)
        self._latest[page.id, number] = at
        return at

    def _item(
        self, page: SimulatedPage, number: int, at: datetime, *, by_page: bool = False
    ) -> Item:
        contact, own = {"id": self._world.contact(page, number)["id"]}, {"id": page.id}
        sender, recipient = (own, contact) if by_page else (contact, own)
        return {"sender": sender, "recipient": recipient, "timestamp": _milliseconds(at)}


def _milliseconds(at: datetime) -> int:
    return (at - _EPOCH) // _MILLISECOND
