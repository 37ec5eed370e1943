"""Schedules: due pages, the weekly full walk, and the hourly checks."""

import dagster as dg

from messenger_pipeline.db.pages import list_due_pages, list_pages_for_full_sync
from messenger_pipeline.defs.decisions import without_own_run
from messenger_pipeline.defs.jobs import full_sync_page_job, sync_page_job
from messenger_pipeline.defs.resources import Pipeline
from messenger_pipeline.defs.run_requests import incremental_request, sweep_request
from messenger_pipeline.defs.runs import UNFINISHED


@dg.schedule(
    name="sync_due_pages",
    description="Each minute: fetches what is new on the pages whose sync interval has passed.",
    job=sync_page_job,
    cron_schedule="* * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def sync_due_pages(
    context: dg.ScheduleEvaluationContext, pipeline: Pipeline
) -> list[dg.RunRequest] | dg.SkipReason:
    with pipeline.database() as database:
        due = list_due_pages(database)
    pages = without_own_run(
        due,
        context.instance.get_dynamic_partitions("facebook_pages"),
        context.instance.get_runs(dg.RunsFilter(statuses=UNFINISHED)) if due else [],
    )
    tick = context.scheduled_execution_time.isoformat()
    requests = [incremental_request(page_id, tick) for page_id in pages]
    return requests or dg.SkipReason("No page is due.")


@dg.schedule(
    name="full_sync_weekly",
    description=(
        "Sundays at 3:00 UTC: walks all threads of every page, to find what incremental syncs"
        " missed."
    ),
    job=full_sync_page_job,
    cron_schedule="0 3 * * 0",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def full_sync_weekly(
    context: dg.ScheduleEvaluationContext, pipeline: Pipeline
) -> list[dg.RunRequest] | dg.SkipReason:
    known = set(context.instance.get_dynamic_partitions("facebook_pages"))
    with pipeline.database() as database:
        # Without pages whose full walk is open: a restart each week might never complete.
        pages = list_pages_for_full_sync(database)
    tick = context.scheduled_execution_time.isoformat()
    requests = [sweep_request(page_id, tick) for page_id in pages if page_id in known]
    return requests or dg.SkipReason("Every active page has a full sync in progress already.")


check_tables_hourly = dg.ScheduleDefinition(
    name="check_tables_hourly",
    description="Each hour: runs all asset checks over all pages.",
    job_name="check_tables",
    cron_schedule="30 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
