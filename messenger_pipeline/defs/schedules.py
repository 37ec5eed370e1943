"""Schedules: pages that are due, and the weekly sweep."""

import dagster as dg

from messenger_pipeline.db.pages import list_due_pages, list_pages_for_full_sync
from messenger_pipeline.defs.jobs import (
    CAUSE,
    MODE,
    config_of,
    full_sync_page_job,
    incremental_request,
    sync_page_job,
    without_own_run,
)
from messenger_pipeline.defs.resources import Pipeline
from messenger_pipeline.defs.sensors import UNFINISHED


@dg.schedule(
    name="sync_due_pages",
    description="Each minute: fetch what is new on the pages whose interval is over.",
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
    requests = [incremental_request(page_id, f"{page_id}:{tick}") for page_id in pages]
    return requests or dg.SkipReason("No page is due.")


@dg.schedule(
    name="full_sync_weekly",
    description=(
        "Sundays at 3:00 UTC: walk all threads of every page, for what Meta's list passed by."
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
        # A page in the middle of a full walk is left to it: to begin anew would never end.
        pages = list_pages_for_full_sync(database)
    tick = context.scheduled_execution_time.isoformat()
    requests = [
        dg.RunRequest(
            run_key=f"full:{page_id}:{tick}",
            partition_key=page_id,
            run_config=config_of(mode="full"),
            tags={MODE: "full", CAUSE: "schedule", "dagster/priority": "-2"},
        )
        for page_id in pages
        if page_id in known
    ]
    return requests or dg.SkipReason("No active page is without a full sync at work.")


check_tables_hourly = dg.ScheduleDefinition(
    name="check_tables_hourly",
    description="Each hour: look at all rows for what must never be.",
    job_name="check_tables",
    cron_schedule="30 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
