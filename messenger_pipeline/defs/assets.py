"""The conversations and events of every page, one partition a page."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from types import FrameType
from typing import Any
from uuid import UUID

import dagster as dg

from messenger_pipeline.defs.resources import Pipeline
from messenger_pipeline.errors import PipelineError
from messenger_pipeline.sync import Mode, SyncRequest, SyncResult, sync_page

facebook_pages = dg.DynamicPartitionsDefinition(name="facebook_pages")

# A run longer than this ends as partial, and a continuation follows: a run slot is never held
# for long, and run monitoring can tell a stuck run from a long one.
MAX_SECONDS = 1_200.0


class SyncConfig(dg.Config):
    """What a sync run is asked for."""

    mode: str = "auto"
    """auto (go on with what is open, else what is new), incremental, or full."""
    session: str | None = None
    """Go on with this session, and do nothing if it is complete."""
    max_conversations: int | None = None
    """End after this many threads, with more to do."""
    max_seconds: float | None = MAX_SECONDS
    """End after this long, with more to do."""


def _spec(table: str, description: str) -> dg.AssetSpec:
    return dg.AssetSpec(
        table,
        description=description,
        group_name="messenger",
        kinds={"python", "postgres"},
        metadata={"dagster/table_name": table},
    )


@dg.multi_asset(
    name="sync_facebook_page",
    description="Walk one page's conversations and load what is new.",
    partitions_def=facebook_pages,
    specs=[
        _spec(
            "messenger_conversations",
            "One row per contact of a page: who it is, the last message, how many messages are"
            " stored. A partition is a Facebook page; materializing it goes on with an open sync,"
            " or fetches what is new.",
        ),
        _spec(
            "contact_interaction_events",
            "One row per message, whichever way and from whichever source it came. Committed"
            " together with its conversation.",
        ),
    ],
    can_subset=False,
    op_tags={"messenger/kind": "sync"},
)
def sync_facebook_page(
    context: dg.AssetExecutionContext, config: SyncConfig, pipeline: Pipeline
) -> Iterator[dg.MaterializeResult[Any]]:
    mode: Mode = _mode(config.mode)
    request = SyncRequest(
        page_id=context.partition_key,
        run_id=context.run.run_id,
        mode=mode,
        session=UUID(config.session) if config.session else None,
        max_conversations=config.max_conversations,
        max_seconds=config.max_seconds,
    )
    with stop_on_signal() as stop, pipeline.engine() as engine:
        try:
            result = sync_page(engine, request, stop)
        except PipelineError as error:
            raise dg.Failure(
                description=str(error),
                metadata={"error": type(error).__name__, "exit_code": error.exit_code},
                # What can be tried again was, inside; what is left open a continuation takes up.
                allow_retries=False,
            ) from error
    context.log.info(sentence(result))
    for key in ("messenger_conversations", "contact_interaction_events"):
        yield dg.MaterializeResult(asset_key=key, metadata=metadata_of(result, key))
    if stop.is_set():
        # Dagster asked for the end of the run and waits for this.
        raise dg.DagsterExecutionInterruptedError


def _mode(text: str) -> Mode:
    match text:
        case "auto" | "incremental" | "full":
            return text
    raise dg.Failure(f"mode is {text}; it can be auto, incremental or full", allow_retries=False)


def sentence(result: SyncResult) -> str:
    """What a run did, in words."""
    ends = {"partial": "to be continued", "completed": "complete"}
    parts = [
        f"{result.mode} sync {ends.get(result.outcome, result.outcome)}: {result.fetched}"
        f" conversations read in {result.duration_seconds:.1f} s with {result.api_calls} calls;"
        f" {result.inserted} new, {result.updated} changed, {result.unchanged} unchanged,"
        f" {result.events} new events, {result.quarantined} records quarantined"
    ]
    if result.deleted:
        parts.append(f"{result.deleted} no longer listed")
    if result.warning:
        parts.append(result.warning)
    return "; ".join(parts)


def metadata_of(result: SyncResult, asset: str) -> dict[str, Any]:
    """A run's figures, those of the asset first. Numbers are plotted over time."""
    conversations = {
        "fetched": result.fetched,
        "inserted": result.inserted,
        "updated": result.updated,
        "unchanged": result.unchanged,
    }
    events = {"events": result.events}
    own = conversations if asset == "messenger_conversations" else events
    other = events if asset == "messenger_conversations" else conversations
    watermark = result.watermark
    return {
        **own,
        **other,
        "summary": sentence(result),
        "mode": result.mode,
        "outcome": result.outcome,
        "has_more": result.has_more,
        "stopped": result.stopped or "",
        "warning": result.warning or "",
        "unknown_fields": result.unknown_fields,
        "quarantined": result.quarantined,
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


@contextmanager
def stop_on_signal() -> Iterator[threading.Event]:
    """An event set by SIGINT and SIGTERM, so that a response being loaded is finished first.

    Dagster's own handlers raise wherever the program stands.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def set_stop(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {which: signal.signal(which, set_stop) for which in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)
