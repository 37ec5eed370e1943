"""The metadata of a sync run, as its materializations show it."""

from datetime import UTC, datetime
from typing import Any

import dagster as dg

from messenger_pipeline.db.checks import PageRows
from messenger_pipeline.db.pages import PageRecord
from messenger_pipeline.sync.run import SyncResult


def lag_of(page: PageRecord) -> float | None:
    """Seconds since the start of the page's last complete sync. None if a user requested a full
    sync, which clears that time."""
    since = page.last_synced_at or (None if page.watermark else page.created_at)
    return (datetime.now(UTC) - since).total_seconds() if since else None


def summary_of(result: SyncResult) -> str:
    """A run's figures in words."""
    states = {"partial": "incomplete, to be continued", "completed": "complete"}
    parts = [
        f"{result.mode} sync {states.get(result.outcome, result.outcome)}:"
        f" {_counted(result.fetched, 'conversation')} read in {result.duration_seconds:.1f} s with"
        f" {_counted(result.api_calls, 'call')};"
        f" {result.inserted:,} new, {result.updated:,} changed, {result.unchanged:,} unchanged,"
        f" {_counted(result.events, 'new event')},"
        f" {_counted(result.quarantined, 'record')} quarantined"
    ]
    if result.set_aside:
        parts.append(f"{_counted(result.set_aside, 'gap')} set aside")
    if result.deleted:
        parts.append(f"{result.deleted:,} no longer listed")
    if result.warning:
        parts.append(result.warning)
    return "; ".join(parts)


def metadata_of(
    result: SyncResult, asset: str, rows: PageRows, lag: float | None
) -> dict[str, Any]:
    """A run's figures, those of the asset first. Dagster plots the numbers over time."""
    conversations = {
        "fetched": result.fetched,
        "inserted": result.inserted,
        "updated": result.updated,
        "unchanged": result.unchanged,
    }
    events = {"events": result.events}
    of_conversations = asset == "messenger_conversations"
    return {
        "dagster/row_count": rows.conversations if of_conversations else rows.events,
        **(conversations | events if of_conversations else events | conversations),
        **({"lag_seconds": round(lag, 1)} if lag is not None else {}),
        "summary": summary_of(result),
        **_session_metadata(result),
    }


def _session_metadata(result: SyncResult) -> dict[str, Any]:
    watermark = result.watermark
    return {
        "mode": result.mode,
        "outcome": result.outcome,
        "has_more": result.has_more,
        "stopped": result.stopped or "",
        "warning": result.warning or "",
        "unknown_fields": result.unknown_fields,
        "quarantined": result.quarantined,
        "set_aside": result.set_aside,
        "failed_batches": result.failed_batches,
        "deleted": result.deleted,
        "api_calls": result.api_calls,
        "waited_seconds": result.waited_seconds,
        "duration_seconds": result.duration_seconds,
        "conversations_per_second": result.conversations_per_second,
        "sync_session_id": result.sync_session_id,
        "watermark": dg.MetadataValue.timestamp(watermark.astimezone(UTC))
        if watermark
        else dg.MetadataValue.null(),
    }


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
