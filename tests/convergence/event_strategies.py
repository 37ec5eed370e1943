"""Strategies for versions of one event, as different sources report them."""

from datetime import datetime
from typing import Any

from hypothesis import strategies as st

from messenger_pipeline.merge import identity, message_key, stable_content
from messenger_pipeline.rows import EventRow
from tests.convergence.sql_calls import at

SPELLINGS = st.sampled_from(["mid.1", "m_mid.1"])
SOURCES = st.sampled_from(["initial_sync", "incremental_sync", "webhook"])
# Quarters of seconds, often equal.
TIMES = st.integers(0, 10).map(lambda quarters: at(quarters / 4))
DIRECTIONS = st.sampled_from(["message", "message_received", "message_sent"])
TEXTS = st.sampled_from([None, "", "a", "b", "B", "ä", "\U0001f600", "\uffff", 'say "a"', "a\\"])
REACTIONS = st.sampled_from([None, [{"reaction": "love"}], [{"reaction": "sad"}, {"x": None}]])
PICTURES = st.sampled_from([None, "1", "2"])
ADDRESSES = st.sampled_from(["oh=1", "oh=2&oe=3"])
PLAIN: list[dict[str, Any]] = [{}, {"sticker": "s"}, {"reply_to": {"mid": "m"}}, {"story": {}}]


@st.composite
def contents(draw: st.DrawFn) -> dict[str, Any]:
    """The content of a message without the address of its picture, which each version adds."""
    content: dict[str, Any] = dict(draw(st.sampled_from(PLAIN)))
    for key, value in (("text", draw(TEXTS)), ("reactions", draw(REACTIONS))):
        if value is not None:
            content[key] = value
    picture = draw(PICTURES)
    if picture is not None:
        content["attachments"] = [{"id": picture}]
    return content


@st.composite
def version(draw: st.DrawFn, content: dict[str, Any], as_of: datetime) -> EventRow:
    """One source's version of a content: its spelling, direction, time and addresses."""
    message_id = draw(SPELLINGS)
    metadata: dict[str, Any] = {"source": draw(SOURCES), "message_id": message_id, **content}
    if "attachments" in content:
        url = f"https://scontent-{draw(st.sampled_from('ab'))}.xx.fbcdn.net/1.jpg?{draw(ADDRESSES)}"
        metadata["attachments"] = [{**content["attachments"][0], "image_data": {"url": url}}]
    return {
        "event_type": draw(DIRECTIONS),
        "event_timestamp": draw(TIMES),
        "message_id": message_id,
        "as_of": as_of,
        "metadata": metadata,
    }


@st.composite
def dated_once(draw: st.DrawFn) -> list[EventRow]:
    """Versions in which each content has one as_of, which several contents may share."""
    known = draw(st.lists(contents(), min_size=1, max_size=4, unique_by=stable_content))
    dated = [(content, at(draw(st.integers(0, 3)))) for content in known]
    chosen = draw(st.lists(st.sampled_from(dated), min_size=1, max_size=5))
    return [draw(version(*one)) for one in chosen]


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


def facts(row: EventRow) -> tuple[Any, ...]:
    """The parts of a merged event that must not depend on the order of its versions."""
    content = {k: v for k, v in row["metadata"].items() if k not in ("source", "message_id")}
    return identity(row), row["event_type"], row["event_timestamp"], stable_content(content)


def spelled_alike(row: EventRow) -> EventRow:
    assert row["message_id"] is not None
    return {**row, "message_id": message_key(row["message_id"])}
