"""Sensors: they read the state, apply a pure decision of decisions.py, and request runs."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import dagster as dg

# Dagster does not export it; its version is pinned.
from dagster._core.execution.backfill import BulkActionStatus

from messenger_pipeline.db.pages import list_pages
from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.sessions import list_leases, park_cancelled_sync, request_continuations
from messenger_pipeline.db.sync_requests import claim_requests
from messenger_pipeline.defs.decisions import pages_in_progress, partition_changes, reason_dead
from messenger_pipeline.defs.jobs import sync_page_job
from messenger_pipeline.defs.leases import free_overstayed_leases
from messenger_pipeline.defs.partitions import FACEBOOK_PAGES, facebook_pages
from messenger_pipeline.defs.resources import Pipeline
from messenger_pipeline.defs.run_requests import continuation_request, requested_run
from messenger_pipeline.defs.runs import UNFINISHED, ended_at, is_cancelled_by_person
from messenger_pipeline.defs.tags import PARTITION, SESSION

_FIRST_LOOK_BACK = timedelta(minutes=10)


@dg.sensor(
    name="page_registry",
    description=(
        "Keeps the partitions equal to the registered pages. That of a removed page is deleted once"
        " no run of the page is unfinished."
    ),
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    jobs=[sync_page_job],
)
def page_registry(
    context: dg.SensorEvaluationContext, pipeline: Pipeline
) -> dg.SensorResult | dg.SkipReason:
    with pipeline.database() as database:
        registered = [page.facebook_page_id for page in list_pages(database)]
    present = context.instance.get_dynamic_partitions(FACEBOOK_PAGES)
    added, removed = partition_changes(registered, present)
    kept = ""
    if removed and context.instance.get_backfills(status=BulkActionStatus.REQUESTED, limit=1):
        # Dagster would fail the whole backfill, and cancel the runs of the other pages.
        removed, kept = [], _kept(removed, "the backfill in progress has ended")
    elif removed:
        # Dagster would refuse what such a run reports.
        runs = context.instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
        busy = {run.tags.get(PARTITION) for run in runs}
        waiting = [page_id for page_id in removed if page_id in busy]
        removed = [page_id for page_id in removed if page_id not in busy]
        kept = _kept(waiting, "no run of theirs is unfinished") if waiting else ""
    if not added and not removed:
        return dg.SkipReason(
            kept or f"The partitions equal the {len(registered):,} registered pages."
        )
    changes: list[dg.AddDynamicPartitionsRequest | dg.DeleteDynamicPartitionsRequest] = []
    if added:
        changes.append(facebook_pages.build_add_request(added))
    if removed:
        changes.append(facebook_pages.build_delete_request(removed))
    return dg.SensorResult(dynamic_partitions_requests=changes)


def _kept(pages: list[str], until: str) -> str:
    count = (
        "1 removed page keeps its partition"
        if len(pages) == 1
        else (f"{len(pages):,} removed pages keep their partitions")
    )
    return f"{count} until {until}."


@dg.sensor(
    name="continue_open_syncs",
    description=(
        "Resumes every sync that is not complete: it ran out of time, waits for Meta's rate limit,"
        " or its run died. The pauses grow while attempts load nothing. A sync whose run a person"
        " cancelled is not resumed: it is parked."
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
    known = set(context.instance.get_dynamic_partitions(FACEBOOK_PAGES))
    with pipeline.database() as database:
        _park_cancelled_syncs(context, database)
        due = request_continuations(database, sorted(busy))
    requests = [continuation_request(one) for one in due if one.page_id in known]
    return requests or dg.SkipReason("No open sync is due.")


def _park_cancelled_syncs(context: dg.SensorEvaluationContext, database: Database) -> None:
    """Park the syncs of the runs that were cancelled since the last tick: those that were queued,
    or whose process is gone. A run that could end itself has parked its sync already."""
    now = datetime.now(UTC)
    since = datetime.fromisoformat(context.cursor) if context.cursor else now - _FIRST_LOOK_BACK
    cancelled = context.instance.get_run_records(
        dg.RunsFilter(statuses=[dg.DagsterRunStatus.CANCELED], updated_after=since)
    )
    limit = context.instance.run_monitoring_max_runtime_seconds
    for record in cancelled:
        run = record.dagster_run
        if PARTITION in run.tags and is_cancelled_by_person(record, now, limit):
            page_id, session = run.tags[PARTITION], _session_of(run)
            park_cancelled_sync(database, page_id, run.run_id, session, ended_at(record))
    newest = max((record.update_timestamp for record in cancelled), default=since)
    context.update_cursor(newest.isoformat())


def _session_of(run: dg.DagsterRun) -> UUID | None:
    """The session that a run's tag names, if it names one: a person may have typed it."""
    try:
        return UUID(run.tags.get(SESSION, ""))
    except ValueError:
        return None


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
    context.instance.add_dynamic_partitions(FACEBOOK_PAGES, page_ids)
    return [requested_run(one) for one in requests]


@dg.sensor(
    name="reap_dead_runs",
    description=(
        "Fails runs whose process is gone. They show as started, but their lease on the page"
        " expired without a release, or was taken away. Until it is failed, a dead run keeps its"
        " page from being synced. Also frees leases that a process still renews although Dagster"
        " has ended its run; the alert lease_of_ended_run then opens."
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
    now = datetime.now(UTC)
    with pipeline.database() as database:
        leases = list_leases(database)
        freed = free_overstayed_leases(context.instance, database, leases, now)
    by_run = {lease.locked_by: lease for lease in leases}
    limit = context.instance.run_monitoring_max_runtime_seconds
    failed = 0
    for record in walking:
        run = record.dagster_run
        start = datetime.fromtimestamp(
            record.start_time or record.create_timestamp.timestamp(), UTC
        )
        reason = reason_dead(by_run.get(run.run_id), start, now)
        if reason:
            # Otherwise a continuation would resume what a person cancelled.
            if is_cancelled_by_person(record, now, limit):
                context.instance.report_run_canceled(run, reason)
            else:
                context.instance.report_run_failed(run, reason)
            failed += 1
    return dg.SkipReason(
        f"{failed:,} of {len(walking):,} runs that walk pages were dead; {freed:,} of"
        f" {len(leases):,} leases were held by runs that had ended."
    )
