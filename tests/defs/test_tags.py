"""Runs are found by their page and their cause."""

import dagster as dg
import pytest

from messenger_pipeline.definitions import defs
from messenger_pipeline.defs import launch
from messenger_pipeline.defs.tags import CAUSE, PARTITION, cause_of
from tests.conftest import Simulated


@pytest.mark.parametrize(
    ("tags", "cause"),
    [
        ({}, "manual"),
        ({"dagster/backfill": "abc"}, "backfill"),
        ({"dagster/schedule_name": "check_tables_hourly"}, "schedule"),
        ({"dagster/sensor_name": "any"}, "sensor"),
        ({"dagster/sensor_name": "continue_open_syncs", CAUSE: "continuation"}, "continuation"),
        # Launched again in the UI: Dagster copies the tags.
        ({"dagster/parent_run_id": "abc", CAUSE: "schedule"}, "manual"),
    ],
)
def test_the_cause_of_a_run_follows_from_its_tags(tags: dict[str, str], cause: str) -> None:
    assert cause_of(tags) == cause


def test_runs_are_found_by_page_and_by_cause(
    instance: dg.DagsterInstance, registered: Simulated
) -> None:
    one, other = (page.id for page in registered.pages)
    instance.add_dynamic_partitions("facebook_pages", [one, other])
    job = defs.resolve_job_def("sync_page")

    def run(page_id: str, **tags: str) -> str:
        return job.execute_in_process(instance=instance, partition_key=page_id, tags=tags).run_id

    manual = run(one)
    backfilled = run(one, **{"dagster/backfill": "abc"})
    requested = run(other, **{CAUSE: "request"})
    from_command = "00000000-0000-4000-8000-000000000001"
    launch.run_sync(
        other, mode="auto", max_conversations=None, max_seconds=None, run_id=from_command
    )

    def found(**tags: str) -> set[str]:
        return {run.run_id for run in instance.get_runs(dg.RunsFilter(tags=tags))}

    assert found(**{PARTITION: one}) == {manual, backfilled}
    assert found(**{PARTITION: other}) == {requested, from_command}
    assert found(**{CAUSE: "manual"}) == {manual}
    assert found(**{CAUSE: "backfill"}) == {backfilled}
    assert found(**{CAUSE: "request", PARTITION: other}) == {requested}
    assert found(**{CAUSE: "command_line"}) == {from_command}
    assert found(**{CAUSE: "request", PARTITION: one}) == set()


def test_runs_without_a_page_have_a_cause_too(
    instance: dg.DagsterInstance, registered: Simulated
) -> None:
    for job, tags in (("check_tables", {"dagster/schedule_name": "x"}), ("drain_webhooks", {})):
        run_id = defs.resolve_job_def(job).execute_in_process(instance=instance, tags=tags).run_id
        run = instance.get_run_by_id(run_id)
        assert run is not None
        assert run.tags[CAUSE] == ("schedule" if tags else "manual")
