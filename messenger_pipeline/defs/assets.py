"""The conversations and events of every page; one partition per page."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import dagster as dg

from messenger_pipeline.db.checks import count_page_rows
from messenger_pipeline.db.pages import get_page
from messenger_pipeline.defs.columns import SCHEMAS
from messenger_pipeline.defs.resources import Pipeline
from messenger_pipeline.defs.runs import stop_on_signal
from messenger_pipeline.defs.sync_metadata import lag_of, metadata_of, summary_of
from messenger_pipeline.defs.tags import SESSION
from messenger_pipeline.errors import PipelineError
from messenger_pipeline.sync.run import Mode, SyncRequest, sync_page

facebook_pages = dg.DynamicPartitionsDefinition(name="facebook_pages")

# A longer walk ends as partial, and a continuation follows: no run occupies its slot for long, and
# run monitoring can distinguish a stuck run from a long one.
MAX_SECONDS = 1_200.0


class SyncConfig(dg.Config):
    """The config of a sync run."""

    mode: str = "auto"
    """auto (resume the open sync, else fetch what is new), incremental, or full."""
    session: str | None = None
    """Resume this session; do nothing if it is complete."""
    max_conversations: int | None = None
    """End as partial after this many threads."""
    max_seconds: float | None = MAX_SECONDS
    """End as partial after this time."""


# Increment it if stored rows must be read again: Dagster then shows them as outdated, and a full
# sync of the pages updates them.
CODE_VERSION = "1"
OWNERS = ["team:messenger"]
TAGS = {"source": "meta-graph-api", "personal-data": "true"}
# For the asset as a whole: it fails if no page at all was synced for that long. The check
# no_stale_page checks each page.
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
    description="Walks one page's conversations and loads what is new.",
    partitions_def=facebook_pages,
    specs=[
        _spec(
            "messenger_conversations",
            "One row per contact of a page: its name, the last message, and the number of stored"
            " messages. A partition is a Facebook page.\n\n"
            "**Materializing it** resumes the page's open sync, or fetches what is new. It writes"
            " nothing that did not change, and you can cancel it at any time.\n\n"
            "**If a run fails**, the first line of its error names who must act. `needs"
            " re-authorization`: give the page a new token with `messenger-pipeline pages add`."
            " `Sync already in progress`: another run holds the page, do nothing. The sensor"
            " continue_open_syncs retries everything else.\n\n"
            "**In the metadata**, `lag_seconds` is the time from the start of the page's last"
            " complete sync to the start of this run. `outcome` is `partial` if a continuation"
            " follows, and `truncated` if Meta did not list all threads.",
        ),
        _spec(
            "contact_interaction_events",
            "One row per message or other event (reactions, edits, reads), in both directions."
            " Each message is stored once, whichever sources delivered it, and is committed"
            " together with its conversation by the same run.\n\n"
            "**If rows are missing**, look at the page's open gaps (check open_gaps), its"
            " quarantined records (`messenger-pipeline quarantine list --page …`) and its open"
            " sync (`messenger-pipeline status`). `messenger-pipeline sync PAGE_ID --full` reads"
            " the whole page again and keeps what is stored.",
        ),
    ],
    can_subset=False,
    op_tags={"messenger/kind": "sync"},
)
def sync_facebook_page(
    context: dg.AssetExecutionContext, config: SyncConfig, pipeline: Pipeline
) -> Iterator[dg.MaterializeResult[Any]]:
    request = _request(context, config)
    with stop_on_signal() as stop, pipeline.engine() as engine:
        try:
            lag = lag_of(get_page(engine.database, request.page_id))
            result = sync_page(engine, request, stop, _session_tagger(context))
            rows = count_page_rows(engine.database, request.page_id)
        except PipelineError as error:
            raise _failure(error) from error
    context.log.info(summary_of(result))
    for key in ("messenger_conversations", "contact_interaction_events"):
        yield dg.MaterializeResult(asset_key=key, metadata=metadata_of(result, key, rows, lag))
    if stop.is_set():
        # Dagster cancelled the run, and waits for this error.
        raise dg.DagsterExecutionInterruptedError


def _request(context: dg.AssetExecutionContext, config: SyncConfig) -> SyncRequest:
    return SyncRequest(
        page_id=context.partition_key,
        run_id=context.run.run_id,
        mode=_mode(config.mode),
        session=UUID(config.session) if config.session else None,
        max_conversations=config.max_conversations,
        max_seconds=config.max_seconds,
    )


def _mode(text: str) -> Mode:
    match text:
        case "auto" | "incremental" | "full":
            return text
    raise dg.Failure(
        f"The mode {text} is unknown: use auto, incremental or full.", allow_retries=False
    )


def _session_tagger(context: dg.AssetExecutionContext) -> Callable[[UUID], None]:
    """Tags the run with its session, by which all runs of a session are found."""

    def tag(session: UUID) -> None:
        context.instance.add_run_tags(context.run.run_id, {SESSION: str(session)})

    return tag


def _failure(error: PipelineError) -> dg.Failure:
    return dg.Failure(
        description=str(error),
        metadata={"error": type(error).__name__, "exit_code": error.exit_code},
        # The sync has retried its calls, and a continuation resumes an open session.
        allow_retries=False,
    )
