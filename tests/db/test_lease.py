"""The lease and its fence, with real connections at once."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from pydantic_core import to_json

from messenger_pipeline.db import lease
from messenger_pipeline.db.lease import held_lease
from messenger_pipeline.db.pool import Database
from messenger_pipeline.errors import LeaseLost, SyncInProgress
from tests.conftest import give_locks_up
from tests.db.test_load import conversation, event, query, upsert


def expire(database: Database) -> None:
    query(database, "update sync_locks set expires_at = clock_timestamp() returning 1")


def test_a_second_run_learns_who_holds_the_lease(database: Database) -> None:
    with (
        held_lease(database, "10", "one"),
        pytest.raises(SyncInProgress, match="by run one since"),
        held_lease(database, "10", "other"),
    ):
        pass
    with held_lease(database, "10", "other"):
        pass


def test_of_many_at_once_exactly_one_takes_it(database: Database) -> None:
    barrier, taken = threading.Barrier(4), []

    def take(name: str) -> None:
        barrier.wait()
        if database.value("acquire_sync_lock", page_id="10", locked_by=name, duration=60):
            taken.append(name)

    threads = [threading.Thread(target=take, args=(str(n),)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 1


def test_leases_on_different_pages_do_not_meet(database: Database) -> None:
    with held_lease(database, "10", "one"), held_lease(database, "11", "other"):
        pass


def test_an_expired_lease_is_taken_and_the_old_holder_cannot_write(database: Database) -> None:
    with held_lease(database, "10", "slow") as slow:
        expire(database)
        with held_lease(database, "10", "next") as fence:
            assert fence > slow
            body = [conversation("20", event("m_1"))]
            with pytest.raises(
                LeaseLost, match=r"the lease on page 10 was lost\. It has been held by next since"
            ):
                database.call(
                    "bulk_upsert_conversations_with_events",
                    page_id="10",
                    conversations=to_json(body).decode(),
                    fence=slow,
                )
    assert query(database, "select * from messenger_conversations") == []


def test_an_expired_lease_that_nobody_took_still_fences(database: Database) -> None:
    with held_lease(database, "10", "slow") as fence:
        expire(database)
        database.call("check_fence", page_id="10", fence=fence)


def test_taking_it_again_under_the_same_name_gives_a_new_token(database: Database) -> None:
    with held_lease(database, "10", "one") as first:
        again = database.value("take_lease", page_id="10", locked_by="one", seconds=60)
        assert again > first
        with pytest.raises(LeaseLost):
            database.call("check_fence", page_id="10", fence=first)


def test_a_lease_is_renewed_while_it_is_held(database: Database) -> None:
    """The heart beats three times in a lease's life: one of three seconds outlives the look at
    its renewal, which a waiting transaction makes sure of."""
    with held_lease(database, "10", "one", seconds=1):
        [(before,)] = query(database, "select expires_at from sync_locks")
        deadline = before + timedelta(seconds=60)
        while True:
            [(now, expires_at)] = query(
                database, "select clock_timestamp(), expires_at from sync_locks"
            )
            if expires_at > before:
                break
            assert now < deadline, "the lease was never renewed"


def renewals(database: Database) -> Any:
    [(expires_at,)] = query(database, "select expires_at from sync_locks")
    return expires_at


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_lease_is_renewed_after_a_renewal_that_was_refused(
    database: Database, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here by a lock_timeout; a trigger would do the same."""
    give_locks_up(monkeypatch)
    with Database(url, timeout=5) as own, held_lease(own, "10", "run", seconds=2):
        with psycopg.connect(url) as other:
            other.execute("set search_path to messenger_pipeline, public")
            other.execute("select from sync_locks for update")
            time.sleep(1.2)  # longer than a renewal waits
        before = renewals(database)
        wait_for(lambda: renewals(database) > before)
    assert query(database, "select from sync_locks") == []


@pytest.mark.parametrize("error", [AssertionError, MemoryError, RuntimeError])
def test_a_lease_is_renewed_after_any_error(
    database: Database, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    call, failed = database.call, list[str]()

    def failing(function: str, *arguments: Any, **named: Any) -> Any:
        if function == "extend_sync_lock" and not failed:
            failed.append(function)
            raise error
        return call(function, *arguments, **named)

    monkeypatch.setattr(database, "call", failing)
    with held_lease(database, "10", "run", seconds=1):
        before = renewals(database)
        wait_for(lambda: bool(failed) and renewals(database) > before)


def test_a_lease_that_cannot_be_released_does_not_fail_its_run(
    database: Database, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It expires by itself."""
    give_locks_up(monkeypatch)
    with (
        psycopg.connect(url) as other,
        Database(url, timeout=5) as own,
        held_lease(own, "10", "run"),
    ):
        other.execute("select from sync_locks for update")
    assert query(database, "select locked_by from sync_locks") == [("run",)]


def test_a_lease_is_not_renewed_for_ever_once_its_run_was_told_to_stop(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "_GRACE_SECONDS", 0.5)
    stop = threading.Event()
    with held_lease(database, "10", "run", seconds=1, stop=stop):
        before = renewals(database)
        wait_for(lambda: renewals(database) > before)
        stop.set()
        wait_for(lambda: all(one.name != "lease" for one in threading.enumerate()))
        wait_for(lambda: bool(database.value("take_lease", page_id="10", locked_by="b", seconds=9)))
    assert query(database, "select locked_by from sync_locks") == [("b",)]


def test_a_lease_is_renewed_in_the_grace_after_stop(database: Database) -> None:
    stop = threading.Event()
    stop.set()
    with held_lease(database, "10", "run", seconds=1, stop=stop):
        before = renewals(database)
        wait_for(lambda: renewals(database) > before)


def test_no_load_straddles_a_change_of_holder(database: Database) -> None:
    """A run that takes an expired lease waits for a load that began under it."""
    order = []

    def take() -> None:
        database.call("take_lease", page_id="10", locked_by="next", seconds=60)
        order.append("taken")

    with held_lease(database, "10", "slow") as fence:
        expire(database)
        with database.transaction() as connection:
            connection.execute("select check_fence('10', %s)", [fence])
            taker = threading.Thread(target=take)
            taker.start()
            with database.transaction() as other:
                while not other.execute(
                    "select from pg_stat_activity where wait_event_type = 'Lock'"
                    " and datname = current_database()"
                ).fetchall():
                    pass
            order.append("loaded")
        taker.join()
    assert order == ["loaded", "taken"]


def test_the_functions_of_the_old_application_work(database: Database) -> None:
    def value(call: str) -> object:
        return query(database, f"select {call}")[0][0]

    assert value("acquire_sync_lock('10', 'me', 300)") is True
    assert value("acquire_sync_lock('10', 'you', 300)") is False
    assert value("extend_sync_lock('10', 'me', 600)") is True
    assert value("extend_sync_lock('10', 'you', 600)") is False
    assert value("release_sync_lock('10', 'you')") is False
    assert value("cleanup_expired_locks()") == 0
    expire(database)
    assert value("cleanup_expired_locks()") == 1
    assert value("release_sync_lock('10', 'me')") is False
    upsert(database, "10", conversation("20", event("m_1")))
