"""Reading the list of threads, with canned answers."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, cast

import pytest

from messenger_pipeline.db.pages import PageRecord
from messenger_pipeline.db.request_sizes import StoredSize
from messenger_pipeline.errors import (
    CursorRefused,
    GraphError,
    ListRefused,
    ObjectRefused,
    TooMuchData,
    TransientError,
    UnexpectedAnswer,
)
from messenger_pipeline.graph.client import Answer, GraphClient
from messenger_pipeline.graph.models import Listing, Thread
from messenger_pipeline.graph.reading import UnparsedThreads
from messenger_pipeline.rows import ThreadState
from messenger_pipeline.sync.cutoff import Cutoff
from messenger_pipeline.sync.list_reader import ListReader
from messenger_pipeline.sync.request_sizes import RequestSizes

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
Request = tuple[int, int, str | None]


class Page:
    """The part of a PageRecord that a reader needs."""

    graph_id = "10"
    platform = "messenger"


class Meta:
    """A list of `count` threads, newest first, that records each request and may refuse it."""

    def __init__(
        self,
        count: int,
        refuse: Callable[[int, int, str | None], GraphError | None] = lambda *_: None,
        next_cursor: Callable[[int], int] = lambda place: place,
    ) -> None:
        self.threads = [thread(number) for number in range(count)]
        self.refuse, self.next_cursor = refuse, next_cursor
        self.requests: list[Request] = []
        self.attempts: list[int | None] = []
        self.controls = 0
        self.control_error: GraphError | None = None

    def check_list(self, _page: str, _platform: str) -> None:
        self.controls += 1
        if self.control_error is not None:
            raise self.control_error

    def fetch_conversations(
        self,
        _page: str,
        _platform: str,
        *,
        limit: int,
        messages: int,
        after: str | None,
        attempts: int | None,
    ) -> Answer[UnparsedThreads]:
        self.requests.append((limit, messages, after))
        self.attempts.append(attempts)
        error = self.refuse(limit, messages, after)
        if error is not None:
            raise error
        start = int(after or 0)
        end = start + limit
        cursor = str(self.next_cursor(end)) if end < len(self.threads) else None
        listing = Listing(self.threads[start:end], cursor)
        return Answer(UnparsedThreads(b"", cursor, listing), NOW)


def thread(number: int) -> Thread:
    return {"id": f"t_{number}", "updated_time": NOW - timedelta(minutes=number)}


def unchanged(ids: list[str]) -> dict[str, ThreadState]:
    """States of threads that are as the list has them."""
    return {
        one: ThreadState(
            one, "20", thread(int(one[2:]))["updated_time"], None, None, NOW + timedelta(hours=1),
            None, None, False,
        )
        for one in ids
    }  # fmt: skip


def reader(meta: Meta, **options: Any) -> ListReader:
    defaults: dict[str, Any] = {
        "after": None, "cutoff": Cutoff(None), "max_threads": None, "find_known": None,
    }  # fmt: skip
    page = cast(PageRecord, Page())
    return ListReader(cast(GraphClient, meta), page, **(defaults | options))


def test_an_unread_list_is_requested_in_whole_threads_to_its_end() -> None:
    meta = Meta(250)
    answers = [*reader(meta).fetch_answers()]
    assert meta.requests == [(100, 25, None), (100, 25, "100"), (100, 25, "200")]
    assert [answer.is_last for answer in answers] == [False, False, True]


def test_a_stored_list_is_probed_and_its_states_are_handed_on() -> None:
    meta = Meta(250)
    answers = [*reader(meta, find_known=unchanged).fetch_answers()]
    assert meta.requests == [(200, 1, None), (200, 1, "200")]
    assert answers[0].known == unchanged([f"t_{number}" for number in range(200)])


def test_a_probe_with_many_changed_threads_is_repeated_with_whole_ones_at_the_same_cursor() -> None:
    def find_known(ids: list[str]) -> dict[str, ThreadState]:
        return unchanged([one for one in ids if int(one[2:]) >= 30])

    meta = Meta(400)
    answers = [*reader(meta, find_known=find_known).fetch_answers()]
    assert meta.requests == [
        (200, 1, None),
        (100, 25, None),
        (100, 25, "100"),
        (200, 1, "200"),
    ]
    assert len(answers) == 3


def test_the_walk_ends_with_the_first_answer_past_the_cutoff() -> None:
    meta = Meta(1000)
    cutoff = Cutoff(NOW - timedelta(minutes=60))
    answers = [*reader(meta, cutoff=cutoff).fetch_answers()]
    # 25 threads, then 50, then 100: the third answer starts 75 minutes back.
    assert meta.requests == [(25, 25, None), (50, 25, "25"), (100, 25, "75")]
    assert [answer.is_last for answer in answers] == [False, False, True]


def test_no_more_threads_are_requested_than_a_run_may_read() -> None:
    meta = Meta(1000)
    answers = [*reader(meta, max_threads=130).fetch_answers()]
    assert meta.requests == [(100, 25, None), (30, 25, "100")]
    assert not answers[-1].is_last


def test_a_request_refused_as_too_much_is_halved_at_the_same_cursor() -> None:
    meta = Meta(60, refuse=lambda limit, *_: TooMuchData("less") if limit > 40 else None)
    answers = [*reader(meta).fetch_answers()]
    assert meta.requests == [(100, 25, None), (50, 25, None), (25, 25, None), (27, 25, "25"),
                             (29, 25, "52")]  # fmt: skip
    assert len(answers) == 3


def test_a_list_of_which_meta_refuses_one_thread_is_refused() -> None:
    meta = Meta(60, refuse=lambda *_: TooMuchData("less"))
    with pytest.raises(ListRefused, match="less"):
        next(reader(meta).fetch_answers())
    assert meta.requests[-1] == (1, 1, None)


def test_a_request_that_fails_for_a_while_is_halved_if_meta_answers_a_control_call() -> None:
    meta = Meta(60, refuse=lambda limit, *_: TransientError("?", code=1) if limit > 40 else None)
    assert len([*reader(meta).fetch_answers()]) == 3
    assert meta.controls == 2
    assert meta.attempts == [None, 2, 2, 1, 1], "only the first error had to last"

    meta.control_error = TransientError("out of order", code=2)
    with pytest.raises(TransientError, match="out of order"):
        next(reader(meta).fetch_answers())


def test_a_larger_size_that_fails_costs_one_call_and_the_next_one_comes_later() -> None:
    error = TransientError("?", code=1)
    meta = Meta(1000, refuse=lambda limit, *_: error if limit > 25 else None)
    saved: list[StoredSize | None] = []
    sizes = RequestSizes(save=lambda _kind, size: saved.append(size))
    assert len([*reader(meta, sizes=sizes).fetch_answers()]) == 40
    assert [limit for limit, *_ in meta.requests[:5]] == [100, 50, 25, 27, 25]
    refused = [limit for limit, *_ in meta.requests if limit > 25]
    assert refused == [100, 50, 27, 27]
    assert len(meta.requests) == 44
    sizes.save()
    assert saved == [StoredSize(25, 25, 1), StoredSize(25, 25, 32)]

    again = Meta(60, refuse=meta.refuse)
    remembered = RequestSizes({"list": StoredSize(25, 25, 32)})
    assert len([*reader(again, sizes=remembered).fetch_answers()]) == 3
    assert again.requests == [(25, 25, None), (25, 25, "25"), (25, 25, "50")]


def test_the_first_probe_asks_for_no_more_threads_than_meta_is_known_to_answer() -> None:
    error = TransientError("?", code=2)
    meta = Meta(60, refuse=lambda limit, *_: error if limit > 25 else None)
    sizes = RequestSizes({"list": StoredSize(25, 25, 16)})
    assert len([*reader(meta, find_known=unchanged, sizes=sizes).fetch_answers()]) == 3
    assert [limit for limit, *_ in meta.requests] == [25, 27, 25, 25]


def test_a_probe_of_the_usual_size_is_remembered_where_whole_threads_are_refused() -> None:
    saved: dict[str, StoredSize | None] = {}
    sizes = RequestSizes({"list": StoredSize(25, 25, 16)}, saved.__setitem__)
    assert [*reader(Meta(8000), find_known=unchanged, sizes=sizes).fetch_answers()]
    sizes.save()
    assert saved == {"probe": StoredSize(200, 1, 1)}
    meta = Meta(60)
    again = RequestSizes({"list": StoredSize(25, 25, 16), "probe": StoredSize(200, 1, 1)})
    assert [*reader(meta, find_known=unchanged, sizes=again).fetch_answers()]
    assert meta.requests == [(200, 1, None)]


def test_no_size_is_remembered_if_meta_answers_none() -> None:
    saved: list[StoredSize | None] = []
    sizes = RequestSizes(save=lambda _kind, size: saved.append(size))
    for error in (TransientError("?", code=2), TooMuchData("less")):
        meta = Meta(60, refuse=lambda *_, error=error: error)
        with pytest.raises((TransientError, ListRefused)):
            next(reader(meta, sizes=sizes).fetch_answers())
        assert len(meta.requests) <= 12
    sizes.save()
    assert saved == []


def test_a_refused_limit_is_halved_though_meta_gives_no_other_reason_than_a_parameter() -> None:
    meta = Meta(250, refuse=lambda limit, *_: TooMuchData("limit") if limit > 100 else None)
    answers = [*reader(meta, find_known=unchanged).fetch_answers()]
    assert [limit for limit, *_ in meta.requests] == [200, 100, 107, 100, 100]
    assert len(answers) == 3


def test_a_place_of_the_list_that_always_fails_is_refused() -> None:
    error = TransientError("?", code=1)
    meta = Meta(200, refuse=lambda _limit, _messages, after: error if after else None)
    with pytest.raises(ListRefused):
        [*reader(meta).fetch_answers()]


def test_a_refused_cursor_is_a_dead_one() -> None:
    meta = Meta(60, refuse=lambda *_: ObjectRefused("gone", subcode=33))
    with pytest.raises(CursorRefused):
        next(reader(meta, after="30").fetch_answers())


@pytest.mark.parametrize("find_known", [None, unchanged])
def test_a_list_that_leads_in_a_circle_is_an_error(find_known: Any) -> None:
    meta = Meta(100_000, next_cursor=lambda place: place % 1000)
    with pytest.raises(UnexpectedAnswer, match="The list of conversations never ends"):
        [*islice(reader(meta, find_known=find_known).fetch_answers(), 1000)]
    assert len(meta.requests) <= 32
