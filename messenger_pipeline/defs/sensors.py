"""Sensors: thin over what the database says and the pure decisions in jobs.py."""

from datetime import UTC, datetime

import dagster as dg

# Not among what Dagster exports; its version is pinned.
from dagster._core.execution.backfill import BulkActionStatus

from messenger_pipeline.db.pages import list_pages
from messenger_pipeline.db.sessions import list_leases, request_continuations
from messenger_pipeline.db.sync_requests import take_requests
from messenger_pipeline.defs.assets import facebook_pages
from messenger_pipeline.defs.jobs import (
    PARTITION,
    SESSION,
    continuation_request,
    death_of,
    pages_at_work,
    partition_changes,
    requested_run,
    sync_page_job,
)
from messenger_pipeline.defs.resources import Pipeline

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@dg.sensor(
    name="page_registry",
    description="Keeps the partitions equal to the pages in the registry.",
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    jobs=[sync_page_job],
)
def page_registry(
    context: dg.SensorEvaluationContext, pipeline: Pipeline
) -> dg.SensorResult | dg.SkipReason:
    with pipeline.database() as database:
        registered = [page.facebook_page_id for page in list_pages(database)]
    present = context.instance.get_dynamic_partitions("facebook_pages")
    added, removed = partition_changes(registered, present)
    if removed and context.instance.get_backfills(status=BulkActionStatus.REQUESTED, limit=1):
        # Dagster would give the whole backfill up, and cancel the runs of the other pages.
        waiting, removed = removed, []
        if not added:
            return dg.SkipReason(
                f"{len(waiting)} removed pages keep their partitions until the backfill that is"
                " under way has ended."
            )
    if not added and not removed:
        return dg.SkipReason(f"The partitions are the {len(registered)} registered pages.")
    changes: list[dg.AddDynamicPartitionsRequest | dg.DeleteDynamicPartitionsRequest] = []
    if added:
        changes.append(facebook_pages.build_add_request(added))
    if removed:
        changes.append(facebook_pages.build_delete_request(removed))
    return dg.SensorResult(dynamic_partitions_requests=changes)


@dg.sensor(
    name="continue_open_syncs",
    description=(
        "Goes on with every sync that is not complete: cut short, waiting for Meta's rate limit,"
        " or left behind by a run that died. Waits longer each time nothing was loaded."
    ),
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    job=sync_page_job,
)
def continue_open_syncs(
    context: dg.SensorEvaluationContext, pipeline: Pipeline
) -> list[dg.RunRequest] | dg.SkipReason:
    runs = context.instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
    busy = {run.tags[tag] for run in runs for tag in (PARTITION, SESSION) if tag in run.tags}
    known = set(context.instance.get_dynamic_partitions("facebook_pages"))
    with pipeline.database() as database:
        found = request_continuations(database, sorted(busy))
    requests = [continuation_request(one) for one in found if one.page_id in known]
    return requests or dg.SkipReason("No open sync is to be continued now.")


@dg.sensor(
    name="requested_syncs",
    description="Makes each sync that somebody asked for a run, once, ahead of all others.",
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
    job=sync_page_job,
)
def requested_syncs(
    context: dg.SensorEvaluationContext, pipeline: Pipeline
) -> list[dg.RunRequest] | dg.SkipReason:
    runs = context.instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
    with pipeline.database() as database:
        requests = take_requests(database, sorted(pages_at_work(runs)))
    if not requests:
        return dg.SkipReason("Nobody waits for a sync that a run could begin with now.")
    # A page that was registered a moment ago has no partition yet.
    context.instance.add_dynamic_partitions(
        "facebook_pages", sorted({one.page_id for one in requests})
    )
    return [requested_run(one) for one in requests]


@dg.sensor(
    name="reap_dead_runs",
    description=(
        "Fails runs whose process is gone: they show as started, but their lease ran out and was"
        " never released, or somebody took it away. Until then such a run keeps its page from"
        " being synced."
    ),
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    jobs=[sync_page_job],
)
def reap_dead_runs(context: dg.SensorEvaluationContext, pipeline: Pipeline) -> dg.SkipReason:
    at_work = context.instance.get_run_records(
        dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING])
    )
    walking = [record for record in at_work if PARTITION in record.dagster_run.tags]
    if not walking:
        return dg.SkipReason("No run walks a page.")
    with pipeline.database() as database:
        leases = {lease.locked_by: lease for lease in list_leases(database)}
    now = datetime.now(UTC)
    reaped = 0
    for record in walking:
        run = record.dagster_run
        started = record.start_time or record.create_timestamp.timestamp()
        why = death_of(leases.get(run.run_id), datetime.fromtimestamp(started, UTC), now)
        if why:
            context.instance.report_run_failed(run, why)
            reaped += 1
    return dg.SkipReason(f"{reaped} dead runs failed, of {len(walking)} that walk pages.")
