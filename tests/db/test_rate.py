"""The budget of calls that all processes share."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from messenger_pipeline.db.pool import Database, call
from messenger_pipeline.db.rate import Budget, Pacer
from messenger_pipeline.errors import RateLimited, Stopped
from tests.db.test_load import query

PAGE = Budget(app="1", token="T", page="10", calls_per_second=1_000)
OTHER = replace(PAGE, page="11", token="U")


def reserve(database: Database, budget: Budget = PAGE) -> tuple[float, str | None]:
    """Seconds to wait for the next turn, and what is paused for long."""
    [(seconds, paused)] = database.call(
        "reserve_graph_call",
        scopes=list(budget.scopes.values()),
        calls_per_second=budget.calls_per_second,
        reserve_percent=budget.reserve_percent,
    )
    return seconds, paused


def pacer(database: Database, budget: Budget = PAGE) -> Pacer:
    return Pacer(database, budget, threading.Event())


def reserved_slot(database: Database, budget: Budget) -> float:
    """Reserve a call; returns the time of its slot, in seconds of the database's clock."""
    with database.transaction() as connection:
        call(
            connection,
            "reserve_graph_call",
            scopes=list(budget.scopes.values()),
            calls_per_second=budget.calls_per_second,
            patience=1e6,
        )
        # The transaction still holds the row's lock.
        [(slot,)] = connection.execute(
            "select extract(epoch from last_call_at) from graph_api_budget where scope = %s",
            [budget.scopes["page"]],
        ).fetchall()
    return float(slot)


def let_pass(database: Database, seconds: float) -> None:
    """Move the budget's times into the past instead of waiting."""
    query(
        database,
        "update graph_api_budget set last_call_at = last_call_at - make_interval(secs => %s),"
        " recent_calls = (select array_agg(r.at - make_interval(secs => %s) order by r.place)"
        "                 from unnest(recent_calls) with ordinality as r (at, place)),"
        " blocked_until = blocked_until - make_interval(secs => %s) returning 1",
        *[seconds] * 3,
    )


def test_calls_of_many_at_once_are_spaced_by_the_rate(database: Database) -> None:
    slow = replace(PAGE, calls_per_second=0.5)
    with ThreadPoolExecutor(4) as workers:
        waits = sorted(workers.map(lambda _: reserve(database, slow)[0], range(8)))
    assert [round(wait / 2.1) for wait in waits] == list(range(8))


steps = st.one_of(
    st.integers(1, 6),  # reservations at the same time
    st.floats(0, 3),  # seconds that pass
    st.sampled_from(["pause", "busy"]),
)


@settings(max_examples=25)
@given(st.sampled_from([1, 2, 3, 4, 5, 7]), st.lists(steps, max_size=12), st.randoms())
def test_of_one_call_more_than_the_rate_the_first_and_the_last_are_over_a_second_apart(
    database: Database, rate: int, story: list[Any], random: Any
) -> None:
    """However reservations of several connections, pauses and use of the quota mix. So a server
    that gets each call up to 100 ms late counts no more than the rate in any second."""
    budget = replace(PAGE, calls_per_second=rate, page=f"{random.random()}")
    slots: list[float] = []
    with ThreadPoolExecutor(4) as workers:
        for step in story:
            match step:
                case int():
                    made = workers.map(lambda _: reserved_slot(database, budget), range(step))
                    slots += made
                case float():
                    let_pass(database, step) if slots else None
                    slots = [slot - step for slot in slots]
                case "pause":
                    pacer(database, budget).pause("page", 5.0)
                case "busy":
                    pacer(database, budget).record_usage(app=0, page=80)
    slots.sort()
    for first, last in zip(slots, slots[rate:], strict=False):
        assert last - first >= 1.1 - 1e-6
    seen = sorted(slot + random.uniform(0, 0.1) for slot in slots)
    for first, last in zip(seen, seen[rate:], strict=False):
        assert last - first >= 1.0 - 1e-6


@pytest.mark.parametrize("rate", [1, 2, 3, 4, 5, 7])
def test_no_call_waits_longer_than_the_rate_needs(database: Database, rate: int) -> None:
    budget = replace(PAGE, calls_per_second=rate)
    first = reserved_slot(database, budget)
    slots = [reserved_slot(database, budget) for _ in range(10 * rate)]
    assert slots[-1] - first <= 10 * 1.1 + 1.1


def test_a_slow_answer_costs_none_of_the_calls_behind_it(database: Database) -> None:
    """Two calls a second that take 0.2 and 0.9 seconds in turn never wait."""
    budget = replace(PAGE, calls_per_second=2)
    reserve(database, budget)
    let_pass(database, 10)
    waits = []
    for number in range(8):
        waits.append(reserve(database, budget)[0])
        let_pass(database, 0.9 if number % 2 else 0.2)
    assert waits == [0] * 8


def test_calls_of_one_process_keep_their_distance_if_one_was_sent_late(
    database: Database,
) -> None:
    """The first call had to connect for a while, so Meta received it late."""
    pace = pacer(database, replace(PAGE, calls_per_second=2))
    pace.wait()
    time.sleep(0.3)  # connecting
    pace.record_usage(0, 0)
    received = time.monotonic()
    pace.wait()
    pace.wait()
    assert time.monotonic() - received >= 1.1


def test_pages_do_not_wait_for_each_other(database: Database) -> None:
    for budget in (PAGE, OTHER):
        assert reserve(database, replace(budget, calls_per_second=0.1)) == (0, None)


def test_after_a_pause_there_is_no_burst(database: Database) -> None:
    slow = replace(PAGE, calls_per_second=0.1)
    reserve(database, slow)
    query(
        database,
        "update graph_api_budget set last_call_at = last_call_at - interval '1 hour' returning 1",
    )
    assert reserve(database, slow)[0] == 0
    assert reserve(database, slow)[0] > 9


@pytest.mark.parametrize(
    ("scope", "concerned"),
    [("page", [PAGE]), ("token", [PAGE]), ("app", [PAGE, OTHER])],
)
def test_a_limit_pauses_app_token_or_page_and_nobody_else(
    database: Database, scope: str, concerned: list[Budget]
) -> None:
    assert 59 < pacer(database).pause(scope, 60.0) <= 60
    for budget in (PAGE, OTHER):
        if budget in concerned:
            with pytest.raises(RateLimited, match=f"limit of the {scope}") as caught:
                pacer(database, budget).wait()
            assert 55 < (caught.value.seconds or 0) <= 60
        else:
            assert reserve(database, budget) == (0, None)


def test_a_short_pause_is_waited_for(database: Database) -> None:
    pacer(database).pause("app", 20.0)
    seconds, paused = reserve(database)
    assert 18 < seconds <= 20
    assert paused is None


def test_consecutive_pauses_of_unknown_length_double(database: Database) -> None:
    pace = pacer(database)
    lengths = []
    for _ in range(7):
        lengths.append(round(pace.pause("page", None) / 60))
        query(database, "update graph_api_budget set blocked_until = now() returning 1")
    assert lengths == [15, 30, 60, 120, 240, 240, 240]
    query(
        database,
        "update graph_api_budget set blocked_until = now() - interval '2 hours' returning 1",
    )
    assert round(pace.pause("page", None) / 60) == 15


def test_calls_refused_at_once_by_one_limit_count_once(database: Database) -> None:
    pace = pacer(database)
    with ThreadPoolExecutor(4) as workers:
        lengths = list(workers.map(lambda _: round(pace.pause("page", None) / 60), range(8)))
    assert set(lengths) == {15}


def test_a_shorter_pause_does_not_end_a_longer_one(database: Database) -> None:
    pace = pacer(database)
    pace.pause("page", 600.0)
    assert pace.pause("page", 60.0) > 590


def test_use_of_the_quota_slows_calls_and_the_less_urgent_ones_first(database: Database) -> None:
    slow = replace(PAGE, calls_per_second=1)
    pacer(database).record_usage(app=0, page=70)

    def interval(reserve_percent: int) -> float:
        query(database, "update graph_api_budget set last_call_at = now() returning 1")
        return reserve(database, replace(slow, reserve_percent=reserve_percent))[0]

    live, incremental, backfill = (interval(reserve_percent) for reserve_percent in (0, 25, 50))
    assert 1.1 < live < incremental < backfill <= 22


def test_an_old_usage_report_slows_nothing(database: Database) -> None:
    pacer(database).record_usage(app=99, page=99)
    query(
        database,
        "update graph_api_budget set used_at = now() - interval '1 hour' returning 1",
    )
    slow = replace(PAGE, calls_per_second=1)
    reserve(database, slow)
    assert reserve(database, slow)[0] <= 1.1


def test_use_of_the_app_slows_every_page(database: Database) -> None:
    pacer(database).record_usage(app=90, page=0)
    slow = replace(OTHER, calls_per_second=1)
    reserve(database, slow)
    assert reserve(database, slow)[0] > 4


@given(st.data())
def test_more_use_and_less_urgency_never_speed_up(database: Database, data: Any) -> None:
    percent = st.integers(0, 120)
    used, reserve_percent = data.draw(percent), data.draw(st.integers(0, 100))

    def throttle_factor(used: int, reserve_percent: int) -> float:
        factor: float = database.value(
            "throttle_factor", used=used, reserve_percent=reserve_percent
        )
        return factor

    here = throttle_factor(used, reserve_percent)
    assert 1 <= here <= 20
    assert throttle_factor(data.draw(st.integers(used, 150)), reserve_percent) >= here
    assert throttle_factor(used, data.draw(st.integers(reserve_percent, 120))) >= here


def test_a_stop_request_ends_the_wait(database: Database) -> None:
    stop = threading.Event()
    stop.set()
    pace = Pacer(database, replace(PAGE, calls_per_second=0.0001), stop)
    pace.wait()
    with pytest.raises(Stopped, match="stop requested"):
        pace.wait()  # hours away


def test_times_from_before_the_clock_was_set_back_hold_up_no_call(database: Database) -> None:
    reserve(database)
    query(
        database,
        "update graph_api_budget set last_call_at = now() + interval '1 year',"
        " blocked_until = now() + interval '1 year' returning 1",
    )
    assert reserve(database) == (0, None)


@pytest.mark.parametrize("seconds", [1e9, float("inf"), float("nan"), -5.0, 0.0])
def test_every_pause_lasts_for_more_than_nothing_and_at_most_a_day(
    database: Database, seconds: float
) -> None:
    for _first_and_further in range(2):
        assert 100 < pacer(database).pause("page", seconds) <= 86_400
    assert reserve(database)[1] == "page:10"
