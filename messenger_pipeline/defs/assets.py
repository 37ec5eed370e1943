"""The conversations and events of every page, one partition a page."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import FrameType
from typing import Any
from uuid import UUID

import dagster as dg

from messenger_pipeline.db.checks import PageRows, count_page_rows
from messenger_pipeline.db.pages import PageRecord, get_page
from messenger_pipeline.defs.columns import SCHEMAS
from messenger_pipeline.defs.jobs import SESSION
from messenger_pipeline.defs.resources import Pipeline
from messenger_pipeline.errors import PipelineError
from messenger_pipeline.sync.run import Mode, SyncRequest, SyncResult, sync_page

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


# Raised when rows that are stored already should be read anew: Dagster then shows them as outdated,
# and a full sync of the pages brings them up to date.
CODE_VERSION = "1"
OWNERS = ["team:messenger"]
TAGS = {"source": "meta-graph-api", "personal-data": "true"}
# Of the asset, so of all pages together: none was synced for that long. Whether each page is on
# time says the check no_stale_page.
FRESHNESS = dg.FreshnessPolicy.time_window(
    warn_window=timedelta(minutes=45), fail_window=timedelta(hours=2)
)


def _spec(table: str, description: str) -> dg.AssetSpec:
    return dg.AssetSpec(
        table,
        description=description,
        group_name="messenger",
        kinds={"python", "postgres"},
        owners=OWNERS,
        tags=TAGS,
        code_version=CODE_VERSION,
        freshness_policy=FRESHNESS,
        metadata={"dagster/table_name": table, "dagster/column_schema": SCHEMAS[table]},
    )


@dg.multi_asset(
    name="sync_facebook_page",
    description="Walk one page's conversations and load what is new.",
    partitions_def=facebook_pages,
    specs=[
        _spec(
            "messenger_conversations",
            "One row per contact of a page: who it is, the last message, how many messages are"
            " stored. A partition is a Facebook page.\n\n"
            "**Materializing it** goes on with the page's open sync, or fetches what is new; it"
            " writes nothing that did not change, and can be cancelled at any time.\n\n"
            "**If a run fails**, its first line says who must act. `needs re-authorization`: give"
            " the page a new token with `messenger-pipeline pages add`. `Sync already in"
            " progress`: another run has the page, nothing to do. Anything else is gone on with by"
            " the sensor continue_open_syncs.\n\n"
            "**In the metadata**, `lag_seconds` is how long ago the page's last complete sync was"
            " when the run began; `outcome` is `partial` where a continuation follows, `truncated`"
            " where Meta did not show all.",
        ),
        _spec(
            "contact_interaction_events",
            "One row per message, or other thing that happened (reactions, edits, reads),"
            " whichever way and from whichever source it came: a message is stored once. Committed"
            " together with its conversation, by the same run.\n\n"
            "**If rows are missing**, look at the page's open gaps (check open_gaps), its"
            " quarantined records (`messenger-pipeline quarantine list --page …`) and its open"
            " sync (`messenger-pipeline status`). `messenger-pipeline sync PAGE_ID --full` reads"
            " the page anew; what is stored stays.",
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
            lag = _lag_of(get_page(engine.database, request.page_id))
            result = sync_page(engine, request, stop, _tagger(context))
            rows = count_page_rows(engine.database, request.page_id)
        except PipelineError as error:
            raise dg.Failure(
                description=str(error),
                metadata={"error": type(error).__name__, "exit_code": error.exit_code},
                # What can be tried again was, inside; what is left open a continuation takes up.
                allow_retries=False,
            ) from error
    context.log.info(sentence(result))
    for key in ("messenger_conversations", "contact_interaction_events"):
        yield dg.MaterializeResult(asset_key=key, metadata=metadata_of(result, key, rows, lag))
    if stop.is_set():
        # Dagster asked for the end of the run and waits for this.
        raise dg.DagsterExecutionInterruptedError


def _lag_of(page: PageRecord) -> float | None:
    """Seconds since the page's last complete sync began. None where that is not known: somebody
    asked for a full one."""
    since = page.last_synced_at or (None if page.watermark else page.created_at)
    return (datetime.now(UTC) - since).total_seconds() if since else None


def _tagger(context: dg.AssetExecutionContext) -> Callable[[UUID], None]:
    """Tags the run with its session, by which all runs of one are found."""

    def tag(session: UUID) -> None:
        context.instance.add_run_tags(context.run.run_id, {SESSION: str(session)})

    return tag


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


def metadata_of(
    result: SyncResult, asset: str, rows: PageRows, lag: float | None
) -> dict[str, Any]:
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
    stored = rows.conversations if asset == "messenger_conversations" else rows.events
    watermark = result.watermark
    return {
        "dagster/row_count": stored,
        **own,
        **other,
        **({"lag_seconds": round(lag, 1)} if lag is not None else {}),
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
