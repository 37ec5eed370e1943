"""How complete a sync was: the check of its partition, and the last line of its run."""

import logging
import warnings

import dagster as dg

from messenger_pipeline.defs.partitions import facebook_pages
from messenger_pipeline.defs.sync_metadata import summary_of
from messenger_pipeline.sync.run import SyncResult

with warnings.catch_warnings():
    # Dagster calls partitioned checks a preview; its version is pinned.
    warnings.simplefilter("ignore", dg.PreviewWarning)
    SYNC_COMPLETE = dg.AssetCheckSpec(
        "sync_complete",
        asset="messenger_conversations",
        partitions_def=facebook_pages,
        description=(
            "The page is read completely, as of its last run. WARN if the sync is partial or a full"
            " sync is still open: the rest follows with a continuation, or when you start a sync if"
            " a person cancelled the run. WARN if the sync ended with a warning, or set aside what"
            " it could not read. ERROR if it is truncated: Meta's list cannot be read to its end."
        ),
    )


_OPEN_FULL = {
    "parked": (
        "What is new was read, but the full sync of the page is parked: a person cancelled it."
        " Start a sync of the page to go on with it."
    ),
    "continued": "What is new was read. The full sync of the page is not complete yet.",
}


def check_of(result: SyncResult, open_full: str | None) -> dg.AssetCheckResult:
    """The check's result for the page of a run. `open_full`: how its open full sync goes on."""
    problem = _problem_of(result) or (open_full and _OPEN_FULL[open_full])
    return dg.AssetCheckResult(
        check_name=SYNC_COMPLETE.name,
        asset_key=SYNC_COMPLETE.asset_key,
        passed=not problem,
        severity=(
            dg.AssetCheckSeverity.ERROR
            if result.outcome == "truncated"
            else dg.AssetCheckSeverity.WARN
        ),
        description=problem or "Everything was read.",
        metadata={"outcome": result.outcome, "sync_session_id": result.sync_session_id},
    )


def log_outcome(log: logging.Logger, result: SyncResult) -> None:
    """Log a run's figures, and a warning if it did not read everything."""
    if result.did_nothing:
        log.warning(
            f"Nothing was done: sync session {result.sync_session_id} had already ended"
            f" ({result.outcome}). Without a session, a run fetches what is new."
        )
        return
    log.info(summary_of(result))
    if problem := _problem_of(result):
        log.warning(problem)


def _problem_of(result: SyncResult) -> str | None:
    if result.parked:
        return (
            "The sync is partial: a person cancelled its run. No continuation follows. Start a sync"
            " of the page to go on."
        )
    if result.has_more:
        return f"The sync is partial ({result.stopped}). A continuation follows."
    if result.outcome == "truncated":
        return f"The sync is truncated: {result.warning}"
    if result.set_aside:
        gaps = "1 gap" if result.set_aside == 1 else f"{result.set_aside:,} gaps"
        return (
            f"{gaps} could not be read and will be tried again. See `messenger-pipeline gaps list`."
            f" {result.warning or ''}".rstrip()
        )
    return result.warning
