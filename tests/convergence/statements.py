"""Statements of one event, as sources may make them of it: strategies for the pure rules."""

from datetime import datetime
from typing import Any

from hypothesis import strategies as st

from messenger_pipeline.merge import identity, message_key, stable_content
from messenger_pipeline.rows import EventRow
from tests.convergence.asking import at

SPELLINGS = st.sampled_from(["mid.1", "m_mid.1"])
SOURCES = st.sampled_from(["initial_sync", "incremental_sync", "webhook"])
# Whole seconds and finer ones, often equal.
TIMES = st.integers(0, 10).map(lambda quarters: at(quarters / 4))
DIRECTIONS = st.sampled_from(["message", "message_received", "message_sent"])
TEXTS = st.sampled_from([None, "", "a", "b", "B", "ä", "\U0001f600", "\uffff", 'say "a"', "a\\"])
REACTIONS = st.sampled_from([None, [{"reaction": "love"}], [{"reaction": "sad"}, {"x": None}]])
PICTURES = st.sampled_from([None, "1", "2"])
ADDRESSES = st.sampled_from(["oh=1", "oh=2&oe=3"])
PLAIN: list[dict[str, Any]] = [{}, {"sticker": "s"}, {"reply_to": {"mid": "m"}}, {"story": {}}]


@st.composite
def contents(draw: st.DrawFn) -> dict[str, Any]:
    """What a message says; a picture's address is left to each statement of it."""
    content: dict[str, Any] = dict(draw(st.sampled_from(PLAIN)))
    for key, value in (("text", draw(TEXTS)), ("reactions", draw(REACTIONS))):
        if value is not None:
            content[key] = value
    picture = draw(PICTURES)
    if picture is not None:
        content["attachments"] = [{"id": picture}]
    return content


@st.composite
def statement(draw: st.DrawFn, content: dict[str, Any], as_of: datetime) -> EventRow:
    """One source's statement of a content: its spelling, direction, time and addresses."""
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
    """Statements in which each content has one as_of, and often several contents the same one."""
    known = draw(st.lists(contents(), min_size=1, max_size=4, unique_by=stable_content))
    dated = [(content, at(draw(st.integers(0, 3)))) for content in known]
    chosen = draw(st.lists(st.sampled_from(dated), min_size=1, max_size=5))
    return [draw(statement(*one)) for one in chosen]


@st.composite
def histories(draw: st.DrawFn) -> list[EventRow]:
    """Statements of a message that says one thing after another and perhaps is unsent in the
    end: each content is stated at any times of its own. Of an unsent one the text may be told
    once more."""
    known = draw(st.lists(contents(), min_size=1, max_size=4, unique_by=stable_content))
    known = [content for content in known if content] or [{"text": "a"}]
    told = []
    for content, begun in zip(known, range(0, 40, 10), strict=False):
        times = draw(st.lists(st.integers(begun, begun + 9), max_size=2))
        told += [draw(statement(content, at(time))) for time in times]
    if draw(st.booleans()):
        told += draw(st.lists(unsent(99), min_size=1, max_size=2))
        told += draw(st.lists(statement({}, at(100)), max_size=1))
        told += draw(st.lists(statement({"text": "still"}, at(101)), max_size=1))
    return told or [draw(statement(known[0], at(0)))]


@st.composite
def unsent(draw: st.DrawFn, seconds: int) -> EventRow:
    row = draw(statement({}, at(seconds)))
    row["metadata"]["unsent_at"] = str(seconds)
    return row


def facts(row: EventRow) -> tuple[Any, ...]:
    """What the statements determine of their event, whatever the order in which they came."""
    said = {k: v for k, v in row["metadata"].items() if k not in ("source", "message_id")}
    return identity(row), row["event_type"], row["event_timestamp"], stable_content(said)


def spelled_alike(row: EventRow) -> EventRow:
    assert row["message_id"] is not None
    return {**row, "message_id": message_key(row["message_id"])}
