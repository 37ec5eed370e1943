"""A page's world: threads in which messages are written, edited, reacted to and unsent.

It has a history, so that it can be told as it was at any time: by answers of the API in whole
seconds, and by webhooks in milliseconds. Times here are milliseconds since the world began.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from messenger_pipeline.graph.models import Message, Party, Thread
from messenger_pipeline.rows import EventRow
from tests.convergence.asking import PAGE, at

Content = dict[str, Any]
THREADS = {"t1": ("20",), "t2": ("21",), "t3": ("22", "30")}


@dataclass
class Said:
    """A message: what it said since when, newest last. An unsent one says nothing in the end."""

    number: int
    thread_id: str
    writer: str
    versions: list[tuple[int, Content]]
    unsent_at: int | None = None

    @property
    def created(self) -> int:
        return self.versions[0][0]

    @property
    def owner(self) -> str:
        return contact(self.thread_id) if self.writer == PAGE else self.writer

    @property
    def is_text_alone(self) -> bool:
        return all(content.keys() <= {"message"} for _, content in self.versions)

    def content(self, time: int) -> Content:
        return [content for since, content in self.versions if since <= time][-1]


@dataclass(frozen=True)
class Pushed:
    """An event as a webhook tells it."""

    owner: str
    time: int
    row: EventRow


@dataclass
class World:
    now: int = 0
    messages: list[Said] = field(default_factory=list)
    names: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    gone: dict[str, list[tuple[int, bool]]] = field(default_factory=dict)
    pushed: list[Pushed] = field(default_factory=list)
    known_unsent: set[str | None] = field(default_factory=set)
    """The messages of which a webhook told that they are unsent: an answer may still have their
    text."""

    # -- What happens ---------------------------------------------------------------------------

    def write(self, thread_id: str, writer: str, beside: Content) -> None:
        number = len(self.messages)
        content = {"message": f"{number}.0", **beside}
        said = Said(number, thread_id, writer, [(self.now, content)])
        self.messages.append(said)
        self._list(thread_id, True)
        self._push(said)

    def edit(self, said: Said) -> None:
        text = f"{'z' if len(said.versions) % 2 else 'a'} {said.number}.{len(said.versions)}"
        self._change(said, {**said.versions[-1][1], "message": text})
        self._push(said)

    def react(self, said: Said) -> None:
        """The API tells reactions as content, webhooks as events of their own."""
        known = said.versions[-1][1].get("reactions", {"data": []})["data"]
        reactions = {"data": [*known, {"reaction": "love", "at": self.now}]}
        self._change(said, {**said.versions[-1][1], "reactions": reactions})
        self.happen(said.owner, "reaction", said, f"{said.owner}:{self.now}")

    def unsend(self, said: Said) -> None:
        said.unsent_at = self.now
        self._change(said, {})
        self._push(said)

    def rename(self, contact_id: str) -> None:
        known = self.names.setdefault(contact_id, [])
        known.append((self.now, f"{'ZA'[len(known) % 2]} {len(known)}"))
        self._list(next(one for one in THREADS if contact_id in THREADS[one]), True)

    def vanish(self, thread_id: str) -> None:
        self._list(thread_id, False)

    def happen(self, owner: str, kind: str, said: Said | None, discriminator: str = "") -> None:
        """Something else than a message, with a message's id or none."""
        message_id = None if said is None else f"mid.{said.number}"
        row: EventRow = {
            "event_type": kind,
            "event_timestamp": at(self.now / 1000),
            "message_id": message_id,
            "discriminator": discriminator,
            "metadata": {"source": "webhook", "of": kind},
        }
        self.pushed.append(Pushed(owner, self.now, row))

    def _change(self, said: Said, content: Content) -> None:
        said.versions.append((self.now, content))
        self._list(said.thread_id, True)

    def _list(self, thread_id: str, listed: bool) -> None:
        self.gone.setdefault(thread_id, []).append((self.now, not listed))

    def _push(self, said: Said) -> None:
        sent = "message_sent" if said.writer == PAGE else "message_received"
        message_id = f"mid.{said.number}"
        metadata: dict[str, Any] = {"source": "webhook", "message_id": message_id}
        content = dict(said.versions[-1][1])
        if "message" in content:
            metadata["text"] = content.pop("message")
        metadata |= {k: v["data"] if isinstance(v, dict) else v for k, v in content.items()}
        if said.unsent_at is not None:
            metadata["unsent_at"] = str(said.unsent_at)
        row: EventRow = {
            "event_type": sent,
            "event_timestamp": at(said.created / 1000),
            "message_id": message_id,
            "metadata": metadata,
        }
        self.pushed.append(Pushed(said.owner, self.now, row))

    # -- What is told of it ---------------------------------------------------------------------

    def is_listed(self, thread_id: str, time: int) -> bool:
        states = [gone for since, gone in self.gone.get(thread_id, []) if since <= time]
        return bool(states) and not states[-1]

    def answer(self, thread_id: str, time: int, limit: int, blind: bool) -> Thread:
        """A thread as the API told it at a time; `blind`: not who wrote what."""
        messages = [one for one in self.messages if one.thread_id == thread_id]
        told = [one for one in reversed(messages) if one.created <= time]
        parties = [self._party(one, time) for one in THREADS[thread_id]]
        return {
            "id": thread_id,
            "updated_time": seconds(max(since for since, _ in self._changes(thread_id, time))),
            "participants": [*parties, {"id": PAGE}],
            "message_count": len(told),
            "messages": {"data": [self._message(one, time, blind) for one in told[:limit]]},
        }

    def _message(self, said: Said, time: int, blind: bool) -> Message:
        """The API spells ids in two ways, and rounds times down or up."""
        turn = time // 1000 + said.number
        message_id = f"mid.{said.number}"
        up = said.created + 1000 <= time and turn % 3 == 0
        content = said.content(time)
        if not content and message_id in self.known_unsent and turn % 4 == 0:
            content = {k: v for k, v in said.versions[-2][1].items() if said.is_text_alone}
        message: Message = {
            "id": "m_" * (turn % 2) + message_id,
            "created_time": seconds(said.created + 1000 * up),
            **_signed(content, time),  # type: ignore[typeddict-item]
        }
        # Whose a message is must not depend on whether its writer is told.
        if not (blind and said.owner == contact(said.thread_id)):
            message["from"] = {"id": said.writer}
        return message

    def _changes(self, thread_id: str, time: int) -> Iterable[tuple[int, bool]]:
        return [one for one in self.gone[thread_id] if one[0] <= time]

    def _party(self, contact_id: str, time: int) -> Party:
        known = [name for since, name in self.names.get(contact_id, []) if since <= time]
        return {"id": contact_id, "name": known[-1] if known else None}


def contact(thread_id: str) -> str:
    return min(THREADS[thread_id])


def seconds(time: int) -> datetime:
    return at(time // 1000)


def _signed(content: Content, time: int) -> Content:
    """Addresses of pictures are new in every answer."""
    if "attachments" not in content:
        return content
    url = f"https://scontent.xx.fbcdn.net/1.jpg?oe={time}"
    data = [{**one, "image_data": {"url": url}} for one in content["attachments"]["data"]]
    return {**content, "attachments": {"data": data}}
