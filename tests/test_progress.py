"""The progress of a sync, computed from its stored session."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from messenger_pipeline.db.progress import SessionProgress
from messenger_pipeline.progress import (
    StatusAnswer,
    conversations_per_second,
    describe,
    format_duration,
    fraction_done,
    seconds_left,
    status_answer,
)

NOW = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)
OPEN = SessionProgress(
    sync_session_id=UUID(int=1), page_id="10", page_name="A page", mode="full", state="running",
    changes=7, total_synced=250, inserted=200, updated=30, unchanged=20, events_created=1000,
    quarantined=0, failed_batches=0, deleted=0, api_calls=10, open_gaps=0, expected=1000,
    listed_at=None, cutoff=None, next_watermark=None, last_updated_time=None,
    worked_seconds=5.0, waited_seconds=0.0, waiting_until=None, waiting_for=None, run_id="run-1",
    outcome=None, last_error=None, warning=None, started_at=NOW, updated_at=NOW, ended_at=None,
)  # fmt: skip
INCREMENTAL = replace(
    OPEN, mode="incremental", expected=None, next_watermark=NOW, cutoff=NOW - timedelta(hours=10),
    last_updated_time=NOW - timedelta(hours=2),
)  # fmt: skip

counts = st.integers(0, 2**31 - 1)
seconds = st.floats(0, 1e9)
times = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds of aware times
outcomes = st.sampled_from([None, "completed", "superseded", "truncated", "failed"])
states = st.sampled_from(
    ["running", "rate_limited", "requested", "backing_off", "resumable", "paused",
     "needs_reauthorization", "removed", "completed", "a state of tomorrow"]
)  # fmt: skip
sessions = st.builds(
    SessionProgress,
    sync_session_id=st.uuids(), page_id=st.text(), page_name=st.none() | st.text(),
    mode=st.sampled_from(["full", "incremental"]), state=states, changes=counts,
    total_synced=counts, inserted=counts, updated=counts, unchanged=counts, events_created=counts,
    quarantined=counts, failed_batches=counts, deleted=counts, api_calls=counts, open_gaps=counts,
    expected=st.none() | counts, listed_at=st.none() | times, cutoff=st.none() | times,
    next_watermark=st.none() | times, last_updated_time=st.none() | times,
    worked_seconds=seconds, waited_seconds=seconds, waiting_until=st.none() | times,
    waiting_for=st.none() | st.text(), run_id=st.none() | st.text(), outcome=outcomes,
    last_error=st.none() | st.text(), warning=st.none() | st.text(), started_at=times,
    updated_at=times, ended_at=st.none() | times,
)  # fmt: skip


estimable = st.builds(
    lambda session, total, calls, work: replace(
        session, outcome=None, total_synced=total, expected=total + 2000, api_calls=calls,
        worked_seconds=work,
    ),
    sessions, st.integers(1, 10**6), st.integers(1, 10**6), st.floats(0.001, 1e6),
)  # fmt: skip


@given(sessions, times)
def test_no_figures_give_a_negative_or_impossible_status(
    session: SessionProgress, now: datetime
) -> None:
    status = status_answer(session, now)
    assert {*status} == {*StatusAnswer.__annotations__}
    for name in ("conversationsPerSecond", "secondsLeft", "durationSeconds"):
        value: Any = status[name]
        assert value is None or 0 <= value < float("inf")
    assert status["fraction"] is None or 0 <= status["fraction"] <= 1
    assert status["hasMore"] == (session.outcome is None) == (status["resumeSession"] is not None)
    assert (status["success"] is True) == (session.outcome == "completed")
    assert status["message"]


@given(estimable, times, st.integers(0, 1000))
def test_less_time_is_left_the_more_conversations_are_read(
    session: SessionProgress, now: datetime, more: int
) -> None:
    later = replace(session, total_synced=session.total_synced + more)
    before, after = seconds_left(session, now), seconds_left(later, now)
    assume(before is not None and after is not None)
    assert before is not None
    assert after is not None
    assert after <= before
    done, then = fraction_done(session), fraction_done(later)
    assert done is not None
    assert then is not None
    assert then >= done


@given(estimable, times, st.integers(0, 1000))
def test_more_gaps_take_longer(session: SessionProgress, now: datetime, more: int) -> None:
    before = seconds_left(session, now)
    after = seconds_left(replace(session, open_gaps=session.open_gaps + more), now)
    assume(before is not None and after is not None)
    assert before is not None
    assert after is not None
    assert after >= before


@given(sessions, times)
def test_an_ended_session_has_no_seconds_left(session: SessionProgress, now: datetime) -> None:
    assert session.outcome is None or seconds_left(session, now) is None


def test_a_full_sync_is_estimated_from_the_pages_last_count() -> None:
    assert conversations_per_second(OPEN) == 50
    assert seconds_left(OPEN, NOW) == 15
    assert fraction_done(OPEN) == 0.25
    assert describe(OPEN, NOW) == (
        "Full sync is reading the list of conversations: 250 of about 1,000 conversations read,"
        " 200 new, 30 changed, 1,000 events, 50.0 per second, about 15 s left"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"expected": None},
        {"expected": 250},  # the page grew, by an unknown number
        {"total_synced": 0},
        {"worked_seconds": 0.0},
        {"open_gaps": 3, "api_calls": 0},
    ],
)
def test_unknown_figures_give_no_estimate(change: dict[str, Any]) -> None:
    unsure = replace(OPEN, **change)
    assert (seconds_left(unsure, NOW), fraction_done(unsure)) == (None, None)
    assert "left" not in describe(unsure, NOW)


def test_an_incremental_sync_is_estimated_from_the_time_it_covered() -> None:
    assert fraction_done(INCREMENTAL) == pytest.approx(0.2)
    assert seconds_left(INCREMENTAL, NOW) == pytest.approx(20)
    barely = replace(INCREMENTAL, last_updated_time=NOW - timedelta(minutes=30))
    assert seconds_left(barely, NOW) is None


def test_each_gap_is_estimated_as_one_call_and_waits_are_added() -> None:
    listed = replace(OPEN, listed_at=NOW, open_gaps=30)
    assert seconds_left(listed, NOW) == 15
    waiting = replace(listed, waiting_until=NOW + timedelta(seconds=60))
    assert seconds_left(waiting, NOW) == 75
    assert seconds_left(waiting, NOW + timedelta(hours=1)) == 15


def test_success_is_null_until_the_session_fails_or_ends() -> None:
    left = replace(OPEN, run_id=None, state="resumable")
    for session, success in (
        (OPEN, None),
        (left, None),
        (replace(left, last_error="why"), False),
        (replace(OPEN, last_error="of the last run"), None),
        (replace(left, last_error="why", state="requested"), None),
        (replace(OPEN, outcome="completed"), True),
        (replace(OPEN, outcome="truncated"), False),
        (replace(OPEN, outcome="superseded"), False),
        (replace(OPEN, outcome="failed"), False),
    ):
        assert status_answer(session, NOW)["success"] is success


def test_an_ended_session_is_described_as_by_the_replaced_application() -> None:
    done = replace(OPEN, outcome="completed", worked_seconds=120.5, total_synced=10_000)
    status = status_answer(done, NOW)
    assert (status["duration"], status["speed"]) == ("120.5s", "83.0 conversations/sec")
    assert status["message"] == "Full sync: 10000 conversation(s) with 1000 events"
    assert (status["synced"], status["total"]) == (10_000, 10_000)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"state": "requested"}, "is requested and will start in a moment"),
        ({"state": "rate_limited", "waiting_until": NOW, "waiting_for": "the app's limit"},
         "is waiting for the app's limit until 12:00:00 UTC"),
        ({"state": "backing_off", "waiting_until": NOW}, "until 12:00:00 UTC"),
        ({"state": "needs_reauthorization", "run_id": None, "last_error": "the token expired"},
         "Last error: the token expired"),
        ({"listed_at": NOW, "open_gaps": 12}, "is reading 12 more gaps of history"),
        ({"outcome": "truncated", "warning": "the list ends too soon"}, "the list ends too soon"),
        ({"outcome": "superseded"}, "superseded by a newer full sync"),
    ],
)  # fmt: skip
def test_the_description_names_what_the_sync_waits_for_or_why_it_ended(
    change: dict[str, Any], words: str
) -> None:
    assert words in describe(replace(OPEN, **change), NOW)


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (89, "89 s"), (90, "2 min"), (5400, "1.5 h")]
)
def test_a_duration_has_a_unit_that_suits_its_length(seconds: float, words: str) -> None:
    assert format_duration(seconds) == words
