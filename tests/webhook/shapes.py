"""Shapes of deliveries: built, real and mutated; and where the items of any body are."""

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


def item(**says: Any) -> dict[str, Any]:
    """An item of a messaging list, from the contact to the page."""
    return {"sender": {"id": CONTACT}, "recipient": {"id": PAGE}, "timestamp": MS, **says}


def by_page(**says: Any) -> dict[str, Any]:
    return item(**{"sender": {"id": PAGE}, "recipient": {"id": CONTACT}, **says})


def envelope(*items: Any, **entry: Any) -> dict[str, Any]:
    return {"object": "page", "entry": [{"id": PAGE, "time": MS, "messaging": [*items], **entry}]}


def encoded(told: Any) -> bytes:
    return json.dumps(told).encode()


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
"""One of each kind."""


def real_bodies() -> dict[str, bytes]:
    """Deliveries gathered from public repositories, which are not ours to ship, by file name."""
    paths = sorted(PAYLOADS.glob("webhook__*.json"))
    if not paths:
        pytest.skip(f"no payloads in {PAYLOADS}; name their folder in MESSENGER_PAYLOADS")
    return {path.name: path.read_bytes() for path in paths}


# -- Where the items are ------------------------------------------------------------------------


def places(told: Any) -> Iterator[tuple[str, Any]]:
    """The path of each item that a body holds, and what stands there. What holds no item is one
    itself."""
    if not isinstance(told, list | dict) or told == []:
        yield "body", told
        return
    for number, one in enumerate(told if isinstance(told, list) else [told]):
        yield from _of_envelope(f"{number}." if isinstance(told, list) else "", one)


def _of_envelope(path: str, told: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(told, dict):
        yield f"{path}body", told
    elif told.get("object") not in (None, "page", "instagram"):
        yield f"{path}object", told
    elif "entry" not in told and not {"messaging", "standby", "changes", "change"} & {*told}:
        yield f"{path}body", told
    else:
        entries = _several(told.get("entry")) if "entry" in told else [told]
        for number, entry in enumerate(entries):
            yield from _of_entry(f"{path}entry.{number}", entry)
        if not entries:
            yield f"{path}entry", told


def _of_entry(path: str, entry: Any) -> Iterator[tuple[str, Any]]:
    channels = ("messaging", "standby", "changes", "change") if isinstance(entry, dict) else ()
    found = [
        (f"{path}.{channel}.{number}", one)
        for channel in channels
        for number, one in enumerate(_several(entry.get(channel)))
    ]
    yield from found or [(path, entry)]


def _several(told: Any) -> list[Any]:
    if told is None:
        return []
    return told if isinstance(told, list) else [told]


# -- Anything, and mutations --------------------------------------------------------------------

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
    told: Any = []
    for _ in range(depth):
        told = [told]
    return told


replacements = values | st.sampled_from([_nested(20), _nested(70), ["x" * 3000], {"x" * 600: 1}])


@st.composite
def mutations(draw: st.DrawFn, bodies: st.SearchStrategy[Any], most: int = 3) -> Any:
    """A body in which some nodes are deleted, replaced, wrapped, doubled, or of another type."""
    told = deepcopy(draw(bodies))
    for _ in range(draw(st.integers(1, most))):
        found = list(_nodes(told))
        if not found:
            return told
        parent, key = draw(st.sampled_from(found))
        how = draw(st.sampled_from(["delete", "replace", "wrap", "unwrap", "double", "retype"]))
        _mutate(draw, parent, key, how)
    return told


def _nodes(told: Any) -> Iterator[tuple[Any, Any]]:
    keys: Any = told.keys() if isinstance(told, dict) else range(len(told))
    for key in keys:
        yield told, key
        if isinstance(told[key], dict | list):
            yield from _nodes(told[key])


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
