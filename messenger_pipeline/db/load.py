"""Encoding responses as JSON and loading them."""

import logging
import re
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb
from pydantic_core import to_json

from messenger_pipeline.db.pool import Database
from messenger_pipeline.errors import (
    DatabaseError,
    LeaseLost,
    MostlyRefused,
    PageRemoved,
    SessionMoved,
)
from messenger_pipeline.payload_redaction import redact_payload

_log = logging.getLogger(__name__)

# The JSON escape of NUL, preceded by an even number of backslashes. After an odd number the text
# holds an escaped backslash and the literal characters u0000.
_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")


@dataclass(frozen=True)
class EncodedResponse:
    """A response encoded for the load: the conversations, which are most of it, and the rest."""

    conversations: Jsonb
    rest: Jsonb


@dataclass(frozen=True)
class Loaded:
    """Counts of what a load changed. `refused` rows were rejected by PostgreSQL and quarantined."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    events_created: int = 0
    refused: int = 0

    def __add__(self, other: "Loaded") -> "Loaded":
        return Loaded(
            self.inserted + other.inserted,
            self.updated + other.updated,
            self.unchanged + other.unchanged,
            self.events_created + other.events_created,
            self.refused + other.refused,
        )


def encode(value: Any) -> Jsonb:
    """Encode a value as a JSON argument of a SQL function, without secrets in addresses."""
    body = redact_payload(to_json(value, inf_nan_mode="strings"))
    if b"\\u0000" in body:  # rare, and this test is much faster than the substitution
        # PostgreSQL's text cannot contain NUL. Replace it rather than lose the row.
        body = _NUL.sub(rb"\1\\ufffd", body)
    # As bytes: decoding a megabyte of text in many scripts takes longer than sending it.
    return Jsonb(body, dumps=bytes)


def encode_response(response: dict[str, Any]) -> EncodedResponse:
    """Encode a response for the load. The key `conversations` is optional."""
    rest = {name: value for name, value in response.items() if name != "conversations"}
    return EncodedResponse(encode(response.get("conversations", [])), encode(rest))


def load_response(
    database: Database, session: UUID, fence: int, step: int, response: EncodedResponse
) -> Loaded:
    """Load the contents of one response, all or nothing. Raises LeaseLost, SessionMoved,
    PageRemoved, MostlyRefused.

    PostgreSQL quarantines rows that are bad data. After any other error each row is tried on its
    own, if the schema is usable: a trigger of the database's owner may fail for one of them. A lock
    that another transaction holds fails the response.
    """
    arguments = {
        "session": session,
        "fence": fence,
        "step": step,
        "conversations": response.conversations,
        "response": response.rest,
    }
    try:
        return _load(database, arguments)
    except (LeaseLost, SessionMoved, PageRemoved, MostlyRefused):
        raise
    except DatabaseError as error:
        if not _is_usable(database):
            raise
        _log.warning("a response could not be loaded, retrying row by row: %s", error)
    return _load(database, arguments | {"classes": None})


def recount_conversations(
    database: Database, page_id: str, fence: int, after: str, limit: int
) -> str | None:
    """Correct the counts and last messages of up to `limit` conversations, in order of sender_id,
    after `after`. Returns the last sender_id; None if there are no more. Raises LeaseLost."""
    last: str | None = database.value(
        "recount_conversations", page_id=page_id, fence=fence, after=after, limit=limit
    )
    return last


def _load(database: Database, arguments: dict[str, Any]) -> Loaded:
    rows: list[Loaded] = database.call("load_sync_response", Loaded, **arguments)
    return rows[0]


def _is_usable(database: Database) -> bool:
    try:
        return bool(database.value("is_schema_usable"))
    except DatabaseError:
        return False
