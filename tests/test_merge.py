"""Parsing payloads to rows, and the merge rules as properties."""

import itertools
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messenger_pipeline.graph.models import Message, Thread
from messenger_pipeline.merge import (
    dedupe_conversations,
    dedupe_events,
    finer_time,
    identity,
    join_parts,
    merge_events,
    message_key,
)
from messenger_pipeline.rows import EventRow
from messenger_pipeline.stable import stable_content
from messenger_pipeline.sync.parse import others_in, parse_message

NOW = datetime(2026, 5, 1, tzinfo=UTC)
PAGE = "10"

# Quarters of a second within 3 seconds: whole seconds and finer times, often equal.
times = st.integers(0, 12).map(lambda quarters: NOW + timedelta(milliseconds=250 * quarters))


@st.composite
def versions(draw: st.DrawFn) -> EventRow:
    """Versions of one message from various sources. There is one content at a time, and replaced
    content does not return: repeated content keeps its first time."""
    as_of = draw(st.integers(0, 5))
    content: list[dict[str, Any]] = [
        {"text": "a"},
        {"text": "b"},
        {"text": "b", "sticker": "s"},
        {"text": "é"},
        {"reactions": [{"reaction": "love"}]},
        {},
    ]
    return {
        "event_type": draw(st.sampled_from(["message", "message_received", "message_sent"])),
        "event_timestamp": draw(times),
        "message_id": draw(st.sampled_from(["mid.1", "m_mid.1"])),
        "as_of": NOW + timedelta(seconds=as_of),
        "metadata": dict(content[as_of]),
    }


def facts(event: EventRow) -> Any:
    """The parts of an event that must not depend on the order of its versions."""
    return (
        identity(event),
        event["event_type"],
        event["event_timestamp"],
        stable_content(event["metadata"]),
    )


@given(st.lists(versions(), min_size=1, max_size=5))
def test_versions_merge_to_the_same_event_in_any_order(group: list[EventRow]) -> None:
    merged = {repr(facts(reduce(merge_events, order))) for order in itertools.permutations(group)}
    assert len(merged) == 1


@given(versions(), versions())
def test_merging_a_version_again_changes_nothing(one: EventRow, other: EventRow) -> None:
    merged = merge_events(one, other)
    assert facts(merge_events(merged, other)) == facts(merged)
    assert facts(merge_events(merged, one)) == facts(merged)


@given(times, times, times)
def test_the_finer_time_is_one_of_the_times_whatever_the_order(
    one: datetime, other: datetime, third: datetime
) -> None:
    finest = finer_time(one, finer_time(other, third))
    assert finest in (one, other, third)
    assert finest == finer_time(finer_time(third, one), other)
    assert finest.microsecond or not any(t.microsecond for t in (one, other, third))


def test_a_later_version_replaces_the_text_and_an_earlier_one_does_not() -> None:
    def version(text: str, second: int) -> EventRow:
        return {
            "event_type": "message_received",
            "event_timestamp": NOW,
            "message_id": "mid.1",
            "as_of": NOW + timedelta(seconds=second),
            "metadata": {"text": text},
        }

    assert merge_events(version("old", 1), version("new", 2))["metadata"]["text"] == "new"
    assert merge_events(version("new", 2), version("old", 1))["metadata"]["text"] == "new"


def test_an_unsent_message_keeps_no_text() -> None:
    message: EventRow = {
        "event_type": "message_received",
        "event_timestamp": NOW,
        "message_id": "mid.1",
        "as_of": NOW,
        "metadata": {"text": "secret"},
    }
    unsent: EventRow = {**message, "metadata": {"unsent_at": "2026-05-01"}}
    assert merge_events(message, unsent)["metadata"] == {"unsent_at": "2026-05-01"}
    assert merge_events(unsent, message)["metadata"] == {"unsent_at": "2026-05-01"}


def test_content_is_the_same_if_only_cdn_urls_differ() -> None:
    def image(query: str) -> dict[str, Any]:
        address = f"https://scontent-a.xx.fbcdn.net/v/1.jpg?{query}"
        return {"attachments": [{"id": "1", "image_data": {"url": address}}]}

    assert stable_content(image("oh=1")) == stable_content(image("oh=2"))
    texts = [{"text": f"https://scontent-a.xx.fbcdn.net/v/1.jpg?{query}"} for query in "ab"]
    assert stable_content(texts[0]) != stable_content(texts[1]), "a text is somebody's words"


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("m_mid.1:ab", "mid.1:ab"),
        ("mid.1:ab", "mid.1:ab"),
        ("m_AbC", "m_AbC"),
        ("mid.$cA", "mid.$cA"),
    ],
)
def test_m_mid_and_mid_are_the_same_id(given: str, canonical: str) -> None:
    assert message_key(given) == canonical


def message(**fields: Any) -> Message:
    return {"id": "m_1", "created_time": NOW, **fields}  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    ("sender", "event_type"),
    [
        ({"id": PAGE}, "message_sent"),
        ({"id": "20"}, "message_received"),
        ({"name": "gone"}, "message_received"),
        ({"name": "gone", "id": ""}, "message_received"),
        ({"name": "gone", "id": "0"}, "message_received"),
        ({}, "message"),
        (None, "message"),
    ],
)
def test_the_sender_decides_the_direction_of_a_message(sender: Any, event_type: str) -> None:
    assert (
        parse_message(message(**{"from": sender}), frozenset({PAGE}), "initial_sync")["event_type"]
        == event_type
    )


def test_a_message_becomes_an_event_with_its_content() -> None:
    given = message(
        **{
            "from": {"id": "20"},
            "message": "hi",
            "attachments": {"data": [{"id": "9"}], "paging": {"next": "https://x?access_token=S"}},
            "reply_to": {"mid": "m_0"},
            "shares": {"data": []},
        }
    )
    assert parse_message(given, frozenset({PAGE}), "incremental_sync") == {
        "event_type": "message_received",
        "event_timestamp": NOW,
        "message_id": "m_1",
        "metadata": {
            "source": "incremental_sync",
            "message_id": "m_1",
            "text": "hi",
            "attachments": [{"id": "9"}],
            "reply_to": {"mid": "m_0"},
        },
    }


def thread(participants: Any, *senders: str) -> Thread:
    messages = [message(**{"from": {"id": sender}}) for sender in senders]
    return {
        "id": "t_1",
        "updated_time": NOW,
        "participants": participants,
        "messages": {"data": messages},
    }


@pytest.mark.parametrize(
    ("given", "contact"),
    [
        (thread([{"id": "20", "name": "A"}, {"id": PAGE}]), {"id": "20", "name": "A"}),
        (thread([{"id": PAGE}, {"id": "30"}, {"id": "20"}], PAGE, "30", "20"), {"id": "20"}),
        (thread([{"id": PAGE}], PAGE, "20"), {"id": "20"}),
        (thread([{"name": "no id"}, {"id": PAGE}], PAGE), None),
        (thread([]), None),
    ],
)
def test_the_contact_is_the_participant_other_than_the_page(given: Thread, contact: Any) -> None:
    others = others_in(given, frozenset({PAGE}))
    assert others.get(min(others, default="")) == contact


@given(st.lists(versions(), max_size=6))
def test_deduping_leaves_one_event_per_identity(group: list[EventRow]) -> None:
    result = dedupe_events(list(group), NOW)
    assert len(result) == len({identity(event) for event in group})


def test_two_threads_of_one_contact_are_one_conversation() -> None:
    events = [parse_message(message(), frozenset({PAGE}), "initial_sync")]
    [row] = dedupe_conversations(
        [
            {"sender_id": "20", "sender_name": None, "as_of": NOW, "events": events},
            {"sender_id": "20", "sender_name": "A", "as_of": NOW, "events": list(events)},
        ]
    )
    assert row["sender_name"] == "A"
    assert len(row["events"]) == 1


parts = st.fixed_dictionaries(
    {"source": st.just("webhook")},
    optional={
        "text": st.sampled_from(["a", "z", "ä"]),
        "reply_to": st.sampled_from([{"mid": "m_1"}, {"mid": "m_2"}]),
        "sent_by": st.sampled_from(["unknown", "app:7", "page_inbox"]),
        "nlp": st.integers(0, 2),
        "attachments": st.lists(
            st.sampled_from([{"type": "image", "payload": {"url": name}} for name in "xyz"])
        ),
    },
)


@given(st.lists(parts, min_size=1, max_size=4), st.randoms())
def test_parts_of_a_message_in_one_delivery_give_what_they_give_in_several(
    given_parts: list[dict[str, Any]], order: Any
) -> None:
    def version(metadata: dict[str, Any]) -> EventRow:
        row: EventRow = {
            "event_type": "message_sent",
            "event_timestamp": NOW,
            "message_id": "m_1",
            "as_of": NOW,
            "metadata": metadata,
        }
        return row

    whole = join_parts(given_parts)
    shuffled = [*given_parts]
    order.shuffle(shuffled)
    assert join_parts(shuffled) == join_parts([whole, *given_parts]) == whole
    merged = reduce(merge_events, [version(one) for one in shuffled], version(shuffled[0]))
    assert merge_events(version(whole), version(whole))["metadata"] == merged["metadata"]
