"""Housekeeping deletes what is older than its retention, and nothing else."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import dagster as dg
import pytest

from messenger_pipeline.db.checks import delete_ended_sessions
from messenger_pipeline.db.pool import Database
from messenger_pipeline.definitions import defs
from messenger_pipeline.defs.housekeeping import KEEP, delete_finished_runs
from messenger_pipeline.defs.tags import PARTITION
from tests.conftest import Simulated
from tests.db.test_load import query
from tests.defs.test_definitions import sync


def test_finished_runs_are_deleted_with_their_logs_and_unfinished_ones_stay(
    instance: dg.DagsterInstance, registered: Simulated
) -> None:
    page_id = registered.page.id
    old = [sync(instance, page_id).run_id for _ in range(3)]
    states = (dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED)
    unfinished = {
        instance.add_run(
            dg.DagsterRun(job_name="sync_page", status=status, tags={PARTITION: page_id})
        ).run_id
        for status in states
    }
    long_after = datetime.now(UTC) + timedelta(days=1)
    assert delete_finished_runs(instance, datetime.now(UTC) - KEEP, 100) == 0
    assert len(instance.get_runs()) == 5

    # In batches, oldest first.
    assert delete_finished_runs(instance, long_after, 2) == 2
    assert {run.run_id for run in instance.get_runs()} == {old[2], *unfinished}
    assert delete_finished_runs(instance, long_after, 2) == 1
    assert {run.run_id for run in instance.get_runs()} == unfinished
    assert instance.get_records_for_run(old[0]).records == []


def test_a_run_whose_log_files_cannot_be_deleted_does_not_keep_the_others(
    instance: dg.DagsterInstance, registered: Simulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync(instance, registered.page.id)

    def refuse(*_arguments: object, **_options: object) -> None:
        raise PermissionError("somebody else's file")

    monkeypatch.setattr(type(instance.compute_log_manager), "delete_logs", refuse)
    assert delete_finished_runs(instance, datetime.now(UTC) + timedelta(days=1), 1) == 1
    assert instance.get_runs() == []


def add_session(database: Database, page: str, mode: str, ended_days: int) -> UUID:
    [(session,)] = query(
        database,
        "insert into sync_state (page_id, mode, outcome, started_at, ended_at) values (%s, %s,"
        " 'completed', now() - %s - interval '1 minute', now() - %s) returning sync_session_id",
        page, mode, timedelta(days=ended_days), timedelta(days=ended_days),
    )  # fmt: skip
    return UUID(str(session))


def test_old_sessions_are_deleted_except_the_latest_of_each_page_and_mode_and_leave_their_gaps(
    database: Database,
) -> None:
    def add(page: str, mode: str, ended_days: int) -> UUID:
        return add_session(database, page, mode, ended_days)

    gone = {add("1", "incremental", 40), add("1", "full", 60)}
    kept = {
        add("1", "incremental", 35),  # the latest
        add("1", "full", 50),  # the latest full one, although later incremental ones exist
        add("2", "incremental", 90),
        add("2", "full", 20),
    }
    with_gap = add("2", "full", 100)
    query(
        database,
        "with t as (insert into messenger_threads (page_id, thread_id, updated_time, answered_at)"
        " values ('2', 't', now(), now()) returning thread_id)"
        " insert into thread_gaps (page_id, thread_id, sync_session_id, newest_time, unreadable)"
        " select '2', thread_id, %s, now(), true from t returning 1",
        with_gap,
    )
    [(open_one,)] = query(
        database,
        "insert into sync_state (page_id, mode, started_at) values ('1', 'full',"
        " now() - interval '90 days') returning sync_session_id",
    )
    assert delete_ended_sessions(database, timedelta(days=30)) == len({*gone, with_gap})
    assert delete_ended_sessions(database, timedelta(days=30)) == 0
    left = {UUID(str(one)) for (one,) in query(database, "select sync_session_id from sync_state")}
    assert left == {*kept, UUID(str(open_one))}
    assert query(database, "select sync_session_id from thread_gaps") == [(None,)]


def test_the_hourly_job_runs_every_deletion(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    sync(instance, registered.page.id)
    add_session(database, registered.page.id, "incremental", 40)
    add_session(database, registered.page.id, "incremental", 35)
    result = defs.resolve_job_def("housekeeping").execute_in_process(instance=instance)
    assert result.success
    steps = {event.step_key for event in result.get_step_success_events()}
    assert steps == {
        "delete_old_deliveries", "delete_old_alerts", "delete_old_sessions", "delete_old_runs",
    }  # fmt: skip
    assert query(database, "select count(*) from sync_state") == [(2,)]
    assert len(instance.get_runs()) == 2, "they finished just now"
