"""Alerts: the sensor that looks, the daily check of tokens and subscriptions, retention."""

import time
from typing import Any

import dagster as dg

from messenger_pipeline.alerting.page_checks import Checked, check_pages
from messenger_pipeline.alerting.watch import EVERY, watch
from messenger_pipeline.db import alerts as stored
from messenger_pipeline.db.page_checks import list_pages_to_check
from messenger_pipeline.defs.assets import stop_on_signal
from messenger_pipeline.defs.console import CONSOLE
from messenger_pipeline.defs.resources import Pipeline
from messenger_pipeline.defs.sensors import UNFINISHED
from messenger_pipeline.errors import Stopped
from messenger_pipeline.settings import load_settings

HEART = "dagster"
"""The heartbeat that tells others that the daemon is up."""
_PORTION = 20  # pages between two looks at the clock


@dg.sensor(
    name="alerts",
    description=(
        "Looks for what is wrong, and sends what changed to MESSENGER_ALERT_URL. The receiver does"
        " the same, so that somebody is told when this daemon is down."
    ),
    minimum_interval_seconds=int(EVERY),
    default_status=dg.DefaultSensorStatus.RUNNING,
    job_name="check_pages_daily",
)
def alerts(context: dg.SensorEvaluationContext, pipeline: Pipeline) -> dg.SkipReason:
    url = load_settings().alert_url
    with pipeline.database() as database:
        stored.record_heartbeat(database, HEART)
        watched = watch(database, url.get_secret_value() if url else None)
    looked = watched.looked
    if looked is None:
        said = "The receiver is looking."
    else:
        said = f"{looked.still_open} open, {looked.opened} new, {looked.closed} over."
    unsent = f" Not sent: {watched.unsent}." if watched.unsent else ""
    return dg.SkipReason(f"{said} {watched.sent} messages sent.{unsent}")


class CheckConfig(dg.Config):
    """What a run is asked for."""

    page_id: str | None = None
    """This page, whenever it was checked; else all whose last check is a day old."""
    max_seconds: float = 1_200.0
    """End after this long; the schedule asks for another run if there is more."""


@dg.op(description="Ask Meta whether tokens are still good and pages still subscribed.")
def check_pages_due(
    context: dg.OpExecutionContext, config: CheckConfig, pipeline: Pipeline
) -> None:
    total, began = Checked(), time.monotonic()
    with stop_on_signal() as stop, pipeline.engine() as engine:
        due = list_pages_to_check(engine.database, config.page_id)
        while due and not stop.is_set() and time.monotonic() - began < config.max_seconds:
            portion, due = due[:_PORTION], due[_PORTION:]
            try:
                checked = check_pages(engine, portion, stop)
            except Stopped:
                break
            total.pages += checked.pages
            total.dead += checked.dead
            total.unsubscribed += checked.unsubscribed
            total.incomplete += checked.incomplete
    context.log.info(
        "%d pages checked: %d tokens dead, %d pages not subscribed, %d could not be asked all",
        total.pages, total.dead, total.unsubscribed, total.incomplete,
    )  # fmt: skip
    figures: dict[str, Any] = vars(total)
    context.add_output_metadata({**figures, "left": len(due)})
    if stop.is_set():
        raise dg.DagsterExecutionInterruptedError


@dg.job(
    name="check_pages_daily",
    description="Each page once a day: is its token still good, is it still subscribed.",
    config={"loggers": CONSOLE},
    tags={"dagster/max_retries": "0"},
)
def check_pages_daily() -> None:
    check_pages_due()


@dg.schedule(
    name="check_pages",
    description=(
        "Every ten minutes: check the pages that never were, or whose last check is a day old. So"
        " each is checked once a day, at a time of its own."
    ),
    job=check_pages_daily,
    cron_schedule="*/10 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def check_pages_schedule(
    context: dg.ScheduleEvaluationContext, pipeline: Pipeline
) -> dg.RunRequest | dg.SkipReason:
    with pipeline.database() as database:
        due = list_pages_to_check(database, limit=1)
    if not due:
        return dg.SkipReason("Every page was checked within a day.")
    unfinished = dg.RunsFilter(job_name=check_pages_daily.name, statuses=UNFINISHED)
    if context.instance.get_runs(unfinished, limit=1):
        return dg.SkipReason("A run is at it.")
    return dg.RunRequest()


@dg.op(description="Delete old habits of webhooks, and alerts that closed long ago.")
def delete_old_alerts(context: dg.OpExecutionContext, pipeline: Pipeline) -> None:
    with pipeline.database() as database:
        habits, closed = stored.delete_old(database)
    context.log.info("%d hours of webhook habits and %d alerts deleted", habits, closed)
    context.add_output_metadata({"habits": habits, "alerts": closed})
