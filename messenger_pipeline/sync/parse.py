"""Meta's payloads to rows: who takes part in a thread, and the event that each message is. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from messenger_pipeline.graph.models import Message, Party, Thread, without_paging
from messenger_pipeline.rows import EventRow, Source

_EDGES: Final = ("attachments", "shares", "reactions")
_PLAIN: Final = ("sticker", "reply_to", "story", "is_unsupported")
_BESIDE_TEXT: Final = frozenset(_EDGES + _PLAIN)


def parse_message(message: Message, page_id: str, source: Source) -> EventRow:
    """The event that a message is. Its direction is unknown where it does not tell who sent it."""
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
    if not _BESIDE_TEXT.isdisjoint(message):  # most messages are text alone
        metadata |= _beside_text(message)
    return {
        "event_type": event_type,
        "event_timestamp": message["created_time"],
        "message_id": message["id"],
        "metadata": metadata,
    }


def _beside_text(fields: Mapping[str, Any]) -> dict[str, Any]:
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
    """The contact of a thread: the party that is not the page.

    Of several the one with the least id, which does not depend on when one looks; what each of
    them wrote is their own (see `owner_of`). None where nobody with an id takes part.
    """
    others = others_in(thread, page_id)
    return others[min(others)] if others else None


def others_in(thread: Thread, page_id: str) -> dict[str, Party]:
    """Who takes part but the page, by id; where participants tell nobody, who wrote."""
    writers = (message.get("from") for message in messages_of(thread))
    given = _but_page(thread.get("participants") or [], page_id)
    return given or _but_page([writer for writer in writers if writer], page_id)


def _but_page(parties: Iterable[Party], page_id: str) -> dict[str, Party]:
    known = ((party.get("id"), party) for party in parties)
    return {party_id: party for party_id, party in known if party_id and party_id != page_id}


def owner_of(message: Message, page_id: str, contact_id: str) -> str:
    """Whose conversation a message belongs to: theirs who wrote it, as a webhook has it; what the
    page or nobody known wrote is the thread's contact's."""
    sender = message.get("from")
    sender_id = sender.get("id") if sender else None
    return sender_id if sender_id and sender_id != page_id else contact_id


def messages_of(thread: Thread) -> list[Message]:
    """The messages nested in a thread, newest first."""
    nested = thread.get("messages")
    return (nested.get("data") or []) if nested else []


def name_of(party: Party) -> str | None:
    return party.get("name") or party.get("username")
