"""Webhook deliveries: the drain as an asset, and the sensor that starts it."""

import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from messenger_pipeline.db import inbox
from messenger_pipeline.defs.assets import CODE_VERSION, OWNERS, TAGS
from messenger_pipeline.defs.columns import SCHEMAS
from messenger_pipeline.defs.console import CONSOLE
from messenger_pipeline.defs.refusals import require_time
from messenger_pipeline.defs.resources import Pipeline
from messenger_pipeline.defs.runs import UNFINISHED, RunStop, stop_on_signal
from messenger_pipeline.defs.tags import CAUSE, KIND
from messenger_pipeline.engine import Engine
from messenger_pipeline.errors import DatabaseError
from messenger_pipeline.quarantine import retry_due
from messenger_pipeline.webhook.drain import DrainResult, drain_batch
from messenger_pipeline.webhook.names import NameFinder

RUNS = "Dagster's job drain_webhooks"
"""The runs' name among the drains that fail."""
_RETRY_SECONDS = (10.0, 300.0)
"""The pause after a run that failed, doubled with each one from the first to the longest."""
_COUNTED_RUNS = 10  # runs that are looked at for failures in a row
_RECEIVER_DELAY = timedelta(seconds=2)
"""The receiver's own drain gets this time before a run is requested."""


class DrainConfig(dg.Config):
    """The config of a drain run."""

    max_seconds: float = 300.0
    """End after this time. The sensor requests another run for the deliveries that are left."""


@dg.asset(
    name="webhook_deliveries",
    description=(
        "Meta's webhook deliveries, applied to conversations and events. The receiver applies"
        " deliveries itself within moments. A run applies the rest: deliveries from while the"
        " receiver's drain was down, and retries."
    ),
    group_name="messenger",
    kinds={"python", "postgres"},
    owners=OWNERS,
    tags=TAGS,
    code_version=CODE_VERSION,
    # Without a freshness policy: while the receiver is up, no run is needed.
    metadata={
        "dagster/table_name": "webhook_inbox",
        "dagster/column_schema": SCHEMAS["webhook_inbox"],
    },
    op_tags={KIND: "drain"},
)
def webhook_deliveries(
    context: dg.AssetExecutionContext, config: DrainConfig, pipeline: Pipeline
) -> dg.MaterializeResult[Any]:
    require_time(config.max_seconds)
    start = time.monotonic()
    stop = RunStop(context.instance, context.run)
    with stop_on_signal(stop), pipeline.engine() as engine:
        total = drain_inbox(engine, stop, start + config.max_seconds)
        waiting = inbox.count_due(engine.database)
        inbox.record_drain_success(engine.database, RUNS)
        with suppress(DatabaseError):  # they are no deliveries, and are tried again
            retry_due(engine.database, app_id=engine.app_id)
    if stop.is_ended_by_dagster():
        # Applied deliveries stay applied.
        raise dg.DagsterExecutionInterruptedError
    metadata = metadata_of(total, waiting, time.monotonic() - start)
    context.log.info(metadata["summary"])
    return dg.MaterializeResult(metadata=metadata)


def drain_inbox(engine: Engine, stop: threading.Event, deadline: float) -> DrainResult:
    """Apply due deliveries until none is left or the monotonic time `deadline` has passed."""
    total = DrainResult()
    names = NameFinder(engine)
    names.start()
    try:
        while not stop.is_set() and time.monotonic() < deadline:
            batch = drain_batch(engine.database, app_id=engine.app_id)
            if not batch.deliveries:
                break
            names.add(batch.new_contacts)
            batch.new_contacts.clear()
            total.add(batch)
    finally:
        names.close()
    return total


def metadata_of(total: DrainResult, waiting: inbox.DueDeliveries, seconds: float) -> dict[str, Any]:
    """A run's figures. Dagster plots the numbers over time."""
    now = datetime.now(UTC)
    lag = (now - total.oldest).total_seconds() if total.oldest else 0.0
    summary = (
        f"{total.deliveries:,} deliveries processed in {seconds:.1f} s:"
        f" {total.events_created:,} new events, {total.inserted:,} new conversations,"
        f" {total.quarantined:,} items quarantined; {waiting.deliveries:,} deliveries still due"
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
    description="Applies the webhook deliveries that are due.",
    tags={"dagster/max_retries": "0", KIND: "drain", "dagster/priority": "10"},
    config={"loggers": CONSOLE},
)


@dg.sensor(
    name="webhook_inbox",
    description="Starts one run for all due deliveries that the receiver did not apply.",
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
    job=drain_job,
)
def webhook_inbox(
    context: dg.SensorEvaluationContext, pipeline: Pipeline
) -> dg.RunRequest | dg.SkipReason:
    failures, failed_at = _failures_in_a_row(context.instance)
    with pipeline.database() as database:
        waiting = inbox.count_due(database, _RECEIVER_DELAY)
        if failures and waiting.deliveries:
            error = "the last runs failed: see the job in Dagster"
            inbox.record_drain_failure(database, RUNS, error, failures)
    if not waiting.deliveries:
        return dg.SkipReason("No delivery is due.")
    unfinished = dg.RunsFilter(job_name=drain_job.name, statuses=UNFINISHED)
    if context.instance.get_runs(unfinished, limit=1):
        return dg.SkipReason(
            f"A run is applying the {waiting.deliveries:,} due deliveries already."
        )
    pause = failed_at + pause_after_failures(failures) - time.time()
    if pause > 0:
        return dg.SkipReason(
            f"The last {failures:,} runs failed. The next one starts in {pause:.0f} s."
        )
    return dg.RunRequest(tags={CAUSE: "webhook"})


def pause_after_failures(failures: int) -> float:
    """Seconds from the end of the last of so many failed runs to the next run."""
    first, longest = _RETRY_SECONDS
    return min(first * 2.0 ** (failures - 1), longest) if failures else 0.0


def _failures_in_a_row(instance: dg.DagsterInstance) -> tuple[int, float]:
    """How many of the newest runs failed, also by the death of their process, and when the newest
    one ended, in seconds since 1970."""
    ended = dg.RunsFilter(
        job_name=drain_job.name,
        statuses=[dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE],
    )
    records = instance.get_run_records(ended, limit=_COUNTED_RUNS)
    failures = 0
    for record in records:
        if record.dagster_run.status is not dg.DagsterRunStatus.FAILURE:
            break
        failures += 1
    return failures, (records[0].end_time or 0.0) if failures else 0.0
