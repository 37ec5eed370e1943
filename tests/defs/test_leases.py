"""Leases of runs that Dagster has ended: waited for, freed and alerted."""

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from messenger_pipeline.db.lease import held_lease
from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.sessions import Lease, list_leases, open_session, suspend_session
from messenger_pipeline.definitions import defs
from messenger_pipeline.defs import launch, leases
from messenger_pipeline.defs.leases import is_overstayed
from messenger_pipeline.defs.sensors import reap_dead_runs
from messenger_pipeline.defs.tags import PARTITION
from messenger_pipeline.errors import LeaseLost, SyncInProgress
from messenger_pipeline.sync.stop import Stop
from tests.conftest import Simulated
from tests.db.test_load import query
from tests.defs.test_definitions import sync, tick_sensor
from tests.defs.test_launches import failure_of

HOLDER = "00000000-0000-4000-8000-0000000000aa"


def cancelled_by_force(instance: dg.DagsterInstance, page_id: str) -> None:
    """A run that shows as cancelled, whatever its process does."""
    run = instance.create_run_for_job(
        defs.resolve_job_def("sync_page"), run_id=HOLDER, tags={PARTITION: page_id}
    )
    instance.report_run_canceled(run)


def take(database: Database, page_id: str, locked_by: str = HOLDER) -> int:
    fence = database.value("take_lease", page_id=page_id, locked_by=locked_by, seconds=60)
    assert isinstance(fence, int)
    return fence


def as_if_ended(instance: dg.DagsterInstance, ago: timedelta) -> None:
    """The holder's run ended that long ago."""
    end = (datetime.now(UTC) - ago).timestamp()
    with instance.run_storage.connect() as connection:  # type: ignore[attr-defined]
        connection.exec_driver_sql("update runs set end_time = %s where run_id = %s", (end, HOLDER))


def test_a_process_that_outlives_its_run_loses_its_lease_and_an_alert_opens(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    page_id = registered.page.id
    cancelled_by_force(instance, page_id)
    fence = take(database, page_id)
    session = open_session(database, page_id, fence, "full", HOLDER, None)
    assert session is not None

    # Within the lease's time it may still end its work.
    tick_sensor(reap_dead_runs, instance)
    assert [one.locked_by for one in list_leases(database)] == [HOLDER]

    as_if_ended(instance, timedelta(seconds=91))
    tick_sensor(reap_dead_runs, instance)
    assert list_leases(database) == []
    with pytest.raises(LeaseLost):
        suspend_session(database, session.sync_session_id, fence, 0)
    assert not database.value("extend_sync_lock", page_id=page_id, locked_by=HOLDER)
    [(severity, summary, run_id)] = query(
        database,
        "select severity, summary, details ->> 'run_id' from messenger_pipeline"
        ".list_alert_conditions() where kind = 'lease_of_ended_run' and page_id = %s",
        page_id,
    )
    assert (severity, run_id) == ("error", HOLDER)
    assert f"Run {HOLDER} went on holding Page {page_id}" in summary
    assert "(CANCELED)" in summary
    assert sync(instance, page_id).success


def test_an_idle_lease_of_a_run_that_dagster_does_not_know_is_freed(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    """Such as a run that was deleted while its process spins."""
    one, other = (page.id for page in registered.pages)
    for page_id in (one, other):
        fence = take(database, page_id)
        open_session(database, page_id, fence, "full", HOLDER, None)
    query(database, "update sync_locks set locked_at = now() - interval '6 minutes' returning 1")
    query(
        database,
        "update sync_state set updated_at = now() - interval '6 minutes' where page_id = %s"
        " returning 1",
        one,
    )
    tick_sensor(reap_dead_runs, instance)
    assert [one.page_id for one in list_leases(database)] == [other], "that one works"
    [(summary,)] = query(
        database,
        "select summary from messenger_pipeline.list_alert_conditions()"
        " where kind = 'lease_of_ended_run'",
    )
    assert "although Dagster does not know it. Its lease was freed at" in summary


NOW = datetime(2026, 5, 1, tzinfo=UTC)


def lease(expires_in: float, idle_for: float) -> Lease:
    expires, idle = timedelta(seconds=expires_in), timedelta(seconds=idle_for)
    return Lease("1", HOLDER, NOW + expires, NOW - idle)


def record(status: dg.DagsterRunStatus, ended_ago: float) -> dg.RunRecord:
    return dg.RunRecord(
        storage_id=1, dagster_run=dg.DagsterRun(job_name="sync_page", status=status),
        create_timestamp=NOW, update_timestamp=NOW, start_time=None,
        end_time=NOW.timestamp() - ended_ago,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("held", "run", "overstayed"),
    [
        (lease(30, 900), record(dg.DagsterRunStatus.CANCELED, 91), True),
        (lease(30, 900), record(dg.DagsterRunStatus.FAILURE, 91), True),
        (lease(30, 900), record(dg.DagsterRunStatus.SUCCESS, 89), False),
        (lease(30, 900), record(dg.DagsterRunStatus.STARTED, 900), False),
        (lease(-1, 900), record(dg.DagsterRunStatus.CANCELED, 91), False),
        # A run of another Dagster works, or one that was deleted here spins.
        (lease(30, 299), None, False),
        (lease(30, 301), None, True),
    ],
)  # fmt: skip
def test_only_a_lease_that_is_renewed_after_its_runs_end_is_freed(
    held: Lease, run: dg.RunRecord | None, overstayed: bool
) -> None:
    assert is_overstayed(held, run, NOW) == overstayed


def test_a_lease_that_no_run_holds_is_left_alone(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    """Other programs may take a lease by the function of the contract."""
    take(database, registered.page.id, "a program of the owner")
    query(database, "update sync_locks set locked_at = now() - interval '1 day' returning 1")
    tick_sensor(reap_dead_runs, instance)
    assert len(list_leases(database)) == 1


def test_a_run_waits_for_the_lease_of_a_cancelled_one(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    page_id = registered.page.id
    cancelled_by_force(instance, page_id)
    waited = threading.Event()

    def hold() -> None:
        with held_lease(database, page_id, HOLDER):
            held.set()
            while not registered_wait():
                time.sleep(0.05)
            waited.set()

    def registered_wait() -> bool:
        """Whether the run has logged that it waits."""
        runs = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
        return any(
            "waiting for the lease" in entry.event_log_entry.user_message
            for run in runs
            for entry in instance.get_records_for_run(run.run_id).records
        )

    held = threading.Event()
    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(60)
    result = sync(instance, page_id)
    thread.join()
    assert waited.is_set()
    assert result.success
    assert query(database, "select outcome, run_id from sync_state") == [
        ("completed", result.run_id)
    ]
    assert query(database, "select * from messenger_pipeline.freed_leases") == []


def test_a_run_frees_a_lease_that_the_process_of_a_cancelled_one_keeps_renewing(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    page_id = registered.page.id
    cancelled_by_force(instance, page_id)
    as_if_ended(instance, timedelta(seconds=91))
    take(database, page_id)
    assert sync(instance, page_id).success
    assert query(database, "select page_id, run_id, run_status from"
                 " messenger_pipeline.freed_leases") == [(page_id, HOLDER, "CANCELED")]  # fmt: skip


def test_a_run_waits_two_minutes_at_most(
    instance: dg.DagsterInstance,
    registered: Simulated,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(leases, "_WAIT_SECONDS", 1.5)
    page_id = registered.page.id
    cancelled_by_force(instance, page_id)
    take(database, page_id)
    start = time.monotonic()
    assert "Sync already in progress" in (failure_of(sync(instance, page_id)) or "")
    assert time.monotonic() - start >= 1.5


@pytest.mark.parametrize("status", ["live", "unknown"])
def test_no_run_waits_for_the_lease_of_a_live_or_unknown_one(
    instance: dg.DagsterInstance,
    registered: Simulated,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    status: str,
) -> None:
    looks: list[Any] = []
    monkeypatch.setattr(Stop, "wait", lambda *_: looks.append(1))
    page_id = registered.page.id
    if status == "live":
        instance.add_run(
            dg.DagsterRun(
                job_name="sync_page", run_id=HOLDER, status=dg.DagsterRunStatus.STARTED,
                tags={PARTITION: page_id},
            )
        )  # fmt: skip
    take(database, page_id)
    assert "Sync already in progress" in (failure_of(sync(instance, page_id)) or "")
    assert looks == []


def test_the_command_line_does_not_wait(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    page_id = registered.page.id
    cancelled_by_force(instance, page_id)
    take(database, page_id)
    with pytest.raises(SyncInProgress):
        launch.run_sync(
            page_id, mode="auto", max_conversations=None, max_seconds=None,
            run_id="00000000-0000-4000-8000-000000000001",
        )  # fmt: skip
