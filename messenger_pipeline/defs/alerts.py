"""The sensor that evaluates alerts and sends notifications, and the deletion of old alerts."""

import dagster as dg

from messenger_pipeline.alerting.watch import INTERVAL_SECONDS, WatchResult, watch
from messenger_pipeline.db import alerts as stored
from messenger_pipeline.defs.resources import Pipeline
from messenger_pipeline.settings import load_settings

HEARTBEAT = "dagster"
"""The heartbeat by which the receiver detects that Dagster's daemon is down."""


@dg.sensor(
    name="alerts",
    description=(
        "Evaluates all alert conditions and sends notifications to MESSENGER_ALERT_URL. The"
        " receiver does the same, so alerts are sent even while this daemon is down."
    ),
    minimum_interval_seconds=int(INTERVAL_SECONDS),
    default_status=dg.DefaultSensorStatus.RUNNING,
    job_name="check_pages",
)
def alerts(context: dg.SensorEvaluationContext, pipeline: Pipeline) -> dg.SkipReason:
    url = load_settings().alert_url
    with pipeline.database() as database:
        stored.record_heartbeat(database, HEARTBEAT)
        result = watch(database, url.get_secret_value() if url else None)
    return dg.SkipReason(summary_of(result))


def summary_of(result: WatchResult) -> str:
    """One evaluation in words."""
    counts = result.counts
    evaluated = (
        f"{counts.still_open:,} open, {counts.opened:,} new, {counts.closed:,} closed."
        if counts
        else "The receiver is evaluating alerts now."
    )
    sent = "1 message sent." if result.sent == 1 else f"{result.sent:,} messages sent."
    failure = f" The others could not be sent: {result.failure}." if result.failure else ""
    return f"{evaluated} {sent}{failure}"


@dg.op(description="Deletes webhook counts older than 30 days and alerts closed 90 days ago.")
def delete_old_alerts(context: dg.OpExecutionContext, pipeline: Pipeline) -> None:
    with pipeline.database() as database:
        hours, closed = stored.delete_old(database)
    context.log.info("deleted %d hours of webhook counts and %d alerts", hours, closed)
    context.add_output_metadata({"webhook_hours": hours, "alerts": closed})
