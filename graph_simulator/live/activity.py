"""Generated activity on the pages of a world. Each changes the world and gives a webhook item."""

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from graph_simulator.history import exact_time, opaque
from graph_simulator.live.content import generate_content, generate_text
from graph_simulator.page import SimulatedPage
from graph_simulator.world import World

Item = dict[str, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_APPS = (1517776481860111, 263902037430900)  # an app that answers for the page; Meta's Page Inbox
_REACTIONS = {"love": "❤", "like": "👍", "smile": "😆", "sad": "😢", "other": "🎉"}
_SECOND_IDS = 0.2  # of the items of an Instagram account
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
class Activity:
    """One thing that happened in a thread of a page: a webhook item."""

    page: SimulatedPage
    number: int
    item: Item


@dataclass(eq=False)
class _Subject:
    """What an activity is about: a thread, or a message in it."""

    page: SimulatedPage
    number: int
    mid: str = ""
    edits: int = 0


class ActivityGenerator:
    """Generates activity from a seed, mostly on the first page and in its first threads. Two
    activities in one thread never share a millisecond."""

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self._chance = random.Random(f"{seed}:live")
        self._pages = [*world.pages.values()]
        self._latest: dict[tuple[str, int], datetime] = {}
        self._texts: deque[_Subject] = deque(maxlen=50)  # by contacts
        self._reacted: deque[_Subject] = deque(maxlen=50)
        self._events: dict[str, Callable[[_Subject, datetime], tuple[str | None, Item] | None]] = {
            "reaction": self._react,
            "edit": self._edit,
            "unsend": self._unsend,
            "postback": self._postback,
            "read": self._read,
            "delivery": self._delivery,
            "referral": self._referral,
            "optin": self._optin,
        }

    def generate(self, now: datetime) -> Activity:
        """Generate the next activity. It is a message if no subject exists for another one."""
        [kind] = self._chance.choices([*_SHARES], [*_SHARES.values()])
        if kind in self._events and (subject := self._subject(kind)):
            at = self._unique_time(subject.page, subject.number, now)
            event = self._events[kind](subject, at)
            if event:
                return self._event(subject, at, kind, *event)
        return self._message(now, by_page=kind == "echo")

    # -- Messages -----------------------------------------------------------------------------

    def _message(self, now: datetime, *, by_page: bool) -> Activity:
        page = self._page()
        number = self._thread(page)
        if number is None or (not by_page and self._chance.random() < _NEW_THREADS):
            number = len(page.lengths)
        new = number == len(page.lengths)
        replied_to = None if new else self._recent_mid(page, number)
        content = generate_content(self._chance, by_page=by_page, replied_to=replied_to)
        at = self._unique_time(page, number, now)
        thread = None if new else number
        message = self._world.inject(page, thread, content.text, at, by_page, content.graph_fields)
        page.live_times[message["id"]] = at
        if content.text and not by_page:
            self._texts.append(_Subject(page, number, message["id"]))
        body = content.webhook_message(message["id"])
        if by_page:
            body |= {"is_echo": True, "app_id": self._chance.choice(_APPS)}
        item = self._item(page, number, at, by_page=by_page) | {"message": body}
        return Activity(page, number, item)

    # -- Other events, all by contacts. Each returns its message id and the item's content. -----

    def _react(self, subject: _Subject, _: datetime) -> tuple[str, Item] | None:
        reaction = {"action": "unreact"}
        if subject.mid:
            self._reacted.remove(subject)
        elif mid := self._recent_mid(subject.page, subject.number):
            subject.mid = mid
            self._reacted.append(subject)
            name, emoji = self._chance.choice([*_REACTIONS.items()])
            reaction = {"action": "react", "reaction": name, "emoji": emoji}
        else:
            return None
        return subject.mid, {"reaction": {"mid": subject.mid, **reaction}}

    def _edit(self, text: _Subject, _: datetime) -> tuple[str, Item]:
        text.edits += 1
        self._texts.remove(text)
        self._texts.append(text)  # so that it is likely to be edited again
        words = generate_text(self._chance)
        self._world.edit(text.page, text.number, text.mid, words)
        count = self._chance.choice([text.edits, str(text.edits)])
        return text.mid, {"message_edit": {"mid": text.mid, "text": words, "num_edit": count}}

    def _unsend(self, text: _Subject, _: datetime) -> tuple[str, Item]:
        self._texts.remove(text)
        self._world.unsend(text.page, text.number, text.mid)
        return text.mid, {"message": {"mid": text.mid, "is_deleted": True}}

    def _postback(self, thread: _Subject, now: datetime) -> tuple[str | None, Item]:
        postback = {"title": "Get started", "payload": f"START_{self._chance.randrange(9)}"}
        if self._chance.random() < 0.4:
            return None, {"postback": postback}
        page = thread.page
        name = f"{self._world.seed}:{page.id}:event:{len(page.live_events)}:{now.isoformat()}"
        mid = "m_" + opaque(name, 86)
        return mid, {"postback": {"mid": mid, **postback}}

    def _read(self, _: _Subject, at: datetime) -> tuple[None, Item]:
        return None, {"read": {"watermark": _milliseconds(at)}}

    def _delivery(self, thread: _Subject, at: datetime) -> tuple[str | None, Item]:
        """The page's last message was delivered. Some, like those of old clients, have only the
        watermark."""
        watermark = {"watermark": _milliseconds(at)}
        newest = self._world.messages(thread.page, thread.number, None, 10)
        sent = [one["id"] for one in newest if one["from"]["id"] == thread.page.id]
        if not sent or self._chance.random() < 0.3:
            return None, {"delivery": watermark}
        return sent[0], {"delivery": {"mids": [sent[0]], **watermark}}

    def _referral(self, _: _Subject, __: datetime) -> tuple[None, Item]:
        referral = {"ref": self._ref(), "source": "SHORTLINK", "type": "OPEN_THREAD"}
        if self._chance.random() < 0.3:
            referral |= {"source": "ADS", "ad_id": str(self._chance.randrange(10**14, 10**15))}
        return None, {"referral": referral}

    def _optin(self, _: _Subject, __: datetime) -> tuple[None, Item]:
        return None, {"optin": {"ref": self._ref()}}

    def _event(
        self, subject: _Subject, at: datetime, kind: str, mid: str | None, content: Item
    ) -> Activity:
        page, number = subject.page, subject.number
        page.live_events.append(
            {
                "page_id": page.id,
                "sender_id": self._world.contact_id(page, number),
                "message_id": mid,
                "event_timestamp": exact_time(at),
                "event_type": kind,
            }
        )
        return Activity(page, number, self._item(page, number, at) | content)

    # -- Subjects and times ---------------------------------------------------------------------

    def _subject(self, kind: str) -> _Subject | None:
        if kind in ("edit", "unsend"):
            return self._recent(self._texts)
        if kind == "reaction" and self._chance.random() < 0.25:
            return self._recent(self._reacted)
        page = self._page()
        number = self._thread(page)
        return None if number is None else _Subject(page, number)

    def _recent(self, subjects: deque[_Subject]) -> _Subject | None:
        """One of the last: people change what they have just written."""
        back = int(self._chance.expovariate(1 / 2))
        return subjects[-1 - back] if back < len(subjects) else None

    def _page(self) -> SimulatedPage:
        shares = [1 / (1 + index) for index in range(len(self._pages))]
        return self._chance.choices(self._pages, shares)[0]

    def _thread(self, page: SimulatedPage) -> int | None:
        """A thread, or None if it or its contact's account is deleted. It is chosen by number,
        not by its position in the list: positions depend on times, and a seed must choose the same
        at any rate."""
        number = int(len(page.lengths) * self._chance.random() ** 2)
        return number if page.has(number) and not page.is_gone(number) else None

    def _recent_mid(self, page: SimulatedPage, number: int) -> str | None:
        """One of the newest messages of a thread."""
        newest = self._world.messages(page, number, None, 3)
        return str(self._chance.choice(newest)["id"]) if newest else None

    def _ref(self) -> str:
        return f"ref_{self._chance.randrange(100)}"

    def _unique_time(self, page: SimulatedPage, number: int, now: datetime) -> datetime:
        at = now.replace(microsecond=now.microsecond // 1000 * 1000)
        if before := self._latest.get((page.id, number)):
            at = max(at, before + _MILLISECOND)
        self._latest[page.id, number] = at
        return at

    def _item(
        self, page: SimulatedPage, number: int, at: datetime, *, by_page: bool = False
    ) -> Item:
        contact = {"id": self._world.contact(page, number).get("id", "0")}
        own = {"id": page.id}
        if page.second_id and self._chance.random() < _SECOND_IDS:
            own = {"id": page.second_id}
        sender, recipient = (own, contact) if by_page else (contact, own)
        return {"sender": sender, "recipient": recipient, "timestamp": _milliseconds(at)}


def _milliseconds(at: datetime) -> int:
    return (at - _EPOCH) // _MILLISECOND
