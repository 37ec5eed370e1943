"""Parsing the bodies of answers into records, validated in compiled code.

A body is validated whole first. If that fails its records are validated one by one, and those that
fail are returned as rejects.
"""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, NotRequired

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from messenger_pipeline.errors import UnexpectedAnswer
from messenger_pipeline.graph.models import (
    Listing,
    Message,
    PageProfile,
    Paging,
    Profile,
    Reject,
    Thread,
    next_cursor,
    without_odd_ids,
    without_paging,
)


class _Threads(TypedDict):
    data: list[Thread]
    paging: NotRequired[Paging | None]


class _MessageList(TypedDict):
    data: list[Message]
    paging: NotRequired[Paging | None]


class _RawList(TypedDict):
    data: list[Any]
    paging: NotRequired[Paging | None]


class _Head(TypedDict):
    """An answer without its records."""

    paging: NotRequired[Paging | None]
    error: NotRequired[Any]
    error_code: NotRequired[Any]
    error_message: NotRequired[Any]
    error_description: NotRequired[Any]


_MESSAGE_KEYS = Message.__annotations__.keys()
_THREAD_KEYS = Thread.__annotations__.keys()

_threads = TypeAdapter(_Threads)
_thread = TypeAdapter(Thread)
_message_list = TypeAdapter(_MessageList)
_message = TypeAdapter(Message)
_raw_list = TypeAdapter(_RawList)
_head = TypeAdapter(_Head)
_page = TypeAdapter(PageProfile)
_profile = TypeAdapter(Profile)


@dataclass
class UnparsedThreads:
    """One answer of the list of threads, of which so far only the cursor is parsed."""

    body: bytes
    after: str | None
    _listing: Listing[Thread] | None = None

    def parse(self) -> Listing[Thread]:
        """The threads, parsed at the first call. Raises UnexpectedAnswer if the body is not a list
        of threads."""
        if self._listing is None:
            self._listing = parse_threads(self.body)
        return self._listing


def parse_cursor(body: bytes) -> UnparsedThreads:
    """Parse the cursor alone, in a fifth of the time that the threads take.

    So the next answer can be requested while the threads are parsed. Raises UnexpectedAnswer if
    the body is not a list of threads.
    """
    try:
        head = _head.validate_json(body)
    except ValidationError:
        head = {}
    if head.keys() == {"paging"} and head["paging"]:
        return UnparsedThreads(body, next_cursor(head["paging"]))
    listing = parse_threads(body)
    return UnparsedThreads(body, listing.after, listing)


def parse_threads(body: bytes) -> Listing[Thread]:
    """Raises UnexpectedAnswer if the body is not a list of threads."""
    try:
        answer = _threads.validate_json(body)
        threads, paging = answer["data"], answer.get("paging")
        return Listing(threads, next_cursor(paging), unknown=_unknown_in(threads))
    except ValidationError:
        raw_list = _parse_raw_list(body)
    listing: Listing[Thread] = Listing([], next_cursor(raw_list.get("paging")))
    for raw in raw_list["data"]:
        thread = _parse_thread(raw, listing)
        if thread:
            listing.records.append(thread)
    listing.unknown.update(_unknown_in(listing.records))
    return listing


def parse_one_thread(body: bytes) -> Listing[Thread]:
    """A thread requested by its id. Raises UnexpectedAnswer if the body is not a thread."""
    raw = parse_json(body)
    if not isinstance(raw, dict) or "id" not in raw:
        raise UnexpectedAnswer("The answer is not as documented: no thread.")
    return parse_threads(json.dumps({"data": [raw]}).encode())


def parse_messages(body: bytes) -> Listing[Message]:
    """Raises UnexpectedAnswer if the body is not a list of messages."""
    try:
        answer = _message_list.validate_json(body)
        messages, paging = answer["data"], answer.get("paging")
        return Listing(messages, next_cursor(paging), unknown=_unknown_messages(messages))
    except ValidationError:
        raw_list = _parse_raw_list(body)
    listing: Listing[Message] = Listing([], next_cursor(raw_list.get("paging")))
    listing.records.extend(_parse_usable(raw_list["data"], None, listing))
    listing.unknown.update(_unknown_messages(listing.records))
    return listing


def parse_thread_record(raw: Any) -> Thread | Reject:
    """A raw thread that was rejected before, parsed again."""
    listing: Listing[Thread] = Listing([], None)
    thread = _parse_thread(raw, listing)
    return listing.rejects[0] if listing.rejects or thread is None else thread


def parse_message_record(raw: Any) -> Message | Reject:
    """A raw message that was rejected before, parsed again."""
    try:
        message: Message = _message.validate_python(without_odd_ids(raw))
        return message
    except ValidationError as error:
        return _reject("message", raw, error)


def parse_list(body: bytes) -> int:
    """The number of records in a list. Raises UnexpectedAnswer if the body is not a list."""
    return len(_parse_raw_list(body)["data"])


def parse_page(body: bytes) -> PageProfile:
    profile: PageProfile = _parse(_page, body)
    return profile


def parse_profile(body: bytes) -> str | None:
    """A contact's name, if the profile has one."""
    profile: Profile = _parse(_profile, body)
    names = (profile.get("first_name"), profile.get("last_name"))
    full_name = " ".join(name for name in names if name)
    return profile.get("name") or full_name or profile.get("username") or None


def _parse_raw_list(body: bytes) -> Any:
    """A list whose records are not validated yet. Raises UnexpectedAnswer."""
    content = parse_json(body)
    try:
        return _raw_list.validate_python(content)
    except ValidationError as error:
        reason = "it is not JSON" if content is None else _reason(error)
        raise UnexpectedAnswer(f"The answer is not as documented: {reason}.") from None


def _parse(adapter: TypeAdapter[Any], body: bytes) -> Any:
    try:
        return adapter.validate_json(body)
    except ValidationError as error:
        raise UnexpectedAnswer(f"The answer is not as documented: {_reason(error)}.") from None


def _parse_thread(raw: Any, listing: Listing[Any]) -> Thread | None:
    """The thread with its usable messages; None if it is not usable itself.

    Adds what is not usable to the listing's rejects.
    """
    raw = without_odd_ids(raw)
    try:
        thread: Thread = _thread.validate_python(raw)
        return thread
    except ValidationError as error:
        messages = raw.get("messages") if isinstance(raw, dict) else None
        if not isinstance(messages, dict) or not isinstance(messages.get("data"), list):
            listing.rejects.append(_reject("thread", raw, error))
            return None
    try:
        thread = _thread.validate_python({**raw, "messages": {**messages, "data": []}})
    except ValidationError as error:
        listing.rejects.append(_reject("thread", raw, error))
        return None
    assert thread["messages"] is not None
    thread["messages"]["data"] = _parse_usable(messages["data"], thread["id"], listing)
    return thread


def _parse_usable(
    raws: Iterable[Any], thread_id: str | None, listing: Listing[Any]
) -> list[Message]:
    """The usable messages. Adds the others to the listing's rejects or withheld threads."""
    usable = []
    for raw in raws:
        if isinstance(raw, dict) and raw.keys() == {"id"}:
            # Meta withholds the details of all but the newest 20 messages.
            # Source: Messenger Platform, Conversations API.
            listing.withheld.add(thread_id)
            continue
        try:
            usable.append(_message.validate_python(without_odd_ids(raw)))
        except ValidationError as error:
            listing.rejects.append(_reject("message", raw, error, thread_id))
    return usable


def _unknown_in(threads: list[Thread]) -> Counter[str]:
    found: Counter[str] = Counter()
    for thread in threads:
        if not thread.keys() <= _THREAD_KEYS:
            found.update(f"thread.{name}" for name in thread.keys() - _THREAD_KEYS)
        nested = thread.get("messages")
        found.update(_unknown_messages((nested.get("data") or []) if nested else []))
    return found


def _unknown_messages(messages: list[Message]) -> Counter[str]:
    found: Counter[str] = Counter()
    for message in messages:
        if not message.keys() <= _MESSAGE_KEYS:
            found.update(f"message.{name}" for name in message.keys() - _MESSAGE_KEYS)
    return found


def _reject(
    kind: Literal["thread", "message"],
    raw: Any,
    error: ValidationError,
    thread_id: str | None = None,
) -> Reject:
    identity = raw.get("id") if isinstance(raw, dict) else None
    return Reject(kind, str(identity or ""), _reason(error), without_paging(raw), thread_id)


def _reason(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'answer'}: {first['msg']}"


def parse_json(body: bytes) -> Any:
    """Parse JSON; None if the body is not JSON.

    Half of a surrogate pair, left where an emoji was cut in two, becomes the replacement
    character: neither PostgreSQL nor pydantic accepts it as text.
    """
    try:
        return _replace_surrogates(json.loads(body))
    except (ValueError, RecursionError):
        return None


def _replace_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_replace_surrogates(name): _replace_surrogates(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_replace_surrogates(one) for one in value]
    return value
