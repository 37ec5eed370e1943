"""Runs, sensors, schedules and checks on a real instance."""

from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from messenger_pipeline.db import pages
from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.sync_requests import request_sync
from messenger_pipeline.definitions import defs
from messenger_pipeline.defs import launch
from messenger_pipeline.defs.decisions import reason_dead
from messenger_pipeline.defs.resources import Pipeline
from messenger_pipeline.defs.schedules import full_sync_weekly, sync_due_pages
from messenger_pipeline.defs.sensors import (
    continue_open_syncs,
    page_registry,
    reap_dead_runs,
    requested_syncs,
)
from messenger_pipeline.defs.tags import CAUSE, MODE, PARTITION, SESSION
from messenger_pipeline.errors import DatabaseUnavailable, PageOwnerMustAct, SyncInProgress
from tests.conftest import Simulated
from tests.db.test_load import query

KEYS = {dg.AssetKey("messenger_conversations"), dg.AssetKey("contact_interaction_events")}


def sync(instance: dg.DagsterInstance, page_id: str, **config: Any) -> dg.ExecuteInProcessResult:
    instance.add_dynamic_partitions("facebook_pages", [page_id])
    return defs.resolve_job_def("sync_page").execute_in_process(
        instance=instance,
        partition_key=page_id,
        run_config={"ops": {"sync_facebook_page": {"config": config}}},
        raise_on_error=False,
    )


def tick_sensor(sensor: dg.SensorDefinition, instance: dg.DagsterInstance) -> Any:
    context = dg.build_sensor_context(
        instance=instance, resources={"pipeline": Pipeline()}, definitions=defs
    )
    with dg.partition_loading_context(dynamic_partitions_store=instance):
        return sensor.evaluate_tick(context)


def tick_schedule(schedule: dg.ScheduleDefinition, instance: dg.DagsterInstance) -> Any:
    context = dg.build_schedule_context(
        instance=instance,
        resources={"pipeline": Pipeline()},
        repository_def=defs.get_repository_def(),
        scheduled_execution_time=datetime(2026, 5, 3, 3, tzinfo=UTC),
    )
    with dg.partition_loading_context(dynamic_partitions_store=instance):
        return schedule.evaluate_tick(context)


def test_a_materialization_has_the_figures_of_its_run(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    result = sync(instance, registered.page.id)

    assert result.success
    found = result.asset_materializations_for_node("sync_facebook_page")
    assert {one.asset_key for one in found} == KEYS
    assert {one.partition for one in found} == {registered.page.id}
    metadata: dict[str, Any] = {name: one.value for name, one in found[0].metadata.items()}
    assert (metadata["fetched"], metadata["inserted"], metadata["has_more"]) == (150, 150, False)
    assert metadata["events"] == sum(registered.page.lengths)
    assert metadata["conversations_per_second"] > 0
    assert metadata["watermark"]
    assert query(database, "select run_id from sync_state") == [(result.run_id,)]


def test_a_partial_run_is_continued_until_its_session_is_complete(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    page_id = registered.page.id
    sync(instance, page_id, max_conversations=40)

    continued = 0
    while requests := tick_sensor(continue_open_syncs, instance).run_requests:
        [request] = requests
        assert request.partition_key == page_id
        # A second tick requests nothing: this attempt is in progress.
        assert tick_sensor(continue_open_syncs, instance).run_requests == []
        config = request.run_config["ops"]["sync_facebook_page"]["config"]
        assert config["session"] == request.tags[SESSION]
        query(database, "update sync_state set not_before = now() returning 1")
        assert sync(instance, page_id, **config, max_conversations=40).success
        continued += 1
    assert continued == 3
    assert query(database, "select outcome, total_synced, is_complete from sync_state") == [
        ("completed", 150, True)
    ]


def test_a_session_with_an_unfinished_run_is_not_continued(
    instance: dg.DagsterInstance, registered: Simulated
) -> None:
    sync(instance, registered.page.id, max_conversations=40)
    instance.add_run(
        dg.DagsterRun(
            job_name="sync_page",
            status=dg.DagsterRunStatus.STARTED,
            tags={PARTITION: registered.page.id},
        )
    )
    assert tick_sensor(continue_open_syncs, instance).run_requests == []


def test_attempts_that_load_nothing_are_repeated_with_growing_pauses(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    sync(instance, registered.page.id, max_conversations=40)
    waits = []
    for _ in range(5):
        [_request] = tick_sensor(continue_open_syncs, instance).run_requests
        [(seconds,)] = query(
            database, "select round(extract(epoch from not_before - now()))::int from sync_state"
        )
        waits.append(seconds)
        query(database, "update sync_state set not_before = now() returning 1")
    assert waits == sorted(waits)
    assert waits[0] <= 30
    assert waits[-1] >= 240


@pytest.mark.parametrize(
    ("status", "expected"), [("paused", 0), ("needs_reauthorization", 0), ("active", 1)]
)
def test_only_active_pages_are_continued(
    instance: dg.DagsterInstance,
    registered: Simulated,
    database: Database,
    status: str,
    expected: int,
) -> None:
    sync(instance, registered.page.id, max_conversations=40)
    pages.set_page_status(database, registered.page.id, status)
    assert len(tick_sensor(continue_open_syncs, instance).run_requests) == expected


def test_the_partitions_follow_the_registry(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    one, other = registered.pages
    added = tick_sensor(page_registry, instance).dynamic_partitions_requests
    assert [sorted(request.partition_keys) for request in added] == [[one.id, other.id]]
    instance.add_dynamic_partitions("facebook_pages", [one.id, other.id])
    assert tick_sensor(page_registry, instance).dynamic_partitions_requests in ([], None)
    pages.set_page_status(database, other.id, "removed")
    [gone] = tick_sensor(page_registry, instance).dynamic_partitions_requests
    assert gone.partition_keys == [other.id]


def test_a_registry_that_cannot_be_read_deletes_no_partition(
    instance: dg.DagsterInstance, registered: Simulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance.add_dynamic_partitions("facebook_pages", ["10"])
    monkeypatch.setenv("MESSENGER_DATABASE_URL", "postgresql://127.0.0.1:9/x")
    with pytest.raises(DatabaseUnavailable):
        tick_sensor(page_registry, instance)
    assert instance.get_dynamic_partitions("facebook_pages") == ["10"]


def test_each_due_page_is_requested_once(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    one, other = registered.pages
    assert tick_schedule(sync_due_pages, instance).run_requests == [], "no partition yet"
    instance.add_dynamic_partitions("facebook_pages", [one.id, other.id])
    requests = tick_schedule(sync_due_pages, instance).run_requests
    assert [request.partition_key for request in requests] == [one.id, other.id]
    assert {request.tags[MODE] for request in requests} == {"incremental"}
    sync(instance, one.id)
    requests = tick_schedule(sync_due_pages, instance).run_requests
    assert [request.partition_key for request in requests] == [other.id]
    pages.set_page_status(database, other.id, "paused")
    assert tick_schedule(sync_due_pages, instance).run_requests == []


def test_each_week_every_active_page_gets_a_full_sync(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    one, other = registered.pages
    instance.add_dynamic_partitions("facebook_pages", [one.id, other.id])
    pages.set_page_status(database, other.id, "needs_reauthorization")
    [request] = tick_schedule(full_sync_weekly, instance).run_requests
    assert request.partition_key == one.id
    job = defs.resolve_job_def("full_sync_page")
    # As the schedule requests it, and as a launch without config.
    for config in (request.run_config, None):
        assert job.execute_in_process(
            instance=instance, partition_key=one.id, run_config=config
        ).success
    assert query(database, "select mode, outcome from sync_state") == [("full", "completed")] * 2


def test_a_run_of_a_page_in_progress_fails_with_that_reason_and_is_not_retried(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    database.call("acquire_sync_lock", page_id=registered.page.id, locked_by="other")
    result = sync(instance, registered.page.id)
    assert not result.success
    [failure] = result.get_step_failure_events()
    details = failure.step_failure_data.user_failure_data
    assert details is not None
    assert "Sync already in progress for this page" in (details.description or "")
    assert details.metadata["exit_code"].value == 4
    assert defs.resolve_job_def("sync_page").tags["dagster/max_retries"] == "0"


def test_the_command_line_executes_a_dagster_run_and_raises_its_error(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    def here(run_id: str) -> dict[str, Any]:
        return launch.run_sync(
            registered.page.id, mode="auto", max_conversations=None, max_seconds=None, run_id=run_id
        )

    run_id = "00000000-0000-4000-8000-000000000001"
    assert here(run_id)["fetched"] == 150
    run = instance.get_run_by_id(run_id)
    assert run is not None
    assert (run.status, run.tags[PARTITION]) == (dg.DagsterRunStatus.SUCCESS, registered.page.id)
    registered.page.access = "expired"
    with pytest.raises(PageOwnerMustAct):
        here("00000000-0000-4000-8000-000000000002")
    pages.set_page_status(database, registered.page.id, "active")
    database.call("acquire_sync_lock", page_id=registered.page.id, locked_by="other")
    with pytest.raises(SyncInProgress, match="by run other since"):
        here("00000000-0000-4000-8000-000000000003")


def started(instance: dg.DagsterInstance, page_id: str, **tags: str) -> dg.DagsterRun:
    return instance.add_run(
        dg.DagsterRun(
            job_name="sync_page",
            status=dg.DagsterRunStatus.STARTED,
            tags={PARTITION: page_id, **tags},
        )
    )


def test_a_run_whose_lease_expired_without_a_release_is_failed(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    dead, alive = (started(instance, page.id) for page in registered.pages)
    for run, page in zip((dead, alive), registered.pages, strict=True):
        database.call("acquire_sync_lock", page_id=page.id, locked_by=run.run_id)
    tick_sensor(reap_dead_runs, instance)
    query(
        database,
        "update sync_locks set expires_at = now() - interval '31 seconds' where locked_by = %s"
        " returning 1",
        dead.run_id,
    )
    tick_sensor(reap_dead_runs, instance)

    def status(run: dg.DagsterRun) -> dg.DagsterRunStatus | None:
        found = instance.get_run_by_id(run.run_id)
        return found.status if found else None

    assert status(dead) == dg.DagsterRunStatus.FAILURE
    assert status(alive) == dg.DagsterRunStatus.STARTED


def test_a_run_without_a_lease_is_failed_after_five_minutes(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    run = started(instance, registered.page.id)
    tick_sensor(reap_dead_runs, instance)
    found = instance.get_run_by_id(run.run_id)
    assert found
    assert found.status == dg.DagsterRunStatus.STARTED  # it may not have acquired it yet

    start, limit = datetime(2026, 5, 1, tzinfo=UTC), timedelta(minutes=5)
    assert reason_dead(None, start, start + limit * 0.9) is None
    assert reason_dead(None, start, start + limit * 1.1)


def test_a_starting_stack_fails_the_orphaned_runs_of_an_earlier_one(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    one, other = registered.pages
    left = started(instance, one.id, **{".dagster/grpc_info": "{}"})
    of_the_command_line = started(instance, other.id)
    database.call("acquire_sync_lock", page_id=one.id, locked_by=left.run_id)
    assert launch.fail_orphaned_runs(database) == 1
    assert query(database, "select * from sync_locks") == []
    found = instance.get_run_by_id(of_the_command_line.run_id)
    assert found is not None
    assert found.status == dg.DagsterRunStatus.STARTED


@pytest.mark.parametrize(
    ("damage", "failing"),
    [
        ("select 1", set()),
        ("delete from contact_interaction_events",
         {"no_conversation_without_events", "message_counts_are_true"}),
        ("drop index idx_unique_event_by_message; insert into contact_interaction_events"
         " (conversation_id, page_id, event_type, event_timestamp, message_id, as_of)"
         " select conversation_id, page_id, event_type, event_timestamp, message_id, as_of"
         " from contact_interaction_events limit 1",
         {"no_duplicate_events", "message_counts_are_true"}),
    ],
)  # fmt: skip
def test_the_verifications_fail_on_damaged_rows(
    instance: dg.DagsterInstance,
    registered: Simulated,
    database: Database,
    damage: str,
    failing: set[str],
) -> None:
    sync(instance, registered.page.id)
    with database.transaction() as connection:
        connection.execute(damage)
    result = defs.resolve_job_def("check_tables").execute_in_process(instance=instance)
    evaluations = result.get_asset_check_evaluations()
    assert len(evaluations) == 12
    assert {one.check_name for one in evaluations if not one.passed} == failing


def test_every_job_sensor_and_schedule_has_a_description_and_runs_by_default() -> None:
    for job in ("sync_page", "full_sync_page", "check_tables", "drain_webhooks", "housekeeping"):
        assert defs.resolve_job_def(job).description
    for sensor in defs.sensors or []:
        assert sensor.description
        assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
    for schedule in defs.schedules or []:
        assert isinstance(schedule, dg.ScheduleDefinition)
        assert schedule.description
        assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING


def test_a_requested_sync_becomes_one_run_that_its_tags_identify(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    page_id = registered.page.id
    requested = request_sync(
        database, page_id, mode="auto", session=None, max_conversations=20, requested_by="test"
    )
    session = str(requested.sync_session_id)

    tick = tick_sensor(requested_syncs, instance)
    # The tick added the partition, which did not exist yet.
    assert instance.get_dynamic_partitions("facebook_pages") == [page_id]
    [request] = tick.run_requests
    assert request.tags[PARTITION] == page_id
    assert (request.tags[CAUSE], request.tags[SESSION]) == ("request", session)
    assert tick_sensor(requested_syncs, instance).skip_message

    config = request.run_config["ops"]["sync_facebook_page"]["config"]
    assert sync(instance, page_id, **config).success
    assert query(database, "select run_id is not null from sync_requests") == [(True,)]
    [(total,)] = query(database, "select total_synced from sync_state")
    assert total == 20


def test_the_runs_of_a_session_are_found_by_its_tag(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    runs = [sync(instance, registered.page.id, max_conversations=100) for _ in range(2)]
    [(session,)] = query(database, "select sync_session_id::text from sync_state")
    found = instance.get_runs(dg.RunsFilter(tags={SESSION: session}))
    assert {run.run_id for run in found} == {result.run_id for result in runs}
