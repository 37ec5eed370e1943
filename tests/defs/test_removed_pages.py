"""A page can be removed at any time: no tick fails, and a later run fails with the reason."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill

from messenger_pipeline.db import pages
from messenger_pipeline.db.pool import Database
from messenger_pipeline.definitions import defs
from messenger_pipeline.defs.schedules import full_sync_weekly, sync_due_pages
from messenger_pipeline.defs.sensors import (
    continue_open_syncs,
    page_registry,
    reap_dead_runs,
    requested_syncs,
)
from messenger_pipeline.defs.tags import PARTITION
from tests.conftest import Simulated
from tests.db.test_load import query
from tests.defs.test_definitions import sync, tick_schedule, tick_sensor

TICKS = (continue_open_syncs, requested_syncs, reap_dead_runs)


def requested(instance: dg.DagsterInstance) -> set[str | None]:
    """The pages for which any schedule or sensor requests a run now."""
    requests: list[dg.RunRequest] = []
    for schedule in (sync_due_pages, full_sync_weekly):
        requests += tick_schedule(schedule, instance).run_requests or []
    for sensor in TICKS:
        requests += tick_sensor(sensor, instance).run_requests or []
    return {request.partition_key for request in requests}


def remove(database: Database, page_id: str) -> None:
    pages.set_page_status(database, page_id, "removed")


def test_no_tick_requests_a_removed_page_before_or_after_its_partition_is_deleted(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    gone, other = (page.id for page in registered.pages)
    sync(instance, gone, max_conversations=40)  # leaves a session open
    instance.add_dynamic_partitions("facebook_pages", [gone, other])
    query(database, "update facebook_pages set next_sync_at = now() returning 1")
    query(database, "update sync_state set not_before = now() returning 1")
    remove(database, gone)
    assert requested(instance) == {other}

    [request] = tick_sensor(page_registry, instance).dynamic_partitions_requests
    assert request.partition_keys == [gone]
    instance.delete_dynamic_partition("facebook_pages", gone)
    assert requested(instance) == {other}
    assert tick_sensor(page_registry, instance).dynamic_partitions_requests in ([], None)


def test_a_partition_that_went_while_its_page_is_active_fails_no_tick(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    """Between two ticks of the page registry, or after `dagster run wipe`."""
    one, other = (page.id for page in registered.pages)
    sync(instance, one, max_conversations=40)
    instance.delete_dynamic_partition("facebook_pages", one)
    query(database, "update sync_state set not_before = now() returning 1")
    assert requested(instance) == set()
    [added] = tick_sensor(page_registry, instance).dynamic_partitions_requests
    assert added.partition_keys == [one, other]


def test_a_queued_run_whose_page_was_removed_fails_and_names_the_reason(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    page_id = registered.page.id
    instance.add_dynamic_partitions("facebook_pages", [page_id])
    remove(database, page_id)
    instance.delete_dynamic_partition("facebook_pages", page_id)

    result = dg.execute_job(
        dg.reconstructable(sync_page_job_of_the_definitions),
        instance=instance,
        tags={PARTITION: page_id},
        raise_on_error=False,
    )
    assert not result.success
    [failure] = [event for event in result.all_events if event.is_step_failure]
    details = failure.step_failure_data.user_failure_data
    assert details is not None
    assert details.description == (
        f"Page {page_id} is not in the registry. `messenger-pipeline pages list` shows which are,"
        f" `messenger-pipeline pages add {page_id}` adds it."
    )
    assert query(database, "select count(*) from sync_state") == [(0,)]


def test_a_page_removed_during_a_backfill_keeps_its_partition_until_the_backfill_ends(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    """Otherwise Dagster fails the backfill, and cancels the runs of the other pages."""
    gone, other = (page.id for page in registered.pages)
    instance.add_dynamic_partitions("facebook_pages", [gone])
    backfill = PartitionBackfill(
        backfill_id="b", status=BulkActionStatus.REQUESTED, from_failure=False, tags={},
        backfill_timestamp=0.0,
    )  # fmt: skip
    instance.add_backfill(backfill)
    remove(database, gone)
    [added] = tick_sensor(page_registry, instance).dynamic_partitions_requests
    assert added.partition_keys == [other], "new pages do not wait"
    instance.add_dynamic_partitions("facebook_pages", [other])
    assert "backfill" in tick_sensor(page_registry, instance).skip_message
    ended = backfill.with_status(BulkActionStatus.COMPLETED_FAILED)  # type: ignore[no-untyped-call]
    instance.update_backfill(ended)
    [deleted] = tick_sensor(page_registry, instance).dynamic_partitions_requests
    assert deleted.partition_keys == [gone]


def test_a_removed_page_keeps_its_partition_until_its_run_has_ended(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    """Otherwise Dagster refuses what the run reports."""
    gone, other = (page.id for page in registered.pages)
    instance.add_dynamic_partitions("facebook_pages", [gone, other])
    run = instance.add_run(
        dg.DagsterRun(
            job_name="sync_page", status=dg.DagsterRunStatus.STARTED, tags={PARTITION: gone}
        )
    )
    remove(database, gone)
    remove(database, other)
    tick = tick_sensor(page_registry, instance)
    assert [one.partition_keys for one in tick.dynamic_partitions_requests] == [[other]]
    instance.delete_dynamic_partition("facebook_pages", other)
    assert tick_sensor(page_registry, instance).skip_message == (
        "1 removed page keeps its partition until no run of theirs is unfinished."
    )
    instance.report_run_failed(run)
    [deleted] = tick_sensor(page_registry, instance).dynamic_partitions_requests
    assert deleted.partition_keys == [gone]


@contextmanager
def once_loading(database: Database, change: Callable[[], None]) -> Iterator[None]:
    """Make a change when the first response of a walk is loaded."""

    def act() -> None:
        while not query(database, "select 1 from sync_state where total_synced > 0"):
            time.sleep(0.01)
        change()

    thread = threading.Thread(target=act)
    thread.start()
    yield
    thread.join()


def test_a_run_whose_page_is_removed_meanwhile_ends_with_that_sentence(
    instance: dg.DagsterInstance,
    registered: Simulated,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MESSENGER_CALLS_PER_SECOND", "10")
    page_id = registered.page.id

    def change() -> None:
        remove(database, page_id)
        instance.delete_dynamic_partition("facebook_pages", page_id)

    with once_loading(database, change):
        result = sync(instance, page_id)
    assert not result.success
    [failure] = [event for event in result.all_events if event.is_step_failure]
    details = failure.step_failure_data.user_failure_data
    assert details is not None
    assert details.description == (
        f"Page {page_id} was removed while this run synced it, so the run ended. What it loaded is"
        f" kept. To sync the page again, run `messenger-pipeline pages add {page_id}`."
    )


def test_a_partition_that_is_deleted_during_its_run_is_restored_by_it(
    instance: dg.DagsterInstance,
    registered: Simulated,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Deleted in the UI, by mistake: the page is still registered."""
    monkeypatch.setenv("MESSENGER_CALLS_PER_SECOND", "10")
    page_id = registered.page.id
    with once_loading(
        database, lambda: instance.delete_dynamic_partition("facebook_pages", page_id)
    ):
        result = sync(instance, page_id)
    assert result.success
    assert query(database, "select outcome from sync_state") == [("completed",)]
    assert instance.get_dynamic_partitions("facebook_pages") == [page_id]


def test_a_page_registered_again_is_a_partition_again(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    page = registered.page
    sync(instance, page.id)
    remove(database, page.id)
    instance.delete_dynamic_partition("facebook_pages", page.id)
    pages.register_page(
        database, page.id, name=page.name, user_id=None, platform=None, token_encrypted="x"
    )
    [added, *_] = tick_sensor(page_registry, instance).dynamic_partitions_requests
    assert page.id in added.partition_keys


def sync_page_job_of_the_definitions() -> dg.JobDefinition:
    return defs.resolve_job_def("sync_page")
