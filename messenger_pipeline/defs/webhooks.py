"""Webhook deliveries: the drain as an asset, the sensor that guarantees it, checks."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from messenger_pipeline.db import inbox
from messenger_pipeline.defs.assets import CODE_VERSION, OWNERS, TAGS, stop_on_signal
from messenger_pipeline.defs.columns import SCHEMAS
from messenger_pipeline.defs.console import CONSOLE
from messenger_pipeline.defs.jobs import CAUSE
from messenger_pipeline.defs.resources import Pipeline
from messenger_pipeline.defs.sensors import UNFINISHED
from messenger_pipeline.webhook.drain import DrainResult, drain_batch
from messenger_pipeline.webhook.names import NameFinder

KIND = "messenger/kind"
_GRACE = timedelta(seconds=2)
"""What the receiver's own drain is given before a run is asked for."""
_LATE = timedelta(minutes=1)
_MUCH_LATE = timedelta(minutes=10)
_SPAN = timedelta(hours=1)
_FEW = 5  # quarantined deliveries that say nothing of a rate yet
_MANY = 0.01
_TOO_MANY = 0.2


class DrainConfig(dg.Config):
    """What a drain run is asked for."""

    max_seconds: float = 300.0
    """End after this long; the sensor asks for another run if there is more."""


@dg.asset(
    name="webhook_deliveries",
    description=(
        "What Meta delivered by webhook, applied to conversations and events. The receiver applies"
        " deliveries itself, within moments; a run applies what it left: while it was down, or"
        " what is to be tried again."
    ),
    group_name="messenger",
    kinds={"python", "postgres"},
    owners=OWNERS,
    tags=TAGS,
    code_version=CODE_VERSION,
    # No freshness policy: while the receiver is up, it leaves nothing for a run to do.
    metadata={
        "dagster/table_name": "webhook_inbox",
        "dagster/column_schema": SCHEMAS["webhook_inbox"],
    },
    op_tags={KIND: "drain"},
)
def webhook_deliveries(
    context: dg.AssetExecutionContext, config: DrainConfig, pipeline: Pipeline
) -> dg.MaterializeResult[Any]:
    began = time.monotonic()
    total = DrainResult()
    with stop_on_signal() as stop, pipeline.engine() as engine:
        names = NameFinder(engine)
        names.start()
        try:
            while not stop.is_set() and time.monotonic() - began < config.max_seconds:
                batch = drain_batch(engine.database)
                if not batch.deliveries:
                    break
                names.add(batch.new_contacts)
                batch.new_contacts.clear()
                total.add(batch)
        finally:
            names.close()
        waiting = inbox.waiting(engine.database)
    if stop.is_set():
        # Dagster asked for the end of the run; what is applied stays.
        raise dg.DagsterExecutionInterruptedError
    metadata = metadata_of(total, waiting, time.monotonic() - began)
    context.log.info(metadata["summary"])
    return dg.MaterializeResult(metadata=metadata)


def metadata_of(total: DrainResult, waiting: inbox.Waiting, seconds: float) -> dict[str, Any]:
    """A run's figures; numbers are plotted over time."""
    now = datetime.now(UTC)
    lag = (now - total.oldest).total_seconds() if total.oldest else 0.0
    summary = (
        f"{total.deliveries} deliveries applied in {seconds:.1f} s: {total.events_created} new"
        f" events, {total.inserted} new conversations, {total.quarantined} items quarantined;"
        f" {waiting.deliveries} more wait"
    )
    return {
        "deliveries": total.deliveries,
        "events_created": total.events_created,
        "conversations_inserted": total.inserted,
        "conversations_updated": total.updated,
        "quarantined": total.quarantined,
        **{name: total.states[name] for name in ("done", "ignored", "failed", "retry")},
        "waiting_for_pages": total.states["waiting"],
        "lag_seconds": lag,
        "waiting_deliveries": waiting.deliveries,
        "oldest_waiting": dg.MetadataValue.timestamp(waiting.oldest.astimezone(UTC))
        if waiting.oldest
        else dg.MetadataValue.null(),
        "events_by_type": dict(total.events),
        "ignored_items": dict(total.ignored),
        "duration_seconds": seconds,
        "summary": summary,
    }


drain_job = dg.define_asset_job(
    "drain_webhooks",
    selection=dg.AssetSelection.assets("webhook_deliveries"),
    description="Apply the webhook deliveries that wait.",
    tags={"dagster/max_retries": "0", KIND: "drain", "dagster/priority": "10"},
    config={"loggers": CONSOLE},
)


@dg.sensor(
    name="webhook_inbox",
    description="One run for all deliveries that wait, if the receiver did not apply them.",
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
    job=drain_job,
)
def webhook_inbox(
    context: dg.SensorEvaluationContext, pipeline: Pipeline
) -> dg.RunRequest | dg.SkipReason:
    with pipeline.database() as database:
        waiting = inbox.waiting(database, _GRACE)
    if not waiting.deliveries:
        return dg.SkipReason("No delivery waits.")
    unfinished = context.instance.get_runs(
        dg.RunsFilter(job_name=drain_job.name, statuses=UNFINISHED), limit=1
    )
    if unfinished:
        return dg.SkipReason(f"{waiting.deliveries} deliveries wait, a run is at it.")
    return dg.RunRequest(tags={CAUSE: "webhook"})


@dg.asset_check(
    asset="webhook_deliveries",
    name="webhook_lag",
    description=(
        "Deliveries are applied within moments. WARN where one waits for over a minute, ERROR for"
        " over ten: look at the receiver's log, and whether the drain's runs fail."
    ),
)
def webhook_lag(pipeline: Pipeline) -> dg.AssetCheckResult:
    with pipeline.database() as database:
        waiting = inbox.waiting(database)
        figures = inbox.figures(database, _SPAN)
    lag = datetime.now(UTC) - waiting.oldest if waiting.oldest else timedelta(0)
    return dg.AssetCheckResult(
        passed=lag <= _LATE,
        severity=_severity(lag > _MUCH_LATE),
        description=(
            f"{waiting.deliveries} deliveries wait, the oldest for {lag.total_seconds():.0f} s."
        ),
        metadata={
            "waiting_deliveries": waiting.deliveries,
            "lag_seconds": lag.total_seconds(),
            "applied_in_the_last_hour": figures.done,
            "median_seconds_to_apply": figures.lag_median or 0.0,
            "most_seconds_to_apply": figures.lag_max or 0.0,
        },
    )


@dg.asset_check(
    asset="webhook_deliveries",
    name="webhook_quarantine_rate",
    description=(
        "Of the last hour's deliveries hardly any holds something that cannot be used. WARN above"
        " 1 % (and at least 5), ERROR above 20 %."
    ),
)
def webhook_quarantine_rate(pipeline: Pipeline) -> dg.AssetCheckResult:
    with pipeline.database() as database:
        figures = inbox.figures(database, _SPAN)
    settled = figures.done + figures.ignored + figures.failed
    rate = figures.failed / settled if settled else 0.0
    return dg.AssetCheckResult(
        passed=figures.failed < _FEW or rate <= _MANY,
        severity=_severity(rate > _TOO_MANY),
        description=(
            f"{figures.failed} of the last hour's {settled} deliveries hold something quarantined;"
            " `messenger-pipeline quarantine list` shows it."
        ),
        metadata={"rate": rate, "failed": figures.failed, "settled": settled},
    )


def _severity(bad: bool) -> dg.AssetCheckSeverity:
    return dg.AssetCheckSeverity.ERROR if bad else dg.AssetCheckSeverity.WARN
