"""What the Graph API answers: lists, threads, messages and their paging."""

from collections.abc import Sequence
from typing import Any

from graph_simulator.call import MAX_MESSAGES, Call
from graph_simulator.cursors import HEAD, list_cursor, message_cursor
from graph_simulator.history import page_as_party
from graph_simulator.malformed import Record
from graph_simulator.page import ThreadKey
from graph_simulator.profiles import show_profile
from graph_simulator.wire import Fields, Refused, gone, show_message, time_of

Body = dict[str, Any]

APP_ID = "1500000000000001"
"""The app whose calls these are."""

_WITHOUT_VALUE = ("id", "snippet", "can_reply", "link", "name", "tags")
_MESSAGE_FIELDS = frozenset({
    "created_time", "from", "to", "message", "attachments", "shares", "sticker", "reactions",
    "reply_to", "story", "tags", "is_unsupported",
})  # fmt: skip


def answer(call: Call) -> Any:
    """The body. Raises Refused."""
    if call.edge == "conversations":
        return _list(call)
    if call.edge in ("thread", "messages") and not call.page.has(call.number):
        raise gone(call.world.thread_id(call.page, call.number))
    if call.edge == "thread":
        return _thread(call, call.number)
    if call.edge == "profile":
        return show_profile(call.page, call.number, call.fields)
    if call.edge == "messages":
        return _messages(call, call.number, call.fields, call.limit, call.top)
    if call.request.path_params.get("edge") == "subscribed_apps":
        return _subscribed_apps(call)
    page = call.page
    about = {"id": page.id, "name": page.name, "category": "Shopping/retail"}
    return {name: about[name] for name in call.fields if name in about}


def _subscribed_apps(call: Call) -> Body:
    """The one app there is, if it is subscribed."""
    if call.page.subscribed_fields is None:
        return {"data": []}
    app = {
        "id": APP_ID,
        "name": "A simulated app",
        "subscribed_fields": call.page.subscribed_fields,
    }
    return {"data": [{name: value for name, value in app.items() if name in call.fields}]}


def _list(call: Call) -> Body:
    page, place = call.page, call.list_place
    if call.empty:
        same = place if place is not None else 0 if call.world.cursors == "offset" else HEAD
        cursor = list_cursor(page, same, nonce=str(call.ledger.by_page[page.id]))
        return {"data": [], "paging": _paging(call, _list_path(call), cursor, cursor, True)}
    start = call.world.depth(page, place)
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
    return f"{call.page.id}/conversations"


def _thread(call: Call, number: int) -> Any:
    page, world = call.page, call.world
    thread: Record = {"id": world.thread_id(page, number)}
    for name, (limit, nested) in call.fields.items():
        if name == "updated_time":
            thread[name] = time_of(page.age(number))
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
            raise Refused(400, 100, f"(#100) Tried accessing nonexisting field ({name})")
    return call.thread_as_told(number, thread) if call.oddities else thread


def _messages(call: Call, number: int, fields: Fields, limit: int, top: int) -> Body:
    page, world = call.page, call.world
    path = f"{world.thread_id(page, number)}/messages"
    if call.empty and call.edge == "messages":
        cursor = message_cursor(page, top, nonce=str(call.ledger.by_page[page.id]))
        return {"data": [], "paging": _paging(call, path, cursor, cursor, True)}
    whole_from = max(0, world.length(page, number) - call.newest) if call.newest is not None else 0
    if whole_from and not call.only_ids:
        if top <= whole_from:
            raise gone(world.thread_id(page, number))
        limit = min(limit, top - whole_from)
    found = world.messages(page, number, top, limit)
    body: Body = {
        "data": [
            _message(call, number, top - 1 - back, message, fields)
            if top - 1 - back >= whole_from
            else {"id": message["id"]}
            for back, message in enumerate(found)
        ]
    }
    if found:
        bottom = top - len(found)
        first, last = message_cursor(page, top - 1), message_cursor(page, bottom)
        body["paging"] = _paging(call, path, first, last, bottom > 0)
    return body


def _message(call: Call, number: int, ordinal: int, message: Record, fields: Fields) -> Record:
    shown = show_message(message, fields)
    if not call.oddities:
        return shown
    told = call.message_as_told(number, ordinal, shown)
    # Odd is what was asked for, or what nobody can ask for.
    return {
        name: value
        for name, value in told.items()
        if name in shown or name in fields or name not in _MESSAGE_FIELDS
    }


def _paging(call: Call, path: str, before: str, after: str, more: bool) -> Body:
    paging: Body = {} if call.bare_paging else {"cursors": {"before": before, "after": after}}
    if more:
        # Meta's links embed the token, whoever asked.
        request = call.request
        root = f"{request.base_url}{request.path_params['version']}"
        token = call.page.token
        paging["next"] = f"{root}/{path}?access_token={token}&limit=25&after={after}"
    return paging
