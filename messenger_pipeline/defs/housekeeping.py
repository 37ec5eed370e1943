"""Retention: deletes old rows and runs each hour, in batches."""

import logging
import time
from datetime import UTC, datetime, timedelta

import dagster as dg

from messenger_pipeline.db import inbox
from messenger_pipeline.db.checks import delete_ended_sessions
from messenger_pipeline.defs.alerts import delete_old_alerts
from messenger_pipeline.defs.console import CONSOLE
from messenger_pipeline.defs.resources import Pipeline
from messenger_pipeline.defs.runs import FINISHED
from messenger_pipeline.settings import load_settings

KEEP = timedelta(days=30)
"""The retention of runs and sessions. That of Dagster's ticks is in dagster.yaml."""
_BATCH = 100  # runs
_log = logging.getLogger(__name__)
_MAX_SECONDS = 900.0  # the next hourly run deletes the rest


@dg.op(description="Deletes applied webhook deliveries that are older than their retention.")
def delete_old_deliveries(context: dg.OpExecutionContext, pipeline: Pipeline) -> None:
    keep = timedelta(days=load_settings().webhook_retention_days)
    with pipeline.database() as database:
        deleted = inbox.delete_settled(database, keep)
    context.log.info("deleted %d deliveries that were applied over %s ago", deleted, keep)
    context.add_output_metadata({"deleted": deleted})


@dg.op(description="Deletes sync sessions that ended over 30 days ago, except each page's latest.")
def delete_old_sessions(context: dg.OpExecutionContext, pipeline: Pipeline) -> None:
    with pipeline.database() as database:
        deleted = delete_ended_sessions(database, KEEP)
    context.log.info("deleted %d sync sessions that ended over %s ago", deleted, KEEP)
    context.add_output_metadata({"deleted": deleted})


@dg.op(description="Deletes runs that finished over 30 days ago, with their logs.")
def delete_old_runs(context: dg.OpExecutionContext) -> None:
    """Dagster keeps finished runs forever. Unfinished ones are never deleted."""
    before, deadline = datetime.now(UTC) - KEEP, time.monotonic() + _MAX_SECONDS
    deleted = 0
    while time.monotonic() < deadline:
        batch = delete_finished_runs(context.instance, before, _BATCH)
        deleted += batch
        if not batch:
            break
    context.log.info("deleted %d runs that finished over %s ago", deleted, KEEP)
    context.add_output_metadata({"deleted": deleted})


def delete_finished_runs(instance: dg.DagsterInstance, before: datetime, limit: int) -> int:
    """Delete up to `limit` runs that finished before a time, oldest first. Returns how many.

    A run is deleted even if its log files cannot be: otherwise the next call would get it again,
    and never those behind it.
    """
    records = instance.get_run_records(
        dg.RunsFilter(statuses=FINISHED, updated_before=before), limit=limit, ascending=True
    )
    for record in records:
        run_id = record.dagster_run.run_id
        try:
            instance.compute_log_manager.delete_logs(prefix=[run_id])
        except Exception as error:  # noqa: BLE001 - whatever it is, the next run is deleted
            _log.warning("the log files of run %s could not be deleted: %s", run_id, error)
        instance.delete_run(run_id)
    return len(records)


@dg.job(
    name="housekeeping",
    description="Deletes old webhook deliveries, alerts, sync sessions and runs.",
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
    description="Each hour: deletes old webhook deliveries, alerts, sync sessions and runs.",
    job=housekeeping,
    cron_schedule="15 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
