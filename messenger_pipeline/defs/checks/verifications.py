"""Asset checks: the verifications in sql/verify, over all pages."""

import dagster as dg

from messenger_pipeline.db.migrate import run_check
from messenger_pipeline.defs.all_pages import ALL_PAGES
from messenger_pipeline.defs.resources import Pipeline


@dg.asset_check(
    asset=ALL_PAGES,
    name="no_conversation_without_events",
    description="Every conversation has an event: both are one commit. ERROR if one has none.",
)
def no_conversation_without_events(pipeline: Pipeline) -> dg.AssetCheckResult:
    return _result(pipeline, "conversations_have_events")


@dg.asset_check(
    asset=ALL_PAGES,
    name="message_counts_are_true",
    description="message_count and last_message_time match the stored messages. ERROR if not.",
)
def message_counts_are_true(pipeline: Pipeline) -> dg.AssetCheckResult:
    return _result(pipeline, "message_counts_are_true")


@dg.asset_check(
    asset=ALL_PAGES,
    name="no_duplicate_events",
    description="Each message is stored once, whatever its sources. ERROR if one is duplicated.",
)
def no_duplicate_events(pipeline: Pipeline) -> dg.AssetCheckResult:
    return _result(pipeline, "events_are_unique")


def _result(pipeline: Pipeline, check: str) -> dg.AssetCheckResult:
    with pipeline.database() as database:
        found = run_check(database, check)
    return dg.AssetCheckResult(
        passed=found is None,
        severity=dg.AssetCheckSeverity.ERROR,
        description=found or "No row violates it.",
        metadata={"verification": f"sql/verify/{check}.sql"},
    )
