"""Retention: each hour what has been kept long enough is deleted, in portions."""

import time
from datetime import UTC, datetime, timedelta

import dagster as dg

from messenger_pipeline.db import inbox
from messenger_pipeline.db.checks import delete_ended_sessions
from messenger_pipeline.defs.alerts import delete_old_alerts
from messenger_pipeline.defs.console import CONSOLE
from messenger_pipeline.defs.resources import Pipeline
from messenger_pipeline.settings import load_settings

KEEP = timedelta(days=30)
"""Runs and sessions; Dagster's ticks by dagster.yaml."""
FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_PORTION = 100
_MAX_SECONDS = 900.0  # of an hour; the next run goes on


@dg.op(description="Delete applied deliveries that are older than the retention.")
def delete_old_deliveries(context: dg.OpExecutionContext, pipeline: Pipeline) -> None:
    keep = timedelta(days=load_settings().webhook_retention_days)
    with pipeline.database() as database:
        deleted = inbox.delete_settled(database, keep)
    context.log.info("%d deliveries deleted that were applied over %s ago", deleted, keep)
    context.add_output_metadata({"deleted": deleted})


@dg.op(description="Delete sync sessions that ended over 30 days ago, but for each page's latest.")
def delete_old_sessions(context: dg.OpExecutionContext, pipeline: Pipeline) -> None:
    with pipeline.database() as database:
        deleted = delete_ended_sessions(database, KEEP)
    context.log.info("%d sync sessions deleted that ended over %s ago", deleted, KEEP)
    context.add_output_metadata({"deleted": deleted})


@dg.op(description="Delete Dagster's runs that finished over 30 days ago, with their logs.")
def delete_old_runs(context: dg.OpExecutionContext) -> None:
    """Dagster itself keeps them for ever. Never one that is unfinished, however old."""
    before, began = datetime.now(UTC) - KEEP, time.monotonic()
    deleted = 0
    while time.monotonic() - began < _MAX_SECONDS:
        portion = delete_finished_runs(context.instance, before, _PORTION)
        deleted += portion
        if portion < _PORTION:
            break
    context.log.info("%d runs deleted that finished over %s ago", deleted, KEEP)
    context.add_output_metadata({"deleted": deleted})


def delete_finished_runs(instance: dg.DagsterInstance, before: datetime, limit: int) -> int:
    """Delete up to `limit` runs that finished before a time, the oldest first."""
    found = instance.get_run_records(
        dg.RunsFilter(statuses=FINISHED, updated_before=before), limit=limit, ascending=True
    )
    for record in found:
        run_id = record.dagster_run.run_id
        instance.compute_log_manager.delete_logs(prefix=[run_id])
        instance.delete_run(run_id)
    return len(found)


@dg.job(
    name="housekeeping",
    description="Delete what has been kept long enough.",
    tags={"dagster/max_retries": "0"},
    config={"loggers": CONSOLE},
)
def housekeeping() -> None:
    delete_old_deliveries()
    delete_old_alerts()
    delete_old_sessions()
    delete_old_runs()


housekeeping_hourly = dg.ScheduleDefinition(
    name="housekeeping_hourly",
    description="Each hour: delete what has been kept long enough.",
    job=housekeeping,
    cron_schedule="15 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
