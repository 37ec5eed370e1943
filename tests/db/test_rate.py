"""The budget of calls that all processes share."""

import threading
from concurrent.futures import ThreadPoolExecutor

from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.rate import pacer
from tests.db.test_load import query


def test_calls_of_many_at_once_are_spaced_by_the_rate(database: Database) -> None:
    def reserve(_: int) -> float:
        seconds: float = database.value("reserve_graph_call", scope="page:10", calls_per_second=0.5)
        return seconds

    with ThreadPoolExecutor(4) as workers:
        waits = sorted(workers.map(reserve, range(8)))
    assert [round(wait / 2) for wait in waits] == list(range(8))


def test_scopes_do_not_wait_for_each_other(database: Database) -> None:
    for scope in ("page:10", "page:11"):
        assert database.value("reserve_graph_call", scope=scope, calls_per_second=0.1) == 0


def test_after_a_pause_there_is_no_burst(database: Database) -> None:
    database.value("reserve_graph_call", scope="page:10", calls_per_second=0.1)
    query(
        database,
        "update graph_api_budget set next_call_at = next_call_at - interval '1 hour' returning 1",
    )
    assert database.value("reserve_graph_call", scope="page:10", calls_per_second=0.1) == 0
    assert database.value("reserve_graph_call", scope="page:10", calls_per_second=0.1) > 9


def test_a_blocked_scope_waits_for_the_end_of_the_block(database: Database) -> None:
    database.value("reserve_graph_call", scope="page:10", calls_per_second=10)
    query(
        database,
        "update graph_api_budget set blocked_until = clock_timestamp() + interval '1 minute'"
        " returning 1",
    )
    assert 58 < database.value("reserve_graph_call", scope="page:10", calls_per_second=10) < 61


def test_being_told_to_stop_ends_the_wait(database: Database) -> None:
    stop = threading.Event()
    stop.set()
    pace = pacer(database, "page:10", 0.0001, stop)
    pace()
    pace()  # hours away
