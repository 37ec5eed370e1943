"""The world of a page: threads whose messages are written, edited, reacted to and unsent.

It keeps its history, so that a list response can show any past state. List responses have whole
seconds, webhooks have milliseconds. Times here are milliseconds since the start of the world.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from messenger_pipeline.graph.models import Message, Party, Thread
from messenger_pipeline.rows import EventRow
from tests.convergence.sql_calls import PAGE, at

Content = dict[str, Any]
THREADS = {"t1": ("20",), "t2": ("21",), "t3": ("22", "30")}


@dataclass
class WrittenMessage:
    """A message with the versions of its content, newest last. An unsent message ends with an empty
    one."""

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
    def has_only_text(self) -> bool:
        return all(content.keys() <= {"message"} for _, content in self.versions)

    def content(self, time: int) -> Content:
        return [content for since, content in self.versions if since <= time][-1]


@dataclass(frozen=True)
class WebhookEvent:
    """An event as a webhook reports it."""

    owner: str
    time: int
    row: EventRow


@dataclass
class World:
    now: int = 0
    messages: list[WrittenMessage] = field(default_factory=list)
    names: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    gone: dict[str, list[tuple[int, bool]]] = field(default_factory=dict)
    webhook_events: list[WebhookEvent] = field(default_factory=list)
    known_unsent: set[str | None] = field(default_factory=set)
    """The messages that webhooks have reported as unsent. Responses may still have the text."""

    # -- Activity -------------------------------------------------------------------------------

    def write(self, thread_id: str, writer: str, extra: Content) -> None:
        number = len(self.messages)
        content = {"message": f"{number}.0", **extra}
        message = WrittenMessage(number, thread_id, writer, [(self.now, content)])
        self.messages.append(message)
        self._list(thread_id, True)
        self._add_message_event(message)

    def edit(self, message: WrittenMessage) -> None:
        text = (
            f"{'z' if len(message.versions) % 2 else 'a'} {message.number}.{len(message.versions)}"
        )
        self._change(message, {**message.versions[-1][1], "message": text})
        self._add_message_event(message)

    def undo_edit(self, message: WrittenMessage) -> None:
        """Give the message the text again that it had first."""
        first = message.versions[0][1]["message"]
        self._change(message, {**message.versions[-1][1], "message": first})
        self._add_message_event(message)

    def attach(self, message: WrittenMessage) -> None:
        """Add a picture. A webhook delivers it alone, sometimes in two forms, and an answer lists
        all of the message under ids and addresses of its own."""
        known = message.versions[-1][1].get("attachments", {"data": []})["data"]
        number = len(known)
        listed = {"id": f"{message.number}.{number}", "mime_type": "image/jpeg"}
        self._change(
            message, {**message.versions[-1][1], "attachments": {"data": [*known, listed]}}
        )
        url = f"https://scontent.xx.fbcdn.net/v/{message.number}-{number}.jpg?oe={self.now}"
        forms = [{"type": "image", "payload": {"url": url}}]
        event = self._message_event(message)
        event["metadata"]["attachments"] = forms
        self.webhook_events.append(WebhookEvent(message.owner, self.now, event))

    def share_post(self, message: WrittenMessage) -> None:
        """An Instagram post, which Meta delivered as a share, too, in any combination."""
        url = f"https://lookaside.fbsbx.com/ig/?asset_id={message.number}&signature={self.now}"
        kinds = (["share"], ["ig_post"], ["share", "ig_post"])[self.now % 3]
        event = self._message_event(message)
        event["metadata"]["attachments"] = [
            {"type": kind, "payload": {"url": url}} for kind in kinds
        ]
        self.webhook_events.append(WebhookEvent(message.owner, self.now, event))

    def edit_by_event(self, message: WrittenMessage) -> None:
        """An edit as an event of its own, which an unsend must blank. Answers do not list it."""
        self.add_event(message.owner, "edit", message, str(self.now))
        metadata = self.webhook_events[-1].row["metadata"]
        metadata |= {"text": f"edited {self.now}", "num_edit": self.now}

    def send_without_id(self, message: WrittenMessage) -> None:
        """The message as a source without ids delivers it, in one of several milliseconds."""
        event = self._message_event(message)
        event["message_id"] = None
        moment = message.created // 1000 * 1000 + self.now % 3
        event["event_timestamp"] = at(moment / 1000)
        versions = [content for _, content in message.versions if content]
        text = versions[self.now % len(versions)]["message"]
        event["metadata"] = {"source": "webhook", "text": text}
        self.webhook_events.append(WebhookEvent(message.owner, self.now, event))

    def react(self, message: WrittenMessage) -> None:
        """The API lists reactions as content; webhooks report them as separate events."""
        known = message.versions[-1][1].get("reactions", {"data": []})["data"]
        reactions = {"data": [*known, {"reaction": "love", "at": self.now}]}
        self._change(message, {**message.versions[-1][1], "reactions": reactions})
        self.add_event(message.owner, "reaction", message, f"{message.owner}:{self.now}")

    def unsend(self, message: WrittenMessage) -> None:
        message.unsent_at = self.now
        self._change(message, {})
        self._add_message_event(message)

    def rename(self, contact_id: str) -> None:
        known = self.names.setdefault(contact_id, [])
        known.append((self.now, "ZA"[len(known) % 2]))
        self._list(next(one for one in THREADS if contact_id in THREADS[one]), True)

    def delist(self, thread_id: str) -> None:
        self._list(thread_id, False)

    def add_event(
        self, owner: str, kind: str, message: WrittenMessage | None, discriminator: str = ""
    ) -> None:
        """Add an event that is not a message, with or without a message's id."""
        message_id = None if message is None else f"mid.{message.number}"
        row: EventRow = {
            "event_type": kind,
            "event_timestamp": at(self.now / 1000),
            "message_id": message_id,
            "discriminator": discriminator,
            "metadata": {"source": "webhook", "of": kind},
        }
        self.webhook_events.append(WebhookEvent(owner, self.now, row))

    def _change(self, message: WrittenMessage, content: Content) -> None:
        message.versions.append((self.now, content))
        self._list(message.thread_id, True)

    def _list(self, thread_id: str, listed: bool) -> None:
        self.gone.setdefault(thread_id, []).append((self.now, not listed))

    def _add_message_event(self, message: WrittenMessage) -> None:
        row = self._message_event(message)
        self.webhook_events.append(WebhookEvent(message.owner, self.now, row))

    def _message_event(self, message: WrittenMessage) -> EventRow:
        sent = "message_sent" if message.writer == PAGE else "message_received"
        message_id = f"mid.{message.number}"
        metadata: dict[str, Any] = {"source": "webhook", "message_id": message_id}
        content = dict(message.versions[-1][1])
        if "message" in content:
            metadata["text"] = content.pop("message")
        content.pop("attachments", None)  # webhooks have them in a form of their own: see `attach`
        metadata |= {k: v["data"] if isinstance(v, dict) else v for k, v in content.items()}
        if message.writer == PAGE:
            metadata["sent_by"] = ("unknown", "page_inbox")[self.now % 2]
        if message.unsent_at is not None:
            metadata["unsent_at"] = str(message.unsent_at)
        return {
            "event_type": sent,
            "event_timestamp": at(message.created / 1000),
            "message_id": message_id,
            "metadata": metadata,
        }

    # -- List responses --------------------------------------------------------------------------

    def is_listed(self, thread_id: str, time: int) -> bool:
        states = [gone for since, gone in self.gone.get(thread_id, []) if since <= time]
        return bool(states) and not states[-1]

    def thread_at(self, thread_id: str, time: int, limit: int, without_senders: bool) -> Thread:
        """A thread as the API listed it at a time."""
        messages = [one for one in self.messages if one.thread_id == thread_id]
        listed = [one for one in reversed(messages) if one.created <= time]
        parties = [self._party(one, time) for one in THREADS[thread_id]]
        return {
            "id": thread_id,
            "updated_time": seconds(max(since for since, _ in self._changes(thread_id, time))),
            "participants": [*parties, {"id": PAGE}],
            "message_count": len(listed),
            "messages": {
                "data": [self._message(one, time, without_senders) for one in listed[:limit]]
            },
        }

    def _message(self, message: WrittenMessage, time: int, without_senders: bool) -> Message:
        """A message in a response. Ids have two spellings, and times are rounded down or up."""
        turn = time // 1000 + message.number
        message_id = f"mid.{message.number}"
        up = message.created + 1000 <= time and turn % 3 == 0
        content = message.content(time)
        if not content and message_id in self.known_unsent and turn % 4 == 0:
            content = {k: v for k, v in message.versions[-2][1].items() if message.has_only_text}
        listed: Message = {
            "id": "m_" * (turn % 2) + message_id,
            "created_time": seconds(message.created + 1000 * up),
            **_signed(content, time),  # type: ignore[typeddict-item]
        }
        # The owner of a message must not depend on whether its sender is listed.
        if not (without_senders and message.owner == contact(message.thread_id)):
            listed["from"] = {"id": message.writer}
        return listed

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
    """Each response signs the addresses of pictures again."""
    if "attachments" not in content:
        return content
    url = f"https://scontent.xx.fbcdn.net/1.jpg?oe={time}"
    data = [{**one, "image_data": {"url": url}} for one in content["attachments"]["data"]]
    return {**content, "attachments": {"data": data}}
