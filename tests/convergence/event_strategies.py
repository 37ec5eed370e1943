"""Strategies for versions of one event, as different sources report them."""

from datetime import datetime
from functools import reduce
from typing import Any

from hypothesis import strategies as st

from messenger_pipeline.merge import identity, merge_events, message_key
from messenger_pipeline.rows import EventRow
from messenger_pipeline.stable import stable_content
from tests.convergence.sql_calls import at

SPELLINGS = st.sampled_from(["mid.1", "m_mid.1"])
SOURCES = st.sampled_from(["initial_sync", "incremental_sync", "webhook"])
# Quarters of seconds, often equal.
TIMES = st.integers(0, 10).map(lambda quarters: at(quarters / 4))
DIRECTIONS = st.sampled_from(["message", "message_received", "message_sent"])
TEXTS = st.sampled_from([None, "", "a", "b", "B", "ä", "\U0001f600", "\uffff", 'say "a"', "a\\"])
REACTIONS = st.sampled_from([None, [{"reaction": "love"}], [{"reaction": "sad"}, {"x": None}]])
PLAIN: list[dict[str, Any]] = [{}, {"sticker": "s"}, {"reply_to": {"mid": "m"}}, {"story": {}}]
SENT_BY = st.sampled_from([None, None, "unknown", "app:7", "automated"])
SIGNATURES = st.sampled_from(["oh=1", "oh=2&oe=3"])
HOSTS = st.sampled_from(["scontent-a.xx.fbcdn.net", "scontent-b.xx.fbcdn.net"])
NAMES = st.sampled_from(["1.jpg", "2.jpg", "p64x64/2.jpg"])


@st.composite
def urls(draw: st.DrawFn) -> str:
    """A URL of Meta's content network, signed in one of several ways."""
    if draw(st.integers(0, 4)) == 0:
        asset = draw(st.sampled_from(["asset_id=1", "asset_id=2"]))
        return f"https://lookaside.fbsbx.com/ig/?{asset}&{draw(SIGNATURES)}"
    return f"https://{draw(HOSTS)}/v/{draw(NAMES)}?{draw(SIGNATURES)}"


@st.composite
def delivered_attachments(draw: st.DrawFn) -> Any:
    """An attachment as a webhook states it; now and then one that no document describes."""
    kind = draw(st.sampled_from(["image", "image", "video", "sticker", "share", "ig_post", "file"]))
    payload = {"url": draw(urls())}
    match draw(st.integers(0, 9)):
        case 0:
            return {"type": "location", "payload": {"coordinates": {"lat": 1, "long": 2}}}
        case 1:
            return {"type": "fallback", "title": draw(st.sampled_from("ab")), "payload": None}
        case 2:
            return draw(st.sampled_from([{"id": "1"}, {"id": 2}, "text", ["image"], {"type": 1}]))
        case 3:
            return {"type": "template", "payload": {"elements": [{"title": draw(TEXTS)}]}}
        case 4:
            return {"type": kind, "payload": payload | {"sticker_id": 3}}
        case 5:
            return {"type": kind, "payload": payload | {"id": draw(st.sampled_from([4, "4", "5"]))}}
    return {"type": kind, "payload": payload}


@st.composite
def listed_attachments(draw: st.DrawFn) -> dict[str, Any]:
    """An attachment as an answer of the API lists it."""
    one: dict[str, Any] = {"id": draw(st.sampled_from("12")), "name": draw(NAMES)}
    match draw(st.integers(0, 5)):
        case 0:
            return one | {"mime_type": "audio/mpeg", "file_url": draw(urls())}
        case 1:
            return one | {"video_data": {"url": draw(urls())}}
        case 2:
            return {"id": "3", "generic_template": {"title": "t"}}
    return one | {"mime_type": "image/png", "image_data": {"url": draw(urls())}}


ATTACHMENTS = st.one_of(
    st.none(),
    st.lists(delivered_attachments(), max_size=3),
    st.lists(listed_attachments(), max_size=3),
    st.lists(delivered_attachments() | listed_attachments(), max_size=3),
    st.sampled_from(["one", {"type": "image"}]),
)


@st.composite
def contents(draw: st.DrawFn) -> dict[str, Any]:
    """The content of a message without its attachments, which each version adds."""
    content: dict[str, Any] = dict(draw(st.sampled_from(PLAIN)))
    for key, value in (("text", draw(TEXTS)), ("reactions", draw(REACTIONS))):
        if value is not None:
            content[key] = value
    return content


@st.composite
def version(draw: st.DrawFn, content: dict[str, Any], as_of: datetime) -> EventRow:
    """One source's version of a content: its spelling, direction, time, attachments and sender."""
    message_id = draw(SPELLINGS)
    metadata: dict[str, Any] = {"source": draw(SOURCES), "message_id": message_id, **content}
    for key, value in (("attachments", draw(ATTACHMENTS)), ("sent_by", draw(SENT_BY))):
        if value is not None:
            metadata[key] = value
    return {
        "event_type": draw(DIRECTIONS),
        "event_timestamp": draw(TIMES),
        "message_id": message_id,
        "as_of": as_of,
        "metadata": metadata,
    }


@st.composite
def statements(draw: st.DrawFn) -> list[EventRow]:
    """Versions with any content at any time: contents are replaced, and return."""
    known = draw(st.lists(contents(), min_size=1, max_size=3))
    return [
        draw(version(draw(st.sampled_from(known)), at(draw(st.integers(0, 4)))))
        for _ in range(draw(st.integers(1, 6)))
    ]


@st.composite
def histories(draw: st.DrawFn) -> list[EventRow]:
    """Versions of a message that is edited, and perhaps unsent at the end. Each content has times
    of its own. A source may report the text once more after the unsend."""
    known = draw(st.lists(contents(), min_size=1, max_size=4, unique_by=stable_content))
    known = [content for content in known if content] or [{"text": "a"}]
    versions = []
    for content, start in zip(known, range(0, 40, 10), strict=False):
        times = draw(st.lists(st.integers(start, start + 9), max_size=2))
        versions += [draw(version(content, at(time))) for time in times]
    if draw(st.booleans()):
        versions += draw(st.lists(unsent(99), min_size=1, max_size=2))
        versions += draw(st.lists(version({}, at(100)), max_size=1))
        versions += draw(st.lists(version({"text": "still"}, at(101)), max_size=1))
    return versions or [draw(version(known[0], at(0)))]


@st.composite
def unsent(draw: st.DrawFn, seconds: int) -> EventRow:
    row = draw(version({}, at(seconds)))
    row["metadata"]["unsent_at"] = str(seconds)
    return row


def merge_all(group: list[EventRow]) -> EventRow:
    """The merged versions. The first is merged with itself: that normalizes a single one, too."""
    return reduce(merge_events, [group[0], *group])


def facts(row: EventRow) -> tuple[Any, ...]:
    """The parts of a merged event that must not depend on the order of its versions."""
    content = {k: v for k, v in row["metadata"].items() if k not in ("source", "message_id")}
    return identity(row), row["event_type"], row["event_timestamp"], stable_content(content)


def spelled_alike(row: EventRow) -> EventRow:
    assert row["message_id"] is not None
    return {**row, "message_id": message_key(row["message_id"])}
