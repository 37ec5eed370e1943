"""Response bodies of the Graph API: lists, threads, messages and their paging."""

from collections.abc import Sequence
from typing import Any

from graph_simulator.call import MAX_MESSAGES, Call
from graph_simulator.cursors import HEAD, list_cursor, message_cursor
from graph_simulator.errors import ApiError, not_found
from graph_simulator.faults.malformed import Record
from graph_simulator.fields import Fields, render_message
from graph_simulator.history import page_as_party, updated_time, username
from graph_simulator.page import ThreadKey
from graph_simulator.profiles import render_profile

Body = dict[str, Any]

APP_ID = "1500000000000001"
"""The app that makes the calls."""

_WITHOUT_VALUE = ("id", "snippet", "can_reply", "link", "name", "tags")
_MESSAGE_FIELDS = frozenset({
    "created_time", "from", "to", "message", "attachments", "shares", "sticker", "reactions",
    "reply_to", "story", "tags", "is_unsupported",
})  # fmt: skip


def response_body(call: Call) -> Any:
    """The body of a successful response. Raises ApiError."""
    if call.edge == "conversations":
        return _list(call)
    if call.edge in ("thread", "messages") and not call.page.has(call.number):
        raise not_found(call.world.thread_id(call.page, call.number))
    if call.edge == "thread":
        return _thread(call, call.number)
    if call.edge == "profile":
        return render_profile(call.page, call.number, call.fields)
    if call.edge == "messages":
        return _messages(call, call.number, call.fields, call.limit, call.top)
    if call.request.path_params.get("edge") == "subscribed_apps":
        return _subscribed_apps(call)
    page = call.page
    values: Body = {"id": page.id, "name": page.name, "category": "Shopping/retail"}
    account = call.world.inbox(page, "instagram")
    if account is not None:
        values["instagram_business_account"] = {"id": account.id, "username": username(account.id)}
    return {name: values[name] for name in call.fields if name in values}


def _subscribed_apps(call: Call) -> Body:
    """The only app, if it is subscribed."""
    if call.page.subscribed_fields is None:
        return {"data": []}
    app = {
        "id": APP_ID,
        "name": "A simulated app",
        "subscribed_fields": call.page.subscribed_fields,
    }
    return {"data": [{name: value for name, value in app.items() if name in call.fields}]}


def _list(call: Call) -> Body:
    page, position = call.page, call.list_position
    if call.empty:
        start = 0 if call.world.cursors == "offset" else HEAD
        same = position if position is not None else start
        cursor = list_cursor(page, same, nonce=str(call.log.by_page[page.id]))
        return {"data": [], "paging": _paging(call, _list_path(call), cursor, cursor, True)}
    start = call.world.depth(page, position)
    keys, more = call.world.threads(page, start, call.limit)
    body: Body = {"data": [_thread(call, key.number) for key in keys]}
    if keys:
        first, last = _ends(call, start, keys)
        body["paging"] = _paging(call, _list_path(call), first, last, more)
    return body


def _ends(call: Call, start: int, keys: Sequence[ThreadKey]) -> tuple[str, str]:
    """The cursors before and after these threads."""
    if call.world.cursors == "offset":
        return list_cursor(call.page, start), list_cursor(call.page, start + len(keys))
    return list_cursor(call.page, keys[0]), list_cursor(call.page, keys[-1])


def _list_path(call: Call) -> str:
    return f"{call.page.graph_id or call.page.id}/conversations"


def _thread(call: Call, number: int) -> Any:
    page, world = call.page, call.world
    thread: Record = {"id": world.thread_id(page, number)}
    for name, (limit, nested) in call.fields.items():
        if name == "updated_time":
            thread[name] = updated_time(page.age(number))
        elif name in ("participants", "senders"):
            thread[name] = {"data": [world.contact(page, number), page_as_party(page)]}
        elif name == "message_count":
            thread[name] = world.length(page, number)
        elif name == "messages":
            top, fields = world.length(page, number), nested or {"id": (None, None)}
            thread[name] = _messages(call, number, fields, min(limit or 25, MAX_MESSAGES), top)
        elif name == "unread_count":
            thread[name] = 0
        elif name not in _WITHOUT_VALUE:
            raise ApiError(400, 100, f"(#100) Tried accessing nonexisting field ({name})")
    return call.malform_thread(number, thread) if call.malformations else thread


def _messages(call: Call, number: int, fields: Fields, limit: int, top: int) -> Body:
    page, world = call.page, call.world
    path = f"{world.thread_id(page, number)}/messages"
    if call.empty and call.edge == "messages":
        cursor = message_cursor(page, top, nonce=str(call.log.by_page[page.id]))
        return {"data": [], "paging": _paging(call, path, cursor, cursor, True)}
    detailed_from = _detailed_from(call, number)
    if detailed_from and not call.only_ids:
        if top <= detailed_from:
            raise not_found(world.thread_id(page, number))
        limit = min(limit, top - detailed_from)
    found = world.messages(page, number, top, limit)
    body: Body = {
        "data": [
            _message(call, number, top - 1 - back, message, fields)
            if top - 1 - back >= detailed_from
            else {"id": message["id"]}
            for back, message in enumerate(found)
        ]
    }
    if found:
        bottom = top - len(found)
        first, last = message_cursor(page, top - 1), message_cursor(page, bottom)
        body["paging"] = _paging(call, path, first, last, bottom > 0)
    return body


def _detailed_from(call: Call, number: int) -> int:
    """The ordinal of the oldest message with details."""
    if call.detailed is None:
        return 0
    return max(0, call.world.length(call.page, number) - call.detailed)


def _message(call: Call, number: int, ordinal: int, message: Record, fields: Fields) -> Record:
    rendered = render_message(message, fields)
    if not call.malformations:
        return rendered
    malformed = call.malform_message(number, ordinal, rendered)
    # Faults change requested fields and add unknown ones. They add no known field that was not
    # requested.
    return {
        name: value
        for name, value in malformed.items()
        if name in rendered or name in fields or name not in _MESSAGE_FIELDS
    }


def _paging(call: Call, path: str, before: str, after: str, more: bool) -> Body:
    paging: Body = {} if call.omit_cursors else {"cursors": {"before": before, "after": after}}
    if more:
        # Meta embeds the token in its links, even if the call sent it in a header.
        request = call.request
        root = f"{request.base_url}{request.path_params['version']}"
        token = call.page.token
        paging["next"] = f"{root}/{path}?access_token={token}&limit=25&after={after}"
    return paging
