"""Deliveries of every shape: built, real and mutated; and the paths of their items."""

import json
import os
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

PAGE, CONTACT = "100", "200"
MS = 1458692752478

PAYLOADS = Path(os.environ.get("MESSENGER_PAYLOADS", Path(__file__).parents[3] / "shared/payloads"))


def item(**fields: Any) -> dict[str, Any]:
    """An item of a messaging list, from the contact to the page."""
    return {"sender": {"id": CONTACT}, "recipient": {"id": PAGE}, "timestamp": MS, **fields}


def by_page(**fields: Any) -> dict[str, Any]:
    return item(**{"sender": {"id": PAGE}, "recipient": {"id": CONTACT}, **fields})


def envelope(*items: Any, **entry: Any) -> dict[str, Any]:
    return {"object": "page", "entry": [{"id": PAGE, "time": MS, "messaging": [*items], **entry}]}


def encoded(body: Any) -> bytes:
    return json.dumps(body).encode()


def delivery(*items: Any, **entry: Any) -> bytes:
    return encoded(envelope(*items, **entry))


SAMPLES: list[Any] = [
    envelope(item(message={"mid": "m_1", "text": "hi", "quick_reply": {"payload": "Q"}})),
    envelope(
        by_page(message={"mid": "m_2", "text": "yes", "is_echo": True, "app_id": 1}),
        item(reaction={"mid": "m_2", "action": "react", "emoji": "😍", "reaction": "love"}),
        item(message_edit={"mid": "m_1", "text": "hello", "num_edit": 1}),
        item(message={"mid": "m_1", "is_deleted": True}),
    ),
    envelope(
        item(
            message={
                "mid": "m_3",
                "attachments": [
                    {"type": "image", "payload": {"url": "https://scontent.xx.fbcdn.net/1.jpg"}},
                    {"type": "fallback", "payload": None},
                ],
                "reply_to": {"mid": "m_2"},
            }
        ),
        item(postback={"mid": "m_4", "title": "Go", "payload": "P", "referral": {"ref": "r"}}),
        item(read={"watermark": MS}),
        by_page(delivery={"mids": ["m_2"], "watermark": MS}),
        item(referral={"ref": "r", "source": "SHORTLINK", "type": "OPEN_THREAD"}),
        item(optin={"ref": "r"}),
    ),
    {
        "object": "page",
        "entry": [
            {"id": PAGE, "time": MS, "standby": [item(message={"mid": "m_5", "text": "aside"})]},
            {"id": 100, "time": str(MS), "messaging": item(message={"text": "no id"})},
            {"id": PAGE, "changes": [{"field": "feed", "value": {"item": "post"}}]},
        ],
    },
    envelope(item(pass_thread_control={"new_owner_app_id": 1})),
    {"object": "instagram", "entry": [{"id": "17", "messaging": [item(read={"mid": "ig_1"})]}]},
]
"""One delivery of each kind."""


def real_bodies() -> dict[str, bytes]:
    """Deliveries from public repositories, by file name. Their licences do not let us ship them."""
    paths = sorted(PAYLOADS.glob("webhook__*.json"))
    if not paths:
        pytest.skip(f"no payloads in {PAYLOADS}: set MESSENGER_PAYLOADS to their folder")
    return {path.name: path.read_bytes() for path in paths}


# -- The paths of items -------------------------------------------------------------------------


def places(body: Any) -> Iterator[tuple[str, Any]]:
    """The path of each item of a body, and its value. A level without items is an item itself."""
    if not isinstance(body, list | dict) or body == []:
        yield "body", body
        return
    for number, one in enumerate(body if isinstance(body, list) else [body]):
        yield from _of_envelope(f"{number}." if isinstance(body, list) else "", one)


def _of_envelope(path: str, envelope: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(envelope, dict):
        yield f"{path}body", envelope
    elif envelope.get("object") not in (None, "page", "instagram"):
        yield f"{path}object", envelope
    elif "entry" not in envelope and not {"messaging", "standby", "changes", "change"} & {
        *envelope
    }:
        yield f"{path}body", envelope
    else:
        entries = _several(envelope.get("entry")) if "entry" in envelope else [envelope]
        for number, entry in enumerate(entries):
            yield from _of_entry(f"{path}entry.{number}", entry)
        if not entries:
            yield f"{path}entry", envelope


def _of_entry(path: str, entry: Any) -> Iterator[tuple[str, Any]]:
    channels = ("messaging", "standby", "changes", "change") if isinstance(entry, dict) else ()
    found = [
        (f"{path}.{channel}.{number}", one)
        for channel in channels
        for number, one in enumerate(_several(entry.get(channel)))
    ]
    yield from found or [(path, entry)]


def _several(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


# -- Generated values and mutations -------------------------------------------------------------

texts = st.text(max_size=8) | st.sampled_from(
    [
        "\0",
        "a\0b",
        "\ud83d",
        "\udc00x",
        "x" * 501,
        "😍" * 900,
        "😍" * 500,
        "0",
        "",
        str(MS),
        "100",
        "m_1",
    ]
)
numbers = (
    st.integers()
    | st.floats()
    | st.sampled_from([0, -1, MS, MS // 1000, 10**30, 10**600, 10**4000, 1e308, 100, 200])
)
names = st.sampled_from(
    ["object", "entry", "messaging", "standby", "changes", "change", "id", "time", "timestamp",
     "sender", "recipient", "user_ref", "message", "mid", "text", "is_echo", "is_deleted",
     "attachments", "payload", "type", "reaction", "message_edit", "num_edit", "postback", "read",
     "delivery", "watermark", "mids", "referral", "optin", "source", "app_roles", "field"]
)  # fmt: skip
leaves = st.none() | st.booleans() | numbers | texts
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names | texts, inner, max_size=4),
    max_leaves=12,
)


def _nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


replacements = values | st.sampled_from([_nested(20), _nested(70), ["x" * 3000], {"x" * 600: 1}])


@st.composite
def mutations(draw: st.DrawFn, bodies: st.SearchStrategy[Any], most: int = 3) -> Any:
    """A body with some nodes deleted, replaced, wrapped, duplicated or of another type."""
    value = deepcopy(draw(bodies))
    for _ in range(draw(st.integers(1, most))):
        found = list(_nodes(value))
        if not found:
            return value
        parent, key = draw(st.sampled_from(found))
        how = draw(st.sampled_from(["delete", "replace", "wrap", "unwrap", "double", "retype"]))
        _mutate(draw, parent, key, how)
    return value


def _nodes(value: Any) -> Iterator[tuple[Any, Any]]:
    keys: Any = value.keys() if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _nodes(value[key])


def _mutate(draw: st.DrawFn, parent: Any, key: Any, how: str) -> None:
    value = parent[key]
    if how == "delete":
        del parent[key]
    elif how == "replace":
        parent[key] = deepcopy(draw(replacements))
    elif how == "wrap":
        parent[key] = draw(st.sampled_from([[value], {"id": value}]))
    elif how == "unwrap" and isinstance(value, list | dict) and value:
        parent[key] = next(iter(value.values() if isinstance(value, dict) else value))
    elif how == "double" and isinstance(parent, list):
        parent.append(deepcopy(value))
    else:
        parent[key] = draw(_of_another_type(value))


def _of_another_type(value: Any) -> st.SearchStrategy[Any]:
    if isinstance(value, int) and not isinstance(value, bool):
        return st.sampled_from([str(value), float(value % 10**300), value // 1000, bool(value)])
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        return st.just(int(value))
    return st.just(json.dumps(value))
