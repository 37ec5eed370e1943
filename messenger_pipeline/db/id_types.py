"""The types of ids in an adopted database, in the text of SQL files.

Tables that we create have uuids. Those of a replaced application keep what they have: uuid, text,
integer or bigint. In SQL files stand

- `:conversation_id_type`, `:event_id_type`, `:page_user_type`: the types
- `:new_conversation_id(digits)`, `:new_event_id(digits)`: a new id. `digits` are those of a uuid;
  integers come from the column's own default instead.
- `:name_id(id)`, `:name_ids(ids)`: what stands for a conversation's name among ids of events. A
  uuid of a conversation is never an event's; other ids can be the same.
- `:to_page_user(text)`, `:to_conversation_user(id)`: a value for a column user_id
"""

import re
from dataclasses import dataclass

_TYPE = re.compile(r"(?<!:):(conversation_id|event_id|page_user)_type\b")
_TERM = re.compile(
    r"(?<!:):(new_conversation_id|new_event_id|name_ids?|to_page_user|to_conversation_user)(?=\()"
)
_INTEGERS = ("integer", "bigint")


@dataclass(frozen=True)
class IdTypes:
    """The types of the tables' ids, and the SQL of what makes the next one where that is not a
    uuid."""

    conversation: str = "uuid"
    event: str = "uuid"
    page_user: str = "text"
    conversation_user: str = "text"
    next_conversation: str | None = None
    next_event: str | None = None


def with_id_types(text: str, types: IdTypes) -> str:
    """Return the text of a SQL file with the types and terms in place."""
    names = {
        "conversation_id": types.conversation,
        "event_id": types.event,
        "page_user": types.page_user,
    }
    text = _TYPE.sub(lambda found: names[found[1]], text)
    while found := _TERM.search(text):
        end = _end_of_argument(text, found.end())
        argument = text[found.end() + 1 : end - 1]
        text = text[: found.start()] + _term(found[1], argument, types) + text[end:]
    return text


def _end_of_argument(text: str, start: int) -> int:
    """The position after the parenthesis that closes the one at `start`."""
    depth = 0
    for position in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[position], 0)
        if depth == 0:
            return position + 1
    raise AssertionError("a parenthesis is not closed")


def _term(name: str, argument: str, types: IdTypes) -> str:
    match name:
        case "new_conversation_id":
            return _new_id(argument, types.conversation, types.next_conversation)
        case "new_event_id":
            return _new_id(argument, types.event, types.next_event)
        case "name_id":
            return argument if _share_uuids(types) else _name_id(types)
        case "name_ids":
            if _share_uuids(types):
                return argument
            return f"array_fill({_name_id(types)}, array[cardinality({argument})])"
        case "to_page_user":
            return argument if types.page_user == "text" else f"{argument}::{types.page_user}"
        case _:
            if types.conversation_user == types.page_user:
                return argument
            # Ids of another kind cannot be those of the same users.
            return f"{argument}::text" if types.conversation_user == "text" else "null"


def _share_uuids(types: IdTypes) -> bool:
    return types.conversation == types.event == "uuid"


def _name_id(types: IdTypes) -> str:
    """A value that no event has as its id."""
    values = {"uuid": "'00000000-0000-0000-0000-000000000000'", "text": "'name'"}
    return f"{values.get(types.event, '-1')}::{types.event}"


def _new_id(digits: str, id_type: str, following: str | None) -> str:
    if id_type in _INTEGERS:
        assert following is not None, f"{id_type} without a default"
        return f"({following})::{id_type}"
    return f"({digits})::uuid" + ("" if id_type == "uuid" else f"::{id_type}")
