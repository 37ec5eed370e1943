"""Meta's payloads to rows: the participants of a thread, and the event of each message. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from messenger_pipeline.graph.models import Message, Party, Thread, without_paging
from messenger_pipeline.identifiers import usable_id
from messenger_pipeline.rows import EventRow, Source

_EDGES: Final = ("attachments", "shares", "reactions")
_PLAIN: Final = ("sticker", "reply_to", "story", "is_unsupported")
_NOT_TEXT: Final = frozenset(_EDGES + _PLAIN)


Ids = frozenset[str]
"""All ids of the page's account."""


def parse_message(message: Message, own: Ids, source: Source) -> EventRow:
    """The event of a message. Its direction is unknown if the message has no sender.

    One with a name alone is a deleted account, which is not the page.
    """
    sender = message.get("from")
    if not sender:
        event_type = "message"
    elif sender.get("id") in own or sender.get("user_id") in own:
        event_type = "message_sent"
    elif usable_id(sender.get("id")) or name_of(sender):
        event_type = "message_received"
    else:
        event_type = "message"
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


def others_in(thread: Thread, own: Ids) -> dict[str, Party]:
    """The participants other than the page, by id.

    If Meta returns none, those who wrote one of the messages. The thread's contact is the one with
    the least id, so that every answer gives the same. What each of them wrote belongs to their own
    conversation: see `owner_of`.
    """
    listed = _by_id(thread.get("participants") or [], own)
    return listed or _by_id(_writers(thread), own)


def party_without_id(thread: Thread, own: Ids) -> Party | None:
    """The participant or writer without an id, a deleted account, with the name that Meta gives."""
    parties = [*(thread.get("participants") or []), *_writers(thread)]
    found = (party for party in parties if usable_id(party.get("id")) is None and name_of(party))
    return next((party for party in found if party.get("user_id") not in own), None)


def find_own_ids(threads: Iterable[Thread], own: Ids) -> set[str]:
    """Further ids of the account, of participants that have two: one known, and another."""
    found: set[str] = set()
    for thread in threads:
        for party in thread.get("participants") or []:
            both = {usable_id(party.get("id")), usable_id(party.get("user_id"))} - {None}
            if len(both) > 1 and not both.isdisjoint(own):
                found |= {one for one in both if one is not None} - own
    return found


def _writers(thread: Thread) -> Iterator[Party]:
    return (writer for message in messages_of(thread) if (writer := message.get("from")))


def _by_id(parties: Iterable[Party], own: Ids) -> dict[str, Party]:
    known = ((usable_id(party.get("id")), party) for party in parties)
    return {
        party_id: party
        for party_id, party in known
        if party_id and party_id not in own and party.get("user_id") not in own
    }


def owner_of(message: Message, own: Ids, contact_id: str) -> str:
    """The contact whose conversation a message belongs to.

    A contact's message belongs to its sender, as it does in webhooks; the page's, and one without
    a sender, to the thread's contact.
    """
    sender = message.get("from")
    sender_id = sender.get("id") if sender else None
    if not sender or sender_id == contact_id or sender_id in own or sender.get("user_id") in own:
        return contact_id
    return usable_id(sender_id) or contact_id


def messages_of(thread: Thread) -> list[Message]:
    """The messages nested in a thread, newest first."""
    nested = thread.get("messages")
    return (nested.get("data") or []) if nested else []


def name_of(party: Party) -> str | None:
    return party.get("name") or party.get("username")
