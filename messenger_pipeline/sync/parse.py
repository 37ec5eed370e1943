"""Meta's payloads to rows: the participants of a thread, and the event of each message. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from messenger_pipeline.graph.models import Message, Party, Thread, without_paging
from messenger_pipeline.rows import EventRow, Source

_EDGES: Final = ("attachments", "shares", "reactions")
_PLAIN: Final = ("sticker", "reply_to", "story", "is_unsupported")
_NOT_TEXT: Final = frozenset(_EDGES + _PLAIN)


def parse_message(message: Message, page_id: str, source: Source) -> EventRow:
    """The event of a message. Its direction is unknown if the message has no sender with an id."""
    sender = message.get("from")
    sender_id = sender.get("id") if sender else None
    if sender_id is None:
        event_type = "message"
    else:
        event_type = "message_sent" if sender_id == page_id else "message_received"
    metadata: dict[str, Any] = {"source": source, "message_id": message["id"]}
    text = message.get("message")
    if text is not None:
        metadata["text"] = text
    if not _NOT_TEXT.isdisjoint(message):  # most messages are text alone
        metadata |= _other_content(message)
    return {
        "event_type": event_type,
        "event_timestamp": message["created_time"],
        "message_id": message["id"],
        "metadata": metadata,
    }


def _other_content(fields: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in _EDGES:
        edge = fields.get(name)
        if edge and edge.get("data"):
            found[name] = without_paging(edge["data"])
    for name in _PLAIN:
        value = fields.get(name)
        if value is not None:
            found[name] = without_paging(value)
    return found


def contact_of(thread: Thread, page_id: str) -> Party | None:
    """The contact of a thread: the participant other than the page. None if none has an id.

    Of several the one with the least id, so that every answer gives the same. What each of them
    wrote belongs to their own conversation: see `owner_of`.
    """
    others = others_in(thread, page_id)
    return others[min(others)] if others else None


def others_in(thread: Thread, page_id: str) -> dict[str, Party]:
    """The participants other than the page, by id.

    If Meta returns none, those who wrote one of the messages.
    """
    writers = (message.get("from") for message in messages_of(thread))
    listed = _without_page(thread.get("participants") or [], page_id)
    return listed or _without_page([writer for writer in writers if writer], page_id)


def _without_page(parties: Iterable[Party], page_id: str) -> dict[str, Party]:
    known = ((party.get("id"), party) for party in parties)
    return {party_id: party for party_id, party in known if party_id and party_id != page_id}


def owner_of(message: Message, page_id: str, contact_id: str) -> str:
    """The contact whose conversation a message belongs to.

    A contact's message belongs to its sender, as it does in webhooks; the page's, and one without
    a sender, to the thread's contact.
    """
    sender = message.get("from")
    sender_id = sender.get("id") if sender else None
    return sender_id if sender_id and sender_id != page_id else contact_id


def messages_of(thread: Thread) -> list[Message]:
    """The messages nested in a thread, newest first."""
    nested = thread.get("messages")
    return (nested.get("data") or []) if nested else []


def name_of(party: Party) -> str | None:
    return party.get("name") or party.get("username")
