"""Payloads as Meta sends them, validated when they arrive.

Typed dictionaries of only the fields in use, validated in compiled code; other fields are counted
and ignored. What is optional here is missing in real answers.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Literal, NotRequired, TypeVar
from urllib.parse import parse_qs, urlsplit

from pydantic import (
    AwareDatetime,
    BeforeValidator,
    ConfigDict,
    Field,
)
from typing_extensions import TypedDict

from messenger_pipeline.errors import UnexpectedAnswer
from messenger_pipeline.identifiers import usable_id

Id = Annotated[str, Field(coerce_numbers_to_str=True, min_length=1, max_length=1000)]
"""Ids are opaque text of many shapes; some answers contain numbers instead. The maximum is far
above real ids, and below what PostgreSQL can index."""

Time = Annotated[
    AwareDatetime, Field(ge=datetime(2, 1, 1, tzinfo=UTC), lt=datetime(9999, 1, 1, tzinfo=UTC))
]
"""A time that the database accepts: one that it refuses would fail the whole answer."""


PartyId = Annotated[str, Field(coerce_numbers_to_str=True, max_length=1000)]
"""The id of a person, which can be empty or 0: see identifiers.py."""


class Party(TypedDict):
    """A participant of a conversation. A deactivated account may have no name or id, a deleted one
    an id that is empty or 0. An Instagram account may have two ids."""

    id: NotRequired[PartyId | None]
    user_id: NotRequired[PartyId | None]
    name: NotRequired[str | None]
    username: NotRequired[str | None]


def _listed(value: Any) -> Any:
    """Meta sends participants as {"data": [...]}, as a list, as a single object, or as null."""
    if isinstance(value, dict):
        value = value.get("data", value)
    if isinstance(value, dict):
        value = [value]
    if value is None:
        return []
    return [one for one in value if one is not None] if isinstance(value, list) else value


Parties = Annotated[list[Party], BeforeValidator(_listed)]


class Cursors(TypedDict):
    after: NotRequired[str | None]


class Paging(TypedDict):
    """`next` contains the access token: it is used here and never stored."""

    cursors: NotRequired[Cursors | None]
    next: NotRequired[str | None]


class Edge(TypedDict):
    """A list inside a record, with items of any shape."""

    data: NotRequired[list[Any] | None]


Message = TypedDict(
    "Message",
    {
        "id": Id,
        "created_time": Time,
        "from": NotRequired[Party | None],
        "message": NotRequired[str | None],
        "attachments": NotRequired[Edge | None],
        "shares": NotRequired[Edge | None],
        "sticker": NotRequired[str | None],
        "reactions": NotRequired[Edge | None],
        "reply_to": NotRequired[dict[str, Any] | None],
        "story": NotRequired[dict[str, Any] | None],
        "is_unsupported": NotRequired[bool | None],
    },
)


class Messages(TypedDict):
    data: NotRequired[list[Message] | None]
    paging: NotRequired[Paging | None]


class Thread(TypedDict):
    """One of `GET /{page-id}/conversations`. message_count is Meta's estimate."""

    id: Id
    updated_time: Time
    participants: NotRequired[Parties]
    message_count: NotRequired[int | None]
    messages: NotRequired[Messages | None]


# Other fields of a message or thread are kept while it is parsed, to count them.
Message.__pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[attr-defined]
Thread.__pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[attr-defined]


class InstagramAccount(TypedDict):
    """An Instagram professional account. `id` is the one that it has in answers and webhooks."""

    id: Id
    username: NotRequired[str | None]


class PageProfile(TypedDict):
    """`GET /{page-id}?fields=id,name`, perhaps with its Instagram account."""

    id: Id
    name: NotRequired[str | None]
    instagram_business_account: NotRequired[InstagramAccount | None]


class Profile(TypedDict):
    """`GET /{psid}?fields=…` of a contact; Instagram returns name and username."""

    first_name: NotRequired[str | None]
    last_name: NotRequired[str | None]
    name: NotRequired[str | None]
    username: NotRequired[str | None]


Record = TypeVar("Record")

MESSAGE_FIELDS = ",".join(Message.__annotations__)
_THREAD_FIELDS = "id,updated_time,participants,message_count"


def thread_fields(messages: int) -> str:
    """The `fields` of a request for threads with up to `messages` of their newest messages."""
    nested = f",messages.limit({messages}){{{MESSAGE_FIELDS}}}" if messages else ""
    return _THREAD_FIELDS + nested


@dataclass(frozen=True)
class Reject:
    """A record that cannot be used, with the reason and its raw form."""

    kind: Literal["thread", "message"]
    identity: str
    reason: str
    record: Any
    thread_id: str | None = None


@dataclass(frozen=True)
class Listing(Generic[Record]):
    """One answer of a list: its records, and the cursor of the next answer; None at the end.

    `unknown` counts the fields that no model names. `withheld` are the ids of threads of whose
    messages Meta returned only ids; None stands for the thread whose messages were requested.
    """

    records: list[Record]
    after: str | None
    rejects: list[Reject] = field(default_factory=list)
    unknown: Counter[str] = field(default_factory=Counter)
    withheld: set[str | None] = field(default_factory=set)


def next_cursor(paging: Paging | None) -> str | None:
    """The cursor of the next answer; None at the end of the list, where Meta sends no `next`.

    Raises UnexpectedAnswer if there is a next answer but no cursor for it.
    """
    if not paging or not paging.get("next"):
        return None
    after = (paging.get("cursors") or {}).get("after")
    if not after:
        after = parse_qs(urlsplit(paging["next"] or "").query).get("after", [None])[0]
    if not after:
        raise UnexpectedAnswer("A list has a next page, but no cursor for it.")
    return after


def without_paging(raw: Any) -> Any:
    """A raw record without `paging`, whose links contain the access token."""
    if isinstance(raw, dict):
        return {name: without_paging(value) for name, value in raw.items() if name != "paging"}
    if isinstance(raw, list):
        return [without_paging(value) for value in raw]
    return raw


def without_odd_ids(raw: Any) -> Any:
    """A thread or message without the ids of people that are no ids, such as `false`."""
    if not isinstance(raw, dict):
        return raw
    found = dict(raw)
    if isinstance(raw.get("from"), dict):
        found["from"] = _without_odd_id(raw["from"])
    parties = raw.get("participants")
    if isinstance(parties, dict) and isinstance(parties.get("data"), list):
        found["participants"] = {**parties, "data": [*map(_without_odd_id, parties["data"])]}
    return found


def _without_odd_id(party: Any) -> Any:
    if not isinstance(party, dict) or usable_id(party.get("id")) is not None:
        return party
    return {name: value for name, value in party.items() if name != "id"}
