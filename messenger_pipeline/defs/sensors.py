"""Sensors: they read the state, apply a pure decision of decisions.py, and request runs."""

from datetime import UTC, datetime

import dagster as dg

# Dagster does not export it; its version is pinned.
from dagster._core.execution.backfill import BulkActionStatus

from messenger_pipeline.db.pages import list_pages
from messenger_pipeline.db.sessions import list_leases, request_continuations
from messenger_pipeline.db.sync_requests import claim_requests
from messenger_pipeline.defs.assets import facebook_pages
from messenger_pipeline.defs.decisions import pages_in_progress, partition_changes, reason_dead
from messenger_pipeline.defs.jobs import sync_page_job
from messenger_pipeline.defs.resources import Pipeline
from messenger_pipeline.defs.run_requests import continuation_request, requested_run
from messenger_pipeline.defs.runs import UNFINISHED
from messenger_pipeline.defs.tags import PARTITION, SESSION


@dg.sensor(
    name="page_registry",
    description="Keeps the partitions equal to the registered pages.",
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
        # Dagster would fail the whole backfill, and cancel the runs of the other pages.
        if not added:
            return dg.SkipReason(
                f"{len(removed):,} removed pages keep their partitions until the backfill in"
                " progress has ended."
            )
        removed = []
    if not added and not removed:
        return dg.SkipReason(f"The partitions equal the {len(registered):,} registered pages.")
    changes: list[dg.AddDynamicPartitionsRequest | dg.DeleteDynamicPartitionsRequest] = []
    if added:
        changes.append(facebook_pages.build_add_request(added))
    if removed:
        changes.append(facebook_pages.build_delete_request(removed))
    return dg.SensorResult(dynamic_partitions_requests=changes)


@dg.sensor(
    name="continue_open_syncs",
    description=(
        "Resumes every sync that is not complete: it ran out of time, waits for Meta's rate limit,"
        " or its run died. The pauses grow while attempts load nothing."
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
        due = request_continuations(database, sorted(busy))
    requests = [continuation_request(one) for one in due if one.page_id in known]
    return requests or dg.SkipReason("No open sync is due.")


@dg.sensor(
    name="requested_syncs",
    description="Starts one run for each sync that a user requested, before all other runs.",
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
    job=sync_page_job,
)
def requested_syncs(
    context: dg.SensorEvaluationContext, pipeline: Pipeline
) -> list[dg.RunRequest] | dg.SkipReason:
    runs = context.instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
    with pipeline.database() as database:
        requests = claim_requests(database, sorted(pages_in_progress(runs)))
    if not requests:
        return dg.SkipReason("No requested sync can start now.")
    # A page that was registered a moment ago has no partition yet.
    page_ids = sorted({one.page_id for one in requests})
    context.instance.add_dynamic_partitions("facebook_pages", page_ids)
    return [requested_run(one) for one in requests]


@dg.sensor(
    name="reap_dead_runs",
    description=(
        "Fails runs whose process is gone. They show as started, but their lease on the page"
        " expired without a release, or was taken away. Until it is failed, a dead run keeps its"
        " page from being synced."
    ),
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    jobs=[sync_page_job],
)
def reap_dead_runs(context: dg.SensorEvaluationContext, pipeline: Pipeline) -> dg.SkipReason:
    started = context.instance.get_run_records(
        dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING])
    )
    walking = [record for record in started if PARTITION in record.dagster_run.tags]
    if not walking:
        return dg.SkipReason("No run walks a page.")
    with pipeline.database() as database:
        leases = {lease.locked_by: lease for lease in list_leases(database)}
    now = datetime.now(UTC)
    failed = 0
    for record in walking:
        run = record.dagster_run
        start = datetime.fromtimestamp(
            record.start_time or record.create_timestamp.timestamp(), UTC
        )
        reason = reason_dead(leases.get(run.run_id), start, now)
        if reason:
            context.instance.report_run_failed(run, reason)
            failed += 1
    return dg.SkipReason(f"{failed:,} of {len(walking):,} runs that walk pages were dead.")
