"""Reading gaps in threads' history, with canned answers."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from messenger_pipeline.db.sessions import Gap
from messenger_pipeline.errors import (
    CursorRefused,
    GraphError,
    ObjectRefused,
    TooMuchData,
    UnexpectedAnswer,
)
from messenger_pipeline.graph.client import Answer, GraphClient
from messenger_pipeline.graph.models import Listing, Message
from messenger_pipeline.sync.gaps import GapReader

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def at(number: int) -> datetime:
    return NOW - timedelta(minutes=number)


class Meta:
    """A thread of `count` messages, newest first, that records each request and may refuse it."""

    def __init__(
        self,
        count: int,
        refuse: Callable[[int, str | None], GraphError | None] = lambda *_: None,
        next_cursor: Callable[[int], int] = lambda place: place,
    ) -> None:
        self.messages: list[Message] = [
            {"id": f"m_{number}", "created_time": at(number)} for number in range(count)
        ]
        self.refuse, self.next_cursor = refuse, next_cursor
        self.requests: list[tuple[int, str | None]] = []

    def fetch_messages(
        self, _thread: str, *, limit: int, after: str | None
    ) -> Answer[Listing[Message]]:
        self.requests.append((limit, after))
        error = self.refuse(limit, after)
        if error is not None:
            raise error
        start = int(after or 0)
        end = start + limit
        cursor = str(self.next_cursor(end)) if end < len(self.messages) else None
        return Answer(Listing(self.messages[start:end], cursor), NOW)


def gap(**changes: Any) -> Gap:
    """The history of a thread of which 25 messages came with the list."""
    fields: dict[str, Any] = {
        "id": 1, "thread_id": "t_1", "sender_id": "20", "resume_cursor": "25",
        "newest_time": at(24), "until_time": None, "dead_cursor_time": None,
    }  # fmt: skip
    return Gap(**(fields | changes))


def moves(meta: Meta, *gaps: Gap) -> list[dict[str, Any]]:
    return [step.move for step in steps(meta, *gaps)]


def steps(meta: Meta, *gaps: Gap) -> Iterator[Any]:
    return GapReader(cast(GraphClient, meta)).fetch_steps(list(gaps))


def test_a_gap_is_read_down_to_the_threads_first_message() -> None:
    meta = Meta(240)
    assert moves(meta, gap()) == [
        {"resume_cursor": "125", "newest_time": at(124)},
        {"resume_cursor": "225", "newest_time": at(224)},
        {"closed": True},
    ]
    assert meta.requests == [(100, "25"), (100, "125"), (100, "225")]


def test_a_gap_is_closed_as_soon_as_it_reaches_what_is_loaded() -> None:
    meta = Meta(1000)
    assert moves(meta, gap(until_time=at(60))) == [{"closed": True}]


def test_a_dead_cursor_is_given_up_and_the_history_read_again_from_the_top() -> None:
    meta = Meta(240, lambda _limit, after: CursorRefused("expired") if after == "25" else None)
    assert moves(meta, gap()) == [
        {"cursor_died": True},
        {"resume_cursor": "100", "newest_time": at(99)},
        {"resume_cursor": "200", "newest_time": at(199)},
        {"closed": True},
    ]


def test_a_cursor_that_dies_again_at_the_same_depth_makes_the_gap_unreadable() -> None:
    meta = Meta(
        1000, lambda _limit, after: CursorRefused("too deep") if int(after or 0) >= 200 else None
    )
    found = moves(meta, gap())
    assert found[-1] == {"unreadable": True, "reason": "too deep"}
    assert [move for move in found if "cursor_died" in move] == [{"cursor_died": True}]


def test_the_batch_size_shrinks_and_is_kept_for_the_next_gap() -> None:
    meta = Meta(60, lambda limit, _after: TooMuchData("less") if limit > 30 else None)
    assert moves(meta, gap(), gap(id=2)) == [
        {"resume_cursor": "50", "newest_time": at(49)},
        {"closed": True},
        {"resume_cursor": "52", "newest_time": at(51)},
        {"closed": True},
    ]
    assert meta.requests == [
        (100, "25"),
        (50, "25"),
        (25, "25"),
        (27, "50"),
        (27, "25"),
        (29, "52"),
    ]


def test_a_refused_gap_is_unreadable_and_the_next_one_is_read() -> None:
    meta = Meta(40, lambda _limit, after: ObjectRefused("refused") if after == "25" else None)
    assert moves(meta, gap(), gap(id=2, resume_cursor="30")) == [
        {"unreadable": True, "reason": "refused"},
        {"closed": True},
    ]


def test_a_gap_of_which_meta_refuses_one_message_as_too_much_is_unreadable() -> None:
    meta = Meta(40, lambda *_: TooMuchData("less"))
    assert moves(meta, gap()) == [{"unreadable": True, "reason": "less"}]
    assert [limit for limit, _ in meta.requests] == [100, 50, 25, 12, 6, 3, 1]


def test_history_that_leads_in_a_circle_is_an_error() -> None:
    meta = Meta(100_000, next_cursor=lambda place: place % 1000)
    with pytest.raises(UnexpectedAnswer, match="The history of thread t_1 never ends"):
        moves(meta, gap())
    assert len(meta.requests) <= 32
