"""Starts and lists runs for the command line and for the local stack."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import dagster as dg
from dagster_graphql import DagsterGraphQLClient

from messenger_pipeline.db.pool import Database
from messenger_pipeline.definitions import defs
from messenger_pipeline.defs.console import CONSOLE
from messenger_pipeline.defs.jobs import sync_config
from messenger_pipeline.defs.runs import UNFINISHED
from messenger_pipeline.defs.tags import CAUSE, MODE, PARTITION
from messenger_pipeline.errors import PipelineError
from messenger_pipeline.sync.run import Mode

# Dagster's tag for the server that a run was launched on; a run of the command line has none.
_LAUNCHED = ".dagster/grpc_info"


@dataclass(frozen=True)
class PageRun:
    """A run of one page; `failure` is its error if it failed."""

    page_id: str
    run_id: str
    status: str
    failure: str | None


def run_sync(
    page_id: str,
    *,
    mode: Mode,
    max_conversations: int | None,
    max_seconds: float | None,
    run_id: str,
) -> dict[str, Any]:
    """Sync a page in this process, as a Dagster run that the UI shows. Returns the metadata of the
    materialization. Raises the PipelineError that failed the run."""
    with open_instance() as instance:
        instance.add_dynamic_partitions("facebook_pages", [page_id])
        try:
            _execute(
                instance,
                page_id,
                run_id,
                mode,
                sync_config(
                    mode=mode, max_conversations=max_conversations, max_seconds=max_seconds
                ),
            )
        except dg.Failure as failure:
            if isinstance(failure.__cause__, PipelineError):
                raise failure.__cause__ from None
            raise
        except dg.DagsterExecutionInterruptedError:
            pass  # raised after the materialization of what was loaded
        return _metadata_of(instance, run_id)


def submit_syncs(port: int, page_ids: list[str]) -> None:
    """Launch a run for each page through the webserver, as its Launchpad does."""
    client = DagsterGraphQLClient("localhost", port_number=port)
    for page_id in page_ids:
        client.submit_job_execution(
            "sync_page", run_config={"loggers": CONSOLE}, tags={PARTITION: page_id}
        )


def list_page_runs(since: datetime) -> list[PageRun]:
    """The runs of pages that were created since a time."""
    with open_instance() as instance:
        runs = instance.get_runs(dg.RunsFilter(created_after=since))
        return [
            PageRun(run.tags[PARTITION], run.run_id, run.status.value, _failure_of(instance, run))
            for run in runs
            if PARTITION in run.tags
        ]


def unfinished_pages() -> set[str]:
    """The pages that have a queued or started run."""
    with open_instance() as instance:
        runs = instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
        return {run.tags[PARTITION] for run in runs if PARTITION in run.tags}


def list_partitions() -> set[str]:
    """The pages that have a partition."""
    with open_instance() as instance:
        return set(instance.get_dynamic_partitions("facebook_pages"))


def fail_orphaned_runs(database: Database) -> int:
    """Fail the started runs of an earlier stack and release their leases. Returns how many.

    Until they are failed they keep their pages from being synced. Call it only at the start of a
    stack, when no other one runs on this machine.
    """
    with open_instance() as instance:
        started = [s for s in UNFINISHED if s != dg.DagsterRunStatus.QUEUED]
        orphaned = [
            run
            for run in instance.get_runs(dg.RunsFilter(statuses=started))
            if _LAUNCHED in run.tags
        ]
        for run in orphaned:
            instance.report_run_failed(run, "The processes of the run are gone.")
            page_id = run.tags.get(PARTITION)
            if page_id:
                database.call("release_sync_lock", page_id=page_id, locked_by=run.run_id)
        return len(orphaned)


@contextmanager
def open_instance() -> Iterator[dg.DagsterInstance]:
    """The instance of DAGSTER_HOME."""
    with dg.DagsterInstance.get() as instance:
        yield instance


def _execute(
    instance: dg.DagsterInstance, page_id: str, run_id: str, mode: Mode, config: dict[str, object]
) -> None:
    # The command prints its own output; the run's logs are in its record.
    loggers = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    defs.resolve_job_def("sync_page").execute_in_process(
        run_config={**config, **loggers},
        instance=instance,
        partition_key=page_id,
        run_id=run_id,
        tags={
            MODE: mode,
            CAUSE: "command_line",
            # Its user ends it; run monitoring would fail it while it works.
            "dagster/max_runtime": "0",
        },
    )


def _metadata_of(instance: dg.DagsterInstance, run_id: str) -> dict[str, Any]:
    records = instance.get_records_for_run(
        run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION
    ).records
    for record in records:
        materialization = record.asset_materialization
        if materialization is not None:
            return {name: value.value for name, value in materialization.metadata.items()}
    raise PipelineError(f"Run {run_id} ended without a result; its record in Dagster has details.")


def _failure_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str | None:
    if run.status != dg.DagsterRunStatus.FAILURE:
        return None
    records = instance.get_records_for_run(
        run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE
    ).records
    for record in records:
        event = record.event_log_entry.dagster_event
        if event and event.step_failure_data.user_failure_data:
            return event.step_failure_data.user_failure_data.description
    return "see its record in the UI"
