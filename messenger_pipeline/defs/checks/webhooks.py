"""Asset checks of webhook deliveries: are they applied in time, and are they usable."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from messenger_pipeline.db import inbox
from messenger_pipeline.defs.checks.findings import duration, finding
from messenger_pipeline.defs.resources import Pipeline

_LATE = timedelta(minutes=1)
_VERY_LATE = timedelta(minutes=10)
_SPAN = timedelta(hours=1)
_MIN_FAILED = 5  # deliveries; fewer prove no rate
_MAX_RATE = 0.01
_ERROR_RATE = 0.2


@dg.asset_check(
    asset="webhook_deliveries",
    name="webhook_lag",
    description=(
        "Deliveries are applied within moments. WARN if one is overdue by over a minute, ERROR if"
        " by over ten: look at the receiver's log, and at failed runs of drain_webhooks."
    ),
)
def webhook_lag(pipeline: Pipeline) -> dg.AssetCheckResult:
    with pipeline.database() as database:
        waiting = inbox.count_due(database)
        figures = inbox.get_figures(database, _SPAN)
    lag = datetime.now(UTC) - waiting.oldest if waiting.oldest else timedelta(0)
    return finding(
        passed=lag <= _LATE,
        error=lag > _VERY_LATE,
        summary=(
            f"{waiting.deliveries:,} deliveries are due, the oldest since"
            f" {duration(lag.total_seconds())}."
            if waiting.deliveries
            else "No delivery is due."
        ),
        waiting_deliveries=waiting.deliveries,
        lag_seconds=lag.total_seconds(),
        applied_in_the_last_hour=figures.done,
        median_seconds_to_apply=figures.lag_median or 0.0,
        most_seconds_to_apply=figures.lag_max or 0.0,
    )


@dg.asset_check(
    asset="webhook_deliveries",
    name="webhook_quarantine_rate",
    description=(
        "Almost all deliveries of the last hour are usable. WARN if over 1 % (and at least 5) hold"
        " a quarantined item, ERROR if over 20 %. `messenger-pipeline quarantine list` shows the"
        " items and reasons."
    ),
)
def webhook_quarantine_rate(pipeline: Pipeline) -> dg.AssetCheckResult:
    with pipeline.database() as database:
        figures = inbox.get_figures(database, _SPAN)
    settled = figures.done + figures.ignored + figures.failed
    rate = figures.failed / settled if settled else 0.0
    return finding(
        passed=figures.failed < _MIN_FAILED or rate <= _MAX_RATE,
        error=rate > _ERROR_RATE,
        summary=f"{figures.failed:,} of {settled:,} deliveries hold a quarantined item.",
        rate=rate,
        failed=figures.failed,
        settled=settled,
    )
