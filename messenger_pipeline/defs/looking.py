"""How often checks of all pages look: not once for each page of a backfill.

Dagster runs an asset's checks along with each of its partitions that is materialized from the UI
or by a backfill, and there is no way to tell it not to. With thousands of pages that would be as
many searches through all tables.
"""

from collections.abc import Callable
from datetime import UTC, datetime

import dagster as dg

# Not among what Dagster exports; its version is pinned.
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from messenger_pipeline.defs.jobs import PARTITION
from messenger_pipeline.defs.resources import Pipeline

LOOKED_AT = "looked_at"

Look = Callable[[Pipeline], dg.AssetCheckResult]
_EVALUATED = {AssetCheckExecutionRecordStatus.SUCCEEDED, AssetCheckExecutionRecordStatus.FAILED}


def of_all_pages(
    look: Look,
) -> Callable[[dg.AssetCheckExecutionContext, Pipeline], dg.AssetCheckResult]:
    """A check that looks at all pages. In the run of one page its last result stands, if there is
    one: check_tables looks anew each hour."""

    def check(context: dg.AssetCheckExecutionContext, pipeline: Pipeline) -> dg.AssetCheckResult:
        if PARTITION in context.run.tags:
            [key] = context.selected_asset_check_keys
            last = _last_result(context.instance, key)
            if last is not None:
                return last
        found = look(pipeline)
        return dg.AssetCheckResult(
            passed=found.passed,
            severity=found.severity,
            description=found.description,
            metadata={**found.metadata, LOOKED_AT: dg.MetadataValue.timestamp(datetime.now(UTC))},
        )

    check.__name__ = look.__name__
    return check


def _last_result(instance: dg.DagsterInstance, key: dg.AssetCheckKey) -> dg.AssetCheckResult | None:
    history = instance.event_log_storage.get_asset_check_execution_history(
        key, limit=1, status=_EVALUATED
    )
    event = history[0].event.dagster_event if history and history[0].event else None
    if event is None:
        return None
    told = event.asset_check_evaluation_data
    return dg.AssetCheckResult(
        passed=told.passed,
        severity=told.severity,
        description=told.description,
        metadata=told.metadata,
    )
