"""Reading gaps in threads' history, with canned answers."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from messenger_pipeline.db.gaps import Gap
from messenger_pipeline.db.pages import PageRecord
from messenger_pipeline.db.request_sizes import StoredSize
from messenger_pipeline.errors import (
    CursorRefused,
    GraphError,
    ObjectRefused,
    PageOwnerMustAct,
    PermissionMissing,
    RateLimited,
    TokenDead,
    TooMuchData,
    TransientError,
    UnexpectedAnswer,
    reason_of,
)
from messenger_pipeline.graph.client import Answer, GraphClient
from messenger_pipeline.graph.models import Listing, Message
from messenger_pipeline.sync.blame import Blame
from messenger_pipeline.sync.gaps import GapReader
from messenger_pipeline.sync.request_sizes import RequestSizes

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
PAGE = cast(PageRecord, SimpleNamespace(graph_id="10", platform="messenger"))


def at(number: int) -> datetime:
    return NOW - timedelta(minutes=number)


class Meta:
    """A thread of `count` messages, newest first, that records each request and may refuse it."""

    def __init__(
        self,
        count: int,
        refuse: Callable[[int, str | None], Exception | None] = lambda *_: None,
        next_cursor: Callable[[int], int] = lambda place: place,
    ) -> None:
        self.messages: list[Message] = [
            {"id": f"m_{number}", "created_time": at(number)} for number in range(count)
        ]
        self.refuse, self.next_cursor = refuse, next_cursor
        self.requests: list[tuple[int, str | None]] = []
        self.controls: list[str] = []
        self.control_error: GraphError | None = None

    def fetch_messages(
        self, _thread: str, *, limit: int, after: str | None, attempts: int | None
    ) -> Answer[Listing[Message]]:
        self.requests.append((limit, after))
        error = self.refuse(limit, after)
        if error is not None:
            raise error
        start = int(after or 0)
        end = start + limit
        cursor = str(self.next_cursor(end)) if end < len(self.messages) else None
        return Answer(Listing(self.messages[start:end], cursor), NOW)

    def check_list(self, _page_id: str, _platform: str) -> None:
        self._control("list")

    def check_token(self) -> None:
        self._control("me")

    def _control(self, call: str) -> None:
        self.controls.append(call)
        if self.control_error is not None:
            raise self.control_error


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
    client = cast(GraphClient, meta)
    return GapReader(client, Blame(client, PAGE)).fetch_steps(list(gaps))


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


def test_a_gap_that_is_put_off_meanwhile_is_not_read_any_further() -> None:
    meta = Meta(1000)
    client, put_off = cast(GraphClient, meta), set[int]()
    for _step in GapReader(client, Blame(client, PAGE)).fetch_steps([gap()], put_off):
        put_off.add(1)
    assert len(meta.requests) == 1


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
    assert found[-1] == {"unreadable": "too deep"}
    assert [move for move in found if "cursor_died" in move] == [{"cursor_died": True}]


def test_the_batch_size_shrinks_and_is_kept_for_the_next_gap() -> None:
    meta = Meta(60, lambda limit, _after: TooMuchData("less") if limit > 35 else None)
    assert moves(meta, gap(), gap(id=2)) == [
        {"resume_cursor": "50", "newest_time": at(49)},
        {"closed": True},
        {"resume_cursor": "54", "newest_time": at(53)},
        {"closed": True},
    ]
    assert meta.requests == [
        (100, "25"),
        (50, "25"),
        (25, "25"),
        (27, "50"),
        (29, "25"),
        (31, "54"),
    ]


def test_a_refused_gap_is_unreadable_and_the_next_one_is_read() -> None:
    meta = Meta(40, lambda _limit, after: ObjectRefused("refused") if after == "25" else None)
    assert moves(meta, gap(), gap(id=2, resume_cursor="30")) == [
        {"unreadable": "refused"},
        {"closed": True},
    ]


def test_a_gap_of_which_meta_refuses_one_message_as_too_much_is_unreadable() -> None:
    meta = Meta(40, lambda *_: TooMuchData("less"))
    assert moves(meta, gap()) == [{"unreadable": "less"}]
    assert [limit for limit, _ in meta.requests] == [100, 50, 25, 12, 6, 3, 1]


def test_history_that_leads_in_a_circle_is_put_off() -> None:
    meta = Meta(100_000, next_cursor=lambda place: place % 1000)
    assert "The history of thread t_1 never ends" in moves(meta, gap())[-1]["failed"]
    assert len(meta.requests) <= 32


@pytest.mark.parametrize(
    "error",
    [
        TransientError("out of order", code=2),
        GraphError("(#803) Some of the aliases you requested do not exist", code=803),
        UnexpectedAnswer("not JSON"),
        RecursionError("too deep"),
        KeyError("id"),
    ],
)
def test_a_gap_that_fails_is_put_off_and_the_next_one_is_read(error: Exception) -> None:
    meta = Meta(40, lambda _limit, after: error if after == "25" else None)
    first, second = moves(meta, gap(), gap(id=2, resume_cursor="30"))
    assert reason_of(error)[:20] in first["failed"]
    assert second == {"closed": True}
    # Before less is requested, and before the gap is blamed.
    assert meta.controls == (["list", "list"] if isinstance(error, TransientError) else [])
    assert meta.requests[-1] == (100, "30")


@pytest.mark.parametrize(
    ("error", "control"),
    [
        (PermissionMissing("denied", code=10), "list"),
        (PermissionMissing("denied", code=3), "list"),
        (TokenDead("expired", code=190), "me"),
    ],
)
def test_a_refusal_of_one_thread_is_not_the_pages_if_a_control_call_works(
    error: PageOwnerMustAct, control: str
) -> None:
    meta = Meta(40, lambda _limit, after: error if after == "25" else None)
    found = moves(meta, gap(), gap(id=2, resume_cursor="30"))
    assert found == [{"unreadable": str(error)}, {"closed": True}]
    assert meta.controls == [control]


def test_a_refusal_that_a_control_call_confirms_ends_the_run() -> None:
    meta = Meta(40, lambda *_: PermissionMissing("denied", code=10))
    meta.control_error = PermissionMissing("denied", code=200)
    with pytest.raises(PermissionMissing):
        moves(meta, gap())


def test_a_limit_ends_the_run_and_is_no_fault_of_the_gap() -> None:
    meta = Meta(40, lambda *_: RateLimited("too many calls", code=613))
    with pytest.raises(RateLimited):
        moves(meta, gap())


def test_a_temporary_failure_ends_the_run_at_once_if_meta_answers_no_control_call() -> None:
    gaps = [gap(id=number) for number in range(7)]
    meta = Meta(40, lambda *_: TransientError("service trouble", code=2))
    assert [list(move) for move in moves(meta, *gaps)] == [["failed"]] * 7
    meta = Meta(40, lambda *_: TransientError("service trouble", code=2))
    meta.control_error = TransientError("service trouble", code=2)
    with pytest.raises(TransientError):
        moves(meta, *gaps)
    assert len(meta.requests) == 1
    assert meta.controls == ["list", "me"]


@pytest.mark.parametrize("error", [TransientError("?", code=2), TransientError("no answer")])
def test_a_size_that_fails_for_a_while_is_halved_if_meta_answers_a_control_call(
    error: TransientError,
) -> None:
    meta = Meta(1000, lambda limit, _after: error if limit > 30 else None)
    saved: list[StoredSize | None] = []
    sizes = RequestSizes(save=lambda _kind, size: saved.append(size))
    client = cast(GraphClient, meta)
    reader = GapReader(client, Blame(client, PAGE), sizes=sizes)
    assert [*reader.fetch_steps([gap()])][-1].move == {"closed": True}
    assert [limit for limit, _ in meta.requests[:8]] == [100, 50, 25, 27, 29, 31, 29, 29]
    assert meta.controls == ["list"]
    sizes.save()
    assert saved[-1] == StoredSize(29, 1, 32)


def test_no_size_is_remembered_of_a_thread_that_fails_at_every_size() -> None:
    saved: list[StoredSize | None] = []
    sizes = RequestSizes(save=lambda _kind, size: saved.append(size))
    meta = Meta(40, lambda _limit, after: TransientError("?") if after == "25" else None)
    client = cast(GraphClient, meta)
    reader = GapReader(client, Blame(client, PAGE), sizes=sizes)
    first, second = reader.fetch_steps([gap(), gap(id=2, resume_cursor="30")])
    assert "failed" in first.move
    assert second.move == {"closed": True}
    assert meta.requests[-1] == (100, "30")
    sizes.save()
    assert saved == []


def test_a_gap_that_ended_its_process_three_times_is_put_off_untried() -> None:
    meta = Meta(40)
    first, second = moves(meta, gap(attempts=3), gap(id=2))
    assert "ended the process 3 times" in first["failed"]
    assert second == {"closed": True}
    assert len(meta.requests) == 1
    assert moves(meta, gap(attempts=3, last_error="service trouble")) == [{"closed": True}]
