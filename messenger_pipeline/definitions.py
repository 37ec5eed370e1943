"""All definitions that Dagster loads: the table of contents of defs/."""

import dagster as dg

from messenger_pipeline.defs.alerts import alerts
from messenger_pipeline.defs.all_pages import all_pages
from messenger_pipeline.defs.assets import sync_facebook_page
from messenger_pipeline.defs.checks.content import (
    message_counts_against_meta,
    sync_quarantine_rate,
    unknown_fields,
)
from messenger_pipeline.defs.checks.pages import (
    no_stale_page,
    no_stuck_lease,
    open_gaps,
    sync_not_truncated,
)
from messenger_pipeline.defs.checks.verifications import (
    message_counts_are_true,
    no_conversation_without_events,
    no_duplicate_events,
)
from messenger_pipeline.defs.checks.webhooks import webhook_lag, webhook_quarantine_rate
from messenger_pipeline.defs.console import json_console
from messenger_pipeline.defs.housekeeping import housekeeping, housekeeping_hourly
from messenger_pipeline.defs.jobs import check_job, full_sync_page_job, sync_page_job
from messenger_pipeline.defs.page_checks import check_pages_job, check_pages_schedule
from messenger_pipeline.defs.resources import Pipeline
from messenger_pipeline.defs.schedules import check_tables_hourly, full_sync_weekly, sync_due_pages
from messenger_pipeline.defs.sensors import (
    continue_open_syncs,
    page_registry,
    reap_dead_runs,
    requested_syncs,
)
from messenger_pipeline.defs.webhooks import drain_job, webhook_deliveries, webhook_inbox

defs = dg.Definitions(
    assets=[sync_facebook_page, webhook_deliveries, all_pages],
    asset_checks=[
        no_conversation_without_events,
        message_counts_are_true,
        no_duplicate_events,
        message_counts_against_meta,
        no_stale_page,
        no_stuck_lease,
        sync_not_truncated,
        open_gaps,
        sync_quarantine_rate,
        unknown_fields,
        webhook_lag,
        webhook_quarantine_rate,
    ],
    jobs=[
        sync_page_job,
        full_sync_page_job,
        check_job,
        drain_job,
        check_pages_job,
        housekeeping,
    ],
    schedules=[
        sync_due_pages,
        full_sync_weekly,
        check_tables_hourly,
        check_pages_schedule,
        housekeeping_hourly,
    ],
    sensors=[
        page_registry,
        continue_open_syncs,
        reap_dead_runs,
        requested_syncs,
        webhook_inbox,
        alerts,
    ],
    resources={"pipeline": Pipeline()},
    loggers={"console": json_console},
    # One process per run: each further one would add seconds of imports.
    executor=dg.in_process_executor,
)
