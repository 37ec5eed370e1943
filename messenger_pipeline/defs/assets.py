"""The conversations and events of every page; one partition per page."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import dagster as dg

from messenger_pipeline.db.checks import count_page_rows
from messenger_pipeline.db.pages import get_page
from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.progress import find_open_full_sync
from messenger_pipeline.defs.columns import SCHEMAS
from messenger_pipeline.defs.leases import wait_for_ended_holder
from messenger_pipeline.defs.partitions import FACEBOOK_PAGES, facebook_pages
from messenger_pipeline.defs.patience import without_waiting
from messenger_pipeline.defs.refusals import get_page_by_meta_id
from messenger_pipeline.defs.resources import Pipeline
from messenger_pipeline.defs.runs import RunStop, stop_on_signal
from messenger_pipeline.defs.sync_check import SYNC_COMPLETE, check_of, log_outcome
from messenger_pipeline.defs.sync_metadata import lag_of, metadata_of
from messenger_pipeline.defs.sync_request import SyncConfig, request_of
from messenger_pipeline.defs.tags import CAUSE, PARENT, SESSION
from messenger_pipeline.engine import Engine
from messenger_pipeline.errors import PageRemoved, PipelineError
from messenger_pipeline.sync.run import SyncRequest, SyncResult, sync_page

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
        # A run that finds nothing to do materializes neither asset.
        skippable=True,
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
            " nothing that did not change.\n\n"
            "**If you cancel a run**, what it loaded stays, and its sync is parked: no continuation"
            " follows, and the page is not due before its sync interval has passed. Materialize"
            " the partition, use the status page, or run `messenger-pipeline sync` to go on."
            " A run that is ended otherwise (a deployment, the maximum runtime) is continued.\n\n"
            "**If a run fails**, the first line of its error names who must act. `needs"
            " re-authorization`: give the page a new token with `messenger-pipeline pages add`."
            " `Sync already in progress`: another run holds the page, do nothing. The sensor"
            " continue_open_syncs retries everything else. Re-executing the run of a sync that has"
            " ended starts a new sync.\n\n"
            "**In the metadata**, `lag_seconds` is the time from the start of the page's last"
            " complete sync to the start of this run. `outcome` is `partial` if a continuation"
            " follows, and `truncated` if Meta did not list all threads; the check sync_complete of"
            " the partition then warns or fails.",
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
    check_specs=[SYNC_COMPLETE],
    can_subset=False,
    op_tags={"messenger/kind": "sync"},
)
def sync_facebook_page(
    context: dg.AssetExecutionContext, config: SyncConfig, pipeline: Pipeline
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult | dg.Output[None]]:
    request = request_of(context, config)
    stop = RunStop(context.instance, context.run)
    with stop_on_signal(stop), pipeline.engine() as engine:
        try:
            lag = lag_of(get_page_by_meta_id(engine.database, request.page_id))
            result = _sync(context, engine, request, stop)
            _keep_partition(context.instance, engine.database, request.page_id)
            rows = count_page_rows(engine.database, request.page_id)
            full = find_open_full_sync(engine.database, request.page_id)
        except PipelineError as error:
            raise _failure(error) from error
    log_outcome(context.log, result)
    if result.did_nothing:
        # Only the check's output is required; without an evaluation its last result stays.
        yield dg.Output(None, output_name=SYNC_COMPLETE.get_python_identifier())
    else:
        for key in ("messenger_conversations", "contact_interaction_events"):
            yield dg.MaterializeResult(asset_key=key, metadata=metadata_of(result, key, rows, lag))
        yield check_of(result, full)
    if stop.is_ended_by_dagster():
        # Dagster waits for this error. Without it the run would show as a success after all.
        raise dg.DagsterExecutionInterruptedError


def _sync(
    context: dg.AssetExecutionContext, engine: Engine, request: SyncRequest, stop: RunStop
) -> SyncResult:
    if context.run.tags.get(CAUSE) != "command_line":
        wait_for_ended_holder(context.instance, engine.database, request.page_id, stop)
    tag = _session_tagger(context)
    result = sync_page(engine, request, stop, tag)
    if result.did_nothing and PARENT in context.run.tags:
        context.log.info(
            f"The session of the re-executed run has ended ({result.outcome}): this run starts a"
            " sync of its own."
        )
        result = sync_page(engine, replace(request, session=None), stop, tag)
    return result


def _keep_partition(instance: dg.DagsterInstance, database: Database, page_id: str) -> None:
    """Restore the partition of a registered page: without it, Dagster refuses what the run reports.

    Raises PageRemoved if the page was removed meanwhile.
    """
    if get_page(database, page_id).status == "removed":
        raise PageRemoved.named(page_id)
    instance.add_dynamic_partitions(FACEBOOK_PAGES, [page_id])


def _session_tagger(context: dg.AssetExecutionContext) -> Callable[[UUID], None]:
    """Tags the run with its session, by which all runs of a session are found."""

    def tag(session: UUID) -> None:
        # Dagster's database may be away; the walk needs only its own.
        with suppress(Exception), without_waiting():
            context.instance.add_run_tags(context.run.run_id, {SESSION: str(session)})

    return tag


def _failure(error: PipelineError) -> dg.Failure:
    return dg.Failure(
        description=str(error),
        metadata={"error": type(error).__name__, "exit_code": error.exit_code},
        # The sync has retried its calls, and a continuation resumes an open session.
        allow_retries=False,
    )
