"""The limits of dagster.yaml, applied by the code of Dagster's run queue."""

from collections import Counter

import dagster as dg
from dagster._utils.tags import TagConcurrencyLimitsCounter

from messenger_pipeline.defs.tags import KIND, PARTITION


def dequeued(instance: dg.DagsterInstance, queued: list[dg.DagsterRun]) -> list[dg.DagsterRun]:
    """The queued runs that can run at once."""
    limits = instance.get_concurrency_config().run_queue_config
    assert limits is not None
    counter = TagConcurrencyLimitsCounter([dict(one) for one in limits.tag_concurrency_limits], [])
    chosen: list[dg.DagsterRun] = []
    for run in queued:
        if len(chosen) < limits.max_concurrent_runs and not counter.is_blocked(run):
            counter.update_counters_with_launched_item(run)
            chosen.append(run)
    return chosen


def of_page(number: int) -> dg.DagsterRun:
    return dg.DagsterRun(job_name="__ASSET_JOB", tags={PARTITION: str(number)})


def test_a_backfill_of_fifty_pages_runs_six_at_once_and_no_page_twice(
    instance: dg.DagsterInstance,
) -> None:
    """Also while the schedule has requested runs of the same pages."""
    chosen = dequeued(instance, [of_page(number // 2) for number in range(100)])
    assert Counter(run.tags[PARTITION] for run in chosen) == Counter("012345")


def test_syncs_leave_slots_for_one_drain_and_one_job_of_another_kind(
    instance: dg.DagsterInstance,
) -> None:
    pages = [of_page(number) for number in range(50)]
    drains = [dg.DagsterRun(job_name="drain_webhooks", tags={KIND: "drain"}) for _ in range(3)]
    others = [dg.DagsterRun(job_name=name) for name in ("check_tables", "housekeeping")]
    chosen = dequeued(instance, [*pages, *drains, *others])
    assert Counter(run.job_name for run in chosen) == Counter(
        {"__ASSET_JOB": 6, "drain_webhooks": 1, "check_tables": 1}
    )
