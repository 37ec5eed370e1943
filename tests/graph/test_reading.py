"""Payloads of many shapes, including real ones if they are available."""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messenger_pipeline.errors import UnexpectedAnswer
from messenger_pipeline.graph.models import next_cursor, without_paging
from messenger_pipeline.graph.reading import (
    parse_cursor,
    parse_messages,
    parse_one_thread,
    parse_threads,
)

THREAD = {
    "id": "t_1",
    "updated_time": "2021-07-23T09:28:50+0000",
    "participants": {"data": [{"name": "A", "id": "20"}, {"name": "P", "id": "10"}]},
    "messages": {"data": [{"id": "m_1", "created_time": "2021-07-23T09:28:50+0000"}]},
}


def parse(*threads: Any, **answer: Any) -> Any:
    return parse_threads(json.dumps({"data": threads, **answer}).encode())


def test_a_list_of_threads_is_parsed_with_its_messages() -> None:
    listing = parse(THREAD, paging={"cursors": {"after": "A"}, "next": "https://x/?after=A"})
    assert listing.after == "A"
    assert listing.rejects == []
    assert [party["id"] for party in listing.records[0]["participants"]] == ["20", "10"]
    assert listing.records[0]["updated_time"].isoformat() == "2021-07-23T09:28:50+00:00"


@pytest.mark.parametrize(
    ("participants", "ids"),
    [
        ({"data": [{"id": 20}, None]}, ["20"]),
        ([{"id": "20"}], ["20"]),
        ({"id": "20", "username": "a"}, ["20"]),
        (None, []),
        ({"data": []}, []),
    ],
)
def test_participants_come_in_many_shapes(participants: Any, ids: list[str]) -> None:
    listing = parse({**THREAD, "participants": participants})
    assert [party["id"] for party in listing.records[0]["participants"]] == ids


def test_an_unusable_thread_is_rejected_and_the_others_are_kept() -> None:
    bad = {"id": "t_2", "paging": {"next": "https://x?access_token=S"}}
    listing = parse(THREAD, bad, "no object")
    assert [thread["id"] for thread in listing.records] == ["t_1"]
    assert [(r.identity, r.reason, r.record) for r in listing.rejects] == [
        ("t_2", "updated_time: Field required", {"id": "t_2"}),
        ("", "answer: Input should be a valid dictionary", "no object"),
    ]


def test_an_unusable_message_is_rejected_and_the_others_of_its_thread_are_kept() -> None:
    messages = [{"id": "m_2", "message": "x"}, *THREAD["messages"]["data"]]  # type: ignore[index]
    listing = parse({**THREAD, "messages": {"data": messages}})
    assert [m["id"] for m in listing.records[0]["messages"]["data"]] == ["m_1"]
    assert [(r.kind, r.identity, r.thread_id, r.reason) for r in listing.rejects] == [
        ("message", "m_2", "t_1", "created_time: Field required")
    ]


def test_a_message_with_only_an_id_is_withheld_and_not_rejected() -> None:
    messages = [*THREAD["messages"]["data"], {"id": "m_0"}]  # type: ignore[index]
    listing = parse({**THREAD, "messages": {"data": messages}})
    assert [m["id"] for m in listing.records[0]["messages"]["data"]] == ["m_1"]
    assert listing.rejects == []
    assert listing.withheld == {"t_1"}
    history = parse_messages(json.dumps({"data": [{"id": "m_0"}]}).encode())
    assert (history.records, history.rejects, history.withheld) == ([], [], {None})


def test_unknown_fields_are_counted_and_ignored() -> None:
    message = {**THREAD["messages"]["data"][0], "mood": 1}  # type: ignore[index]
    listing = parse({**THREAD, "colour": 1, "messages": {"data": [message, message]}}, THREAD)
    assert listing.unknown == {"thread.colour": 1, "message.mood": 2}
    assert listing.rejects == []


def test_the_cursor_of_an_answer_is_parsed_before_its_threads() -> None:
    body = json.dumps({"data": [THREAD], "paging": {"cursors": {"after": "A"}, "next": "x"}})
    unread = parse_cursor(body.encode())
    assert unread.after == "A"
    assert unread.parse() == parse_threads(body.encode())


answers = st.dictionaries(
    st.sampled_from(["data", "paging", "error", "error_code"]),
    st.none() | st.lists(st.just(THREAD), max_size=2) | st.sampled_from([1, "x", {}, {"code": 2}]),
)


@given(answers)
def test_parsing_the_cursor_rejects_the_same_bodies_as_parsing_the_threads(
    answer: dict[str, Any],
) -> None:
    body = json.dumps(answer).encode()
    try:
        expected: object = parse_threads(body)
    except UnexpectedAnswer:
        with pytest.raises(UnexpectedAnswer):
            parse_cursor(body).parse()
    else:
        assert parse_cursor(body).parse() == expected


def test_a_thread_requested_by_its_id_is_a_list_of_one() -> None:
    assert parse_one_thread(json.dumps(THREAD).encode()) == parse(THREAD)
    for body in (b"[]", b"<html>", b'{"data": []}'):
        with pytest.raises(UnexpectedAnswer):
            parse_one_thread(body)


def test_half_of_an_emoji_becomes_the_replacement_character() -> None:
    message = {"id": "m_1", "created_time": "2021-07-23T09:28:50+0000", "message": "cut \ud83d"}
    listing = parse({**THREAD, "messages": {"data": [message]}})
    assert listing.rejects == []
    assert listing.records[0]["messages"]["data"][0]["message"] == "cut \ufffd"
    assert parse_messages(json.dumps({"data": [message]}).encode()).records[0]["id"] == "m_1"


def test_a_list_ends_only_where_next_is_missing() -> None:
    assert next_cursor({"cursors": {"after": "A"}}) is None
    assert next_cursor(None) is None
    assert parse(paging={"cursors": {"after": "A"}, "next": "https://x/"}).after == "A"


def test_without_cursors_the_cursor_is_read_from_next() -> None:
    assert next_cursor({"next": "https://x/y?access_token=S&after=QVFI%3D"}) == "QVFI="
    with pytest.raises(UnexpectedAnswer, match="no cursor for it"):
        next_cursor({"next": "https://x/y?access_token=S"})


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"data": 1}', b"\xff", b'{"data": [{'])
def test_a_body_that_is_not_a_list_is_not_read_as_an_empty_list(body: bytes) -> None:
    for parser in (parse_threads, parse_messages):
        with pytest.raises(UnexpectedAnswer):
            parser(body)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["id", "updated_time", "participants", "messages"]), values))
def test_every_record_is_parsed_or_rejected(record: dict[str, Any]) -> None:
    listing = parse(THREAD, record)
    assert len(listing.records) + len(listing.rejects) >= 2


def test_raw_records_are_kept_without_links_that_contain_tokens() -> None:
    raw = {"a": [{"paging": {"next": "https://x?access_token=S"}, "b": 1}]}
    assert without_paging(raw) == {"a": [{"b": 1}]}


PAYLOADS = Path(os.environ.get("MESSENGER_PAYLOADS", Path(__file__).parents[3] / "shared/payloads"))


def test_every_real_payload_is_parsed_or_raises_unexpected_answer() -> None:
    """They come from public repositories, and are not ours to ship."""
    paths = list(PAYLOADS.glob("conversation__*.json"))
    if not paths:
        pytest.skip(f"no payloads in {PAYLOADS}; name their folder in MESSENGER_PAYLOADS")
    for path in paths:
        for parser in (parse_threads, parse_messages):
            with contextlib.suppress(UnexpectedAnswer):
                assert "access_token" not in repr(parser(path.read_bytes())), path.name


@pytest.mark.parametrize(
    "time", ["0001-01-01T00:00:00+0000", "0001-06-01T00:00:00+1400", "9999-12-31T23:59:59+0000"]
)
def test_a_time_that_the_database_refuses_rejects_its_record_alone(time: str) -> None:
    messages = {"data": [{"id": "m_2", "created_time": time}, *THREAD["messages"]["data"]]}  # type: ignore[index]
    listing = parse({**THREAD, "id": "t_2", "updated_time": time}, {**THREAD, "messages": messages})
    assert [thread["id"] for thread in listing.records] == ["t_1"]
    assert [one["id"] for one in listing.records[0]["messages"]["data"]] == ["m_1"]
    assert [reject.identity for reject in listing.rejects] == ["t_2", "m_2"]
