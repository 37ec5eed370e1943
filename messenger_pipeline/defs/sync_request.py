"""The config of a sync run, and the launches that are refused at its start."""

from typing import Literal
from uuid import UUID

import dagster as dg
from pydantic import Field

from messenger_pipeline.defs.refusals import refused
from messenger_pipeline.errors import UsageError
from messenger_pipeline.sync.run import SyncRequest

# A longer walk ends as partial, and a continuation follows: no run occupies its slot for long, and
# run monitoring can distinguish a stuck run from a long one.
MAX_SECONDS = 1_200.0


class SyncConfig(dg.Config):
    """The config of a sync run."""

    mode: Literal["auto", "incremental", "sweep", "full"] = Field(
        "auto",
        description="auto (resume the open sync, else fetch what is new), incremental, sweep (all"
        " threads: what changed, what is missing, what is gone), or full (every message again).",
    )
    session: str | None = Field(
        None,
        description="The id of the sync session to resume. If it has ended, the run does nothing.",
    )
    # Their bounds are checked by request_of: Dagster would answer with a page of traceback.
    max_conversations: int | None = Field(
        None, description="End as partial after this many conversations, at least 1."
    )
    max_seconds: float | None = Field(
        MAX_SECONDS, description="End as partial after this time, more than 0."
    )


def request_of(context: dg.AssetExecutionContext, config: SyncConfig) -> SyncRequest:
    """What a run is to do. Raises dg.Failure, in one sentence, for a launch that is wrong."""
    try:
        return SyncRequest(
            page_id=_page_of(context),
            run_id=context.run.run_id,
            mode=config.mode,
            session=_session_of(config),
            max_conversations=config.max_conversations,
            max_seconds=config.max_seconds,
        )
    except UsageError as error:
        raise refused(str(error)) from None


def _page_of(context: dg.AssetExecutionContext) -> str:
    if not context.has_partition_key:
        raise UsageError(
            "This run has no page: launch it with one partition, which is the page's id. To sync"
            " several pages, launch a backfill; it starts one run for each."
        )
    keys = context.partition_key_range
    if keys.start != keys.end:
        raise UsageError(
            "This run has several pages: launch a backfill, which starts one run for each."
        )
    return str(keys.start)


def _session_of(config: SyncConfig) -> UUID | None:
    if config.session is None:
        return None
    try:
        return UUID(config.session)
    except ValueError:
        raise UsageError(
            "The config's session is no session id, such as"
            " 0b7e8f0c-3d6c-4c1e-9a55-0c7f9d2f6a31. Without it, the run fetches what is new."
        ) from None
