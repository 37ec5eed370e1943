"""Syncs that meet faults, which the simulator injects by name, over real HTTP."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stamina

from messenger_pipeline.db import pages, sessions
from messenger_pipeline.db.pool import Database
from messenger_pipeline.errors import PageOwnerMustAct, TransientError, UnexpectedAnswer
from messenger_pipeline.graph import transport
from messenger_pipeline.graph.client import GraphClient
from tests.conftest import Simulated
from tests.walking import Connect, Simulate, let_a_minute_pass, rows, stored, truth, walk


@pytest.fixture(autouse=True)
def _retry_at_once() -> Iterator[None]:
    with stamina.set_testing(True, attempts=5, cap=True):
        yield


@pytest.fixture
def requested(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The threads and nested messages that each call of the list requested."""
    sizes: list[tuple[int, int]] = []
    fetch = GraphClient.fetch_conversations

    def note(self: GraphClient, *given: Any, **sizes_: Any) -> Any:
        sizes.append((sizes_["limit"], sizes_["messages"]))
        return fetch(self, *given, **sizes_)

    monkeypatch.setattr(GraphClient, "fetch_conversations", note)
    return sizes


@pytest.fixture
def small(simulate: Simulate) -> Simulated:
    """One page of 230 threads: three answers of the list, and some threads with long history."""
    return simulate(conversations=230)


def lists(simulated: Simulated) -> list[str]:
    """The calls of the list so far."""
    return [call for call in simulated.calls() if "/conversations?" in call]


# -- Transient errors -----------------------------------------------------------------------------

TRANSIENT = (
    "http_500", "code_1", "code_2", "connection_dropped", "truncated_body", "truncated_json",
    "html", "error_with_200",
)  # fmt: skip


@pytest.mark.parametrize("edge", ["conversations", "messages"])
@pytest.mark.parametrize("name", TRANSIENT)
def test_a_sync_completes_in_spite_of_transient_errors(
    small: Simulated, connect: Connect, database: Database, name: str, edge: str
) -> None:
    small.fault(name, edge=edge, after=1, times=4)
    result = walk(connect(small), small.page.id)
    assert small.hits(name) == 4
    assert (result.outcome, result.failed_batches) == ("completed", 0)
    assert stored(database) == truth(small)


@pytest.mark.parametrize("name", [*TRANSIENT, "html_200"])
def test_a_lasting_error_ends_the_run_and_keeps_what_it_loaded(
    small: Simulated, connect: Connect, database: Database, name: str
) -> None:
    """After five attempts, which no layer above repeats, and a control call."""
    engine = connect(small)
    small.fault(name, edge="conversations", after=1, times=1_000)
    with pytest.raises((TransientError, UnexpectedAnswer)):
        walk(engine, small.page.id)
    assert small.hits(name) <= 6
    assert len(rows(database, "select 1 from messenger_threads")) == 100
    [(error, outcome)] = rows(database, "select last_error, outcome from sync_state")
    assert error
    assert outcome is None

    small.clear_faults()
    result = walk(engine, small.page.id)
    assert (result.fetched, result.outcome) == (130, "completed")
    assert stored(database) == truth(small)


def test_a_call_that_times_out_is_retried(
    small: Simulated, connect: Connect, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_TIMEOUT", (1.0, 0.3))
    small.fault("stall", seconds=2, after=1)
    assert walk(connect(small), small.page.id).outcome == "completed"
    assert small.hits("stall") == 1
    assert stored(database) == truth(small)


# -- Too much data --------------------------------------------------------------------------------


@pytest.mark.parametrize("weight", [1_000, 200, 26, 10, 2])
def test_a_request_refused_as_too_much_data_is_retried_in_smaller_sizes(
    simulate: Simulate, connect: Connect, database: Database, weight: int
) -> None:
    simulated = simulate(conversations=40)
    simulated.fault("too_much_data", weight=weight)
    assert walk(connect(simulated), simulated.page.id).outcome == "completed"
    assert simulated.hits("too_much_data") > 0
    assert stored(database) == truth(simulated)


@pytest.mark.parametrize("style", ["code_2", "code_1_99", "code_minus_3", "html_504", "stall"])
def test_a_size_that_fails_without_a_reason_is_halved_and_remembered(
    simulate: Simulate,
    connect: Connect,
    database: Database,
    requested: list[tuple[int, int]],
    monkeypatch: pytest.MonkeyPatch,
    style: str,
) -> None:
    """Threads, their history, and the threads of a list that is refused: in their own sizes."""
    monkeypatch.setattr(transport, "_TIMEOUT", (1.0, 0.5))
    simulated = simulate(conversations=120)
    simulated.fault("long_thread", thread=0, messages=200)
    simulated.fault("large_request_fails", weight=1000, style=style, edge="conversations")
    simulated.fault("large_request_fails", weight=60, style=style, edge="messages")
    engine = connect(simulated)
    assert walk(engine, simulated.page.id).outcome == "completed"
    assert stored(database) == truth(simulated)
    assert requested[:5] == [(100, 25), (50, 25), (25, 25), (27, 25), (29, 25)]
    failed = simulated.hits("large_request_fails")

    requested.clear()
    simulated.world.inject(simulated.page, 3, "new", datetime.now(UTC))
    assert walk(engine, simulated.page.id, mode="sweep").outcome == "completed"
    assert stored(database) == truth(simulated)
    assert simulated.hits("large_request_fails") == failed, "no large request failed again"
    assert requested[0][1] == 1, "a probe"


def test_a_thread_of_a_refused_list_is_requested_with_fewer_messages_and_that_is_remembered(
    simulate: Simulate, connect: Connect, database: Database
) -> None:
    simulated = simulate(conversations=12)
    engine = connect(simulated)
    walk(engine, simulated.page.id)
    for number in range(12):
        simulated.world.inject(simulated.page, number, "new", datetime.now(UTC))
    simulated.fault("list_refused")
    simulated.fault("large_request_fails", weight=10, edge="thread")
    for _ in range(2):
        assert walk(engine, simulated.page.id, mode="full").outcome == "truncated"
        assert stored(database) == truth(simulated)
    # 25 messages in five attempts, 12 in two, 7 once; and nothing in the second run.
    assert simulated.hits("large_request_fails") <= 5 + 2 + 5
    assert rows(database, "select request, nested_limit < 10 from request_sizes") == [
        ("thread", True)
    ]


def test_a_remembered_size_is_forgotten_once_meta_answers_the_usual_one(
    simulate: Simulate, connect: Connect, database: Database, requested: list[tuple[int, int]]
) -> None:
    simulated = simulate(conversations=120)
    simulated.fault("too_much_data", weight=1600, edge="conversations")
    engine = connect(simulated)
    walk(engine, simulated.page.id)
    remembered = "select request, size_limit, nested_limit from request_sizes"
    assert rows(database, remembered) == [("list", 58, 25)]
    simulated.clear_faults()
    rows(database, "update request_sizes set size_limit = 90, patience = 1 returning 1")
    rows(database, "delete from messenger_threads returning 1")
    rows(database, "update facebook_pages set last_synced_at = null, watermark = null returning 1")
    simulated.fault("short_responses", edge="conversations")
    requested.clear()
    walk(engine, simulated.page.id)
    assert requested[:3] == [(90, 25), (96, 25), (100, 25)]
    assert rows(database, remembered) == []


def test_an_edge_that_refuses_a_limit_over_100_is_read_in_smaller_ones(
    small: Simulated, connect: Connect, database: Database, requested: list[tuple[int, int]]
) -> None:
    engine = connect(small)
    walk(engine, small.page.id)
    small.fault("limit_refused", maximum=100)
    requested.clear()
    assert walk(engine, small.page.id, mode="sweep").outcome == "completed"
    assert requested[:2] == [(200, 1), (100, 1)]
    assert pages.get_page(database, small.page.id).status == "active"
    requested.clear()
    assert walk(engine, small.page.id, mode="sweep").outcome == "completed"
    assert requested[0] == (100, 1)
    assert stored(database) == truth(small)


def test_a_page_that_answers_no_size_ends_the_run_with_few_calls_and_no_size_remembered(
    small: Simulated, connect: Connect, database: Database
) -> None:
    engine = connect(small)
    small.fault("large_request_fails", weight=1, edge="conversations")
    with pytest.raises(TransientError, match="though it answers a control call"):
        walk(engine, small.page.id)
    assert len(small.calls()) <= 5 + 11 * 2 + 12
    assert rows(database, "select 1 from request_sizes") == []
    small.clear_faults()
    assert walk(engine, small.page.id).outcome == "completed"
    assert stored(database) == truth(small)


def test_an_outage_remembers_no_size(
    small: Simulated, connect: Connect, database: Database
) -> None:
    engine = connect(small)
    small.fault("code_2", times=10_000)
    with pytest.raises(TransientError):
        walk(engine, small.page.id)
    assert len(small.calls()) <= 7
    assert rows(database, "select 1 from request_sizes") == []


def test_after_a_refusal_half_is_requested_at_the_same_cursor_and_then_slowly_more(
    small: Simulated, connect: Connect, database: Database, requested: list[tuple[int, int]]
) -> None:
    small.fault("too_much_data", edge="conversations", weight=700, after=1, times=2)
    walk(connect(small), small.page.id)
    assert requested == [(100, 25), (100, 25), (50, 25), (25, 25), (27, 25), (29, 25), (31, 25),
                         (33, 25)]  # fmt: skip
    assert stored(database) == truth(small)


def test_a_rate_limit_does_not_shrink_requests(
    small: Simulated, connect: Connect, requested: list[tuple[int, int]]
) -> None:
    small.fault("page_limit", seconds=0.2, after=1)
    assert walk(connect(small), small.page.id).outcome == "completed"
    assert requested == [(100, 25)] * 3


# -- Limits ---------------------------------------------------------------------------------------

LIMITS = {
    "app_limit": "app", "application_limit": "app", "token_limit": "token",
    "page_limit": "page", "custom_limit": "page",
    "messenger_limit": "page", "pages_limit": "page",
}  # fmt: skip


@pytest.mark.parametrize("name", LIMITS)
def test_a_run_waits_for_a_short_pause_and_makes_no_call_meanwhile(
    small: Simulated, connect: Connect, database: Database, name: str
) -> None:
    small.fault(name, seconds=0.5, after=2)
    result = walk(connect(small), small.page.id)
    assert result.outcome == "completed"
    assert result.waited_seconds > 0.4
    assert small.violations() == 0
    assert stored(database) == truth(small)


@pytest.mark.parametrize("name", LIMITS)
def test_a_long_pause_ends_the_run_as_partial_and_a_continuation_is_due_after_it(
    small: Simulated, connect: Connect, database: Database, name: str
) -> None:
    engine = connect(small)
    small.fault(name, seconds=600, after=1)
    result = walk(engine, small.page.id)
    assert (result.outcome, result.fetched) == ("partial", 100)
    assert "rate limited, can be resumed in" in (result.stopped or "")
    assert result.duration_seconds < 20
    assert sessions.request_continuations(database, []) == []
    [(scope, seconds)] = rows(
        database,
        "select split_part(scope, ':', 1), extract(epoch from blocked_until - now())::int"
        " from graph_api_budget where blocked_until is not null",
    )
    assert scope == LIMITS[name]
    assert 550 < seconds <= 600

    # Another run makes no call before that.
    calls = len(small.calls())
    assert walk(engine, small.page.id).outcome == "partial"
    assert len(small.calls()) == calls
    assert small.violations() == 0

    # The pause is over.
    small.clear_faults()
    rows(database, "update graph_api_budget set blocked_until = now() returning 1")
    rows(database, "update sync_state set not_before = now() returning 1")
    [continuation] = sessions.request_continuations(database, [])
    assert walk(engine, small.page.id, session=continuation.sync_session_id).fetched == 130
    assert stored(database) == truth(small)


@pytest.mark.parametrize("hint", ["header", "date", "nonsense", "none"])
def test_a_pause_lasts_as_long_as_the_header_states_else_15_minutes(
    small: Simulated, connect: Connect, database: Database, hint: str
) -> None:
    small.fault("messenger_limit", seconds=240, hint=hint)
    assert walk(connect(small), small.page.id).outcome == "partial"
    [(seconds,)] = rows(
        database,
        "select extract(epoch from blocked_until - now())::int from graph_api_budget"
        " where blocked_until is not null",
    )
    assert abs(seconds - (240 if hint in ("header", "date") else 900)) < 30


def test_the_quota_of_another_use_case_neither_pauses_nor_slows_the_walk(
    small: Simulated, connect: Connect, database: Database
) -> None:
    small.fault("other_usage", kind="ads_insights", minutes=600)
    assert walk(connect(small), small.page.id).outcome == "completed"
    assert rows(database, "select 1 from graph_api_budget where blocked_until is not null") == []
    assert rows(database, "select max(used_percent) from graph_api_budget") == [(0,)]
    assert stored(database) == truth(small)


@pytest.mark.parametrize("code", [-1, -2, 1200, 424242])
def test_a_code_that_passes_is_retried_and_one_that_lasts_ends_the_run(
    small: Simulated, connect: Connect, database: Database, code: int
) -> None:
    engine = connect(small)
    small.fault("temporary_code", code=code, times=3)
    small.fault("marked_transient", code=10, after=2, times=2)
    assert walk(engine, small.page.id).outcome == "completed"
    assert stored(database) == truth(small)
    small.fault("temporary_code", code=code, times=1_000)
    with pytest.raises(TransientError, match=f"code {code}"):
        walk(engine, small.page.id)
    assert small.hits("temporary_code") <= 3 + 6
    assert pages.get_page(database, small.page.id).status == "active"


def test_a_blocked_page_is_not_walked_for_four_hours(
    small: Simulated, connect: Connect, database: Database
) -> None:
    small.fault("blocked", after=1)
    assert walk(connect(small), small.page.id).outcome == "partial"
    [(hours,)] = rows(
        database, "select extract(epoch from not_before - now()) / 3600 from sync_state"
    )
    assert 3.9 < hours <= 4
    assert pages.get_page(database, small.page.id).status == "active"


def test_high_usage_in_the_headers_slows_the_next_calls(
    small: Simulated, connect: Connect, database: Database
) -> None:
    engine = replace(connect(small), calls_per_second=20)
    unhurried = walk(engine, small.page.id)
    small.fault("usage", percent=90, scope="app")
    slowed = walk(engine, small.page.id, mode="full")
    per_call = unhurried.waited_seconds / unhurried.api_calls
    assert slowed.waited_seconds / slowed.api_calls > 3 * per_call


# -- Cursors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("cursors", ["position", "offset"])
def test_a_list_whose_cursor_expired_is_read_again_from_the_top(
    simulate: Simulate, connect: Connect, database: Database, cursors: str
) -> None:
    simulated = simulate(conversations=330, cursors=cursors)
    simulated.fault("cursors_expire", edge="conversations", after=1)
    result = walk(connect(simulated), simulated.page.id)
    assert simulated.hits("cursors_expire") == 1
    assert result.outcome == "completed"
    assert stored(database) == truth(simulated)
    assert len(lists(simulated)) <= 8, "what is stored already takes few calls"


@pytest.mark.parametrize("cursors", ["position", "offset"])
def test_a_walk_is_resumed_after_its_cursor_died(
    simulate: Simulate, connect: Connect, database: Database, cursors: str
) -> None:
    simulated = simulate(conversations=230, cursors=cursors)
    engine = connect(simulated)
    first = walk(engine, simulated.page.id, max_conversations=120)
    simulated.fault("cursors_expire")
    second = walk(engine, simulated.page.id)
    assert second.sync_session_id == first.sync_session_id
    assert (second.outcome, second.warning) == ("completed", None)
    assert stored(database) == truth(simulated)


@pytest.mark.parametrize("cursors", ["position", "offset"])
def test_a_list_that_ends_at_a_depth_leaves_the_session_truncated(
    simulate: Simulate, connect: Connect, database: Database, cursors: str
) -> None:
    simulated = simulate(conversations=330, cursors=cursors)
    engine = connect(simulated)
    simulated.fault("cursor_depth", depth=150)
    result = walk(engine, simulated.page.id)
    assert (result.outcome, result.has_more) == ("truncated", False)
    assert "could not be read past" in (result.warning or "")
    assert set(stored(database)) < set(truth(simulated))
    assert len(rows(database, "select 1 from messenger_threads")) == 200
    page = pages.get_page(database, simulated.page.id)
    assert page.watermark is not None
    assert page.last_synced_at is not None
    assert walk(engine, simulated.page.id).mode == "incremental"

    # A later full walk, deeper or not, marks nothing deleted.
    assert walk(engine, simulated.page.id, mode="full").outcome == "truncated"
    assert (
        rows(database, "select 1 from messenger_conversations where deleted_at is not null") == []
    )
    simulated.clear_faults()
    assert walk(engine, simulated.page.id, mode="full").outcome == "completed"
    assert stored(database) == truth(simulated)


def test_a_list_whose_cursor_dies_again_but_deeper_is_read_to_its_end(
    simulate: Simulate, connect: Connect, database: Database
) -> None:
    simulated = simulate(conversations=700)
    simulated.fault("cursors_expire", edge="conversations", after=1)
    simulated.fault("cursors_expire", edge="conversations", after=5)
    assert walk(connect(simulated), simulated.page.id).outcome == "completed"
    assert simulated.hits("cursors_expire") == 2
    assert stored(database) == truth(simulated)


def test_an_incremental_walk_keeps_its_cutoff_after_a_dead_cursor(
    small: Simulated, connect: Connect, database: Database
) -> None:
    engine = connect(small)
    walk(engine, small.page.id)
    for number in range(60):
        small.world.inject(small.page, number, f"new {number}", datetime.now(UTC))
    small.fault("cursors_expire", edge="conversations", after=1)
    before = len(lists(small))
    result = walk(engine, small.page.id)
    assert small.hits("cursors_expire") == 1
    assert (result.mode, result.outcome) == ("incremental", "completed")
    assert len(lists(small)) - before <= 6
    assert stored(database) == truth(small)


def test_a_threads_history_whose_cursor_expired_is_read_from_the_top(
    simulate: Simulate, connect: Connect, database: Database
) -> None:
    simulated = simulate(conversations=3)
    simulated.fault("long_thread", thread=0, messages=700)
    simulated.fault("message_cursors_expire", edge="messages", after=2)
    assert walk(connect(simulated), simulated.page.id).outcome == "completed"
    assert simulated.hits("message_cursors_expire") == 1
    assert stored(database) == truth(simulated)
    assert rows(database, "select 1 from thread_gaps") == []


def test_history_below_the_depth_that_meta_returns_is_marked_unreadable(
    simulate: Simulate, connect: Connect, database: Database
) -> None:
    simulated = simulate(conversations=3)
    simulated.fault("long_thread", thread=0, messages=700)
    simulated.fault("message_cursor_depth", depth=300)
    assert walk(connect(simulated), simulated.page.id).outcome == "completed"
    [(reason,)] = rows(database, "select reason from thread_gaps where unreadable")
    assert "exceeds the max limit" in reason


# -- The list is refused --------------------------------------------------------------------------


def test_a_page_whose_list_is_refused_is_walked_thread_by_thread(
    small: Simulated, connect: Connect, database: Database
) -> None:
    engine = connect(small)
    walk(engine, small.page.id)
    before = pages.get_page(database, small.page.id)
    for number in (0, 7, 200):
        small.world.inject(small.page, number, "new", datetime.now(UTC))
    small.world.inject(small.page, None, "from a new contact", datetime.now(UTC))
    small.fault("list_refused")

    result = walk(engine, small.page.id, mode="full")

    assert result.outcome == "truncated"
    assert "does not list the threads" in (result.warning or "")
    missing = truth(small) - stored(database)
    assert [entry[5] for entry in missing] == ["from a new contact"]
    assert result.fetched == 230
    after = pages.get_page(database, small.page.id)
    assert after.watermark == before.watermark, "new threads have not been looked for yet"

    small.clear_faults()
    assert walk(engine, small.page.id).outcome == "completed"
    assert stored(database) == truth(small)


def test_an_incremental_walk_of_a_refused_list_requests_only_updated_threads(
    small: Simulated, connect: Connect, database: Database
) -> None:
    engine = connect(small)
    walk(engine, small.page.id)
    small.world.inject(small.page, 200, "known from a webhook", datetime.now(UTC))
    sender = small.world.contact(small.page, 200)["id"]
    rows(
        database,
        f"update messenger_conversations set last_message_time = now() where sender_id = '{sender}'"
        " returning 1",
    )
    small.fault("list_refused")
    before = len(small.calls())
    result = walk(engine, small.page.id)
    assert (result.mode, result.outcome) == ("incremental", "truncated")
    assert len(small.calls()) - before < 40
    assert stored(database) == truth(small)


# -- Records --------------------------------------------------------------------------------------

USABLE = (
    "participants_null", "participants_missing", "participants_without_id",
    "participants_without_name", "participants_bare_list", "participants_single_object",
    "participants_page_only", "participants_numeric_ids", "message_without_from",
    "message_from_null", "message_without_text", "message_nul", "message_lone_surrogate",
    "message_huge",
    "unknown_fields", "messages_null", "messages_missing", "equal_seconds",
    "paging_without_cursors", "empty_with_next", "short_responses", "infinite_number", "deep_json",
    "future_time", "unsorted", "shared_contact",
)  # fmt: skip
UNUSABLE = (
    "message_without_time", "message_without_id", "message_bad_time", "message_huge_id",
    "thread_without_id", "thread_without_time", "thread_is_null", "thread_is_text",
)  # fmt: skip


@pytest.mark.parametrize("name", USABLE)
def test_an_odd_but_usable_record_is_loaded(
    simulate: Simulate, connect: Connect, database: Database, name: str
) -> None:
    simulated = simulate(conversations=110)
    simulated.fault(name)
    engine = connect(simulated)
    result = walk(engine, simulated.page.id)
    assert (result.outcome, result.quarantined) == ("completed", 0)
    if name.startswith("messages_"):
        # The thread is listed without its messages: they come once it is updated.
        simulated.clear_faults()
        simulated.world.inject(simulated.page, 0, "new", datetime.now(UTC))
        walk(engine, simulated.page.id)
    assert stored(database) == truth(simulated)


@pytest.mark.parametrize("name", UNUSABLE)
def test_an_unusable_record_is_quarantined_with_its_reason_and_the_rest_is_loaded(
    simulate: Simulate, connect: Connect, database: Database, name: str
) -> None:
    simulated = simulate(conversations=110)
    simulated.fault(name)
    result = walk(connect(simulated), simulated.page.id)
    assert (result.outcome, result.quarantined, result.failed_batches) == ("completed", 1, 1)
    assert stored(database) == truth(simulated)
    [(kind, reason, record)] = rows(
        database, "select kind, reason, record::text from quarantined_records"
    )
    assert kind == name.partition("_")[0]
    assert reason
    assert simulated.page.token not in record
    assert "access_token" not in record


@pytest.mark.parametrize("name", ["thread_without_time", "message_bad_time"])
def test_a_quarantined_record_is_resolved_when_it_arrives_well(
    simulate: Simulate, connect: Connect, database: Database, name: str
) -> None:
    simulated = simulate(conversations=20)
    simulated.fault(name)
    engine = connect(simulated)
    unresolved = "select count(*) from quarantined_records where resolved_at is null"
    for _ in range(2):
        assert walk(engine, simulated.page.id, mode="full").quarantined == 1
        assert rows(database, unresolved) == [(1,)]
    simulated.clear_faults()
    walk(engine, simulated.page.id, mode="full")
    assert rows(database, unresolved) == [(0,)]


def test_unknown_fields_are_counted_once_per_session(simulate: Simulate, connect: Connect) -> None:
    simulated = simulate(conversations=110)
    simulated.fault("unknown_fields")
    result = walk(connect(simulated), simulated.page.id)
    assert result.unknown_fields
    assert {name.partition(".")[0] for name in result.unknown_fields} == {"thread", "message"}
    assert set(result.unknown_fields.values()) == {1}


# -- History --------------------------------------------------------------------------------------


@pytest.mark.parametrize("style", ["refused", "ids"])
def test_withheld_old_messages_are_not_deletions_and_are_not_requested_forever(
    small: Simulated, connect: Connect, database: Database, style: str
) -> None:
    engine = connect(small)
    small.fault("history_limit", newest=20, style=style)
    first = walk(engine, small.page.id)
    assert (first.outcome, first.quarantined) == ("completed", 0)
    readable = Counter(
        (row["message_id"] for row in small.world.truth(small.page, newest=20)),
    )
    assert Counter(entry[2] for entry in stored(database).elements()) == readable
    long = sum(length > 20 for length in small.page.lengths)
    [(unreadable, still)] = rows(
        database,
        "select count(*) filter (where unreadable), count(*) filter (where not unreadable)"
        " from thread_gaps",
    )
    assert unreadable == long > 0
    assert still == 0
    assert (
        rows(database, "select 1 from messenger_conversations where deleted_at is not null") == []
    )

    def histories() -> int:
        return sum("/messages?" in call for call in small.calls())

    before = histories()
    walk(engine, small.page.id)
    assert histories() == before
    for _ in range(4):
        walk(engine, small.page.id, mode="full")
    again = histories()
    walk(engine, small.page.id, mode="full")
    assert histories() == again, "requested a few more times, then never"
    assert pages.get_page(database, small.page.id).status == "active"


def test_history_refused_for_a_missing_permission_is_loaded_by_the_next_full_sync(
    small: Simulated, connect: Connect, database: Database
) -> None:
    engine = connect(small)
    small.fault("history_limit", newest=20, style="refused")
    walk(engine, small.page.id)
    small.clear_faults()
    walk(engine, small.page.id, mode="full")
    assert stored(database) == truth(small)


def test_a_thread_of_20000_messages_is_read_over_several_runs(
    simulate: Simulate, connect: Connect, database: Database
) -> None:
    simulated = simulate(conversations=3)
    simulated.fault("long_thread", thread=0, messages=20_000)
    engine = connect(simulated)
    runs = [walk(engine, simulated.page.id, max_seconds=0.3)]
    while runs[-1].has_more:
        runs.append(walk(engine, simulated.page.id, max_seconds=0.3))
        assert len(runs) < 100
    assert len(runs) > 2
    assert stored(database) == truth(simulated)
    calls = [call for call in simulated.calls() if "/messages?" in call]
    again = len(calls) - len(set(calls))
    assert again < len(runs), "except the answer that was fetched ahead when a run ended"


# -- Tokens and permissions -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["token_expired", "token_checkpoint", "token_password_changed", "app_removed",
     "permission_revoked", "permission_missing"],
)  # fmt: skip
def test_a_token_that_dies_during_a_walk_keeps_what_was_loaded_and_marks_the_page(
    small: Simulated, connect: Connect, database: Database, name: str
) -> None:
    engine = connect(small)
    small.fault(name, after=1)
    with pytest.raises(PageOwnerMustAct) as caught:
        walk(engine, small.page.id)
    assert caught.value.exit_code == 5
    assert pages.get_page(database, small.page.id).status == "active", "one refusal proves nothing"
    let_a_minute_pass(database)
    with pytest.raises(PageOwnerMustAct) as caught:
        walk(engine, small.page.id)
    page = pages.get_page(database, small.page.id)
    assert page.status == "needs_reauthorization"
    assert str(page.status_reason) in str(caught.value)
    assert len(rows(database, "select 1 from messenger_threads")) == 100
    assert sessions.request_continuations(database, []) == []

    small.clear_faults()
    connect(small)
    assert walk(engine, small.page.id).fetched == 130
    assert stored(database) == truth(small)


def test_failed_syncs_store_no_secret(
    small: Simulated, connect: Connect, database: Database
) -> None:
    engine = connect(small)
    for name in ("thread_without_time", "message_bad_time", "cursors_expire", "code_2"):
        small.fault(name)
    walk(engine, small.page.id, max_conversations=150)
    small.fault("token_expired")
    with pytest.raises(PageOwnerMustAct) as caught:
        walk(engine, small.page.id)
    assert small.page.token not in str(caught.value)
    for table in ("sync_state", "quarantined_records", "thread_gaps", "messenger_threads",
                  "facebook_pages", "contact_interaction_events", "graph_api_budget"):  # fmt: skip
        stored_rows = json.dumps(rows(database, f"select to_jsonb(t) from {table} t"))
        assert small.page.token not in stored_rows, table
        assert "access_token=" not in stored_rows, table


def test_a_watermark_is_never_in_the_future(
    small: Simulated, connect: Connect, database: Database
) -> None:
    small.fault("future_time", thread=3, seconds=86_400)
    engine = connect(small)
    walk(engine, small.page.id)
    page = pages.get_page(database, small.page.id)
    assert page.watermark is not None
    assert page.watermark <= datetime.now(UTC) + timedelta(seconds=2)
    small.world.inject(small.page, 5, "behind the one in the future", datetime.now(UTC))
    walk(engine, small.page.id)
    assert stored(database) == truth(small)
