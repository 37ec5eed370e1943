"""Runs started from the command line, and what a starting stack finds of the one before it."""

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
from messenger_pipeline.defs.jobs import CAUSE, MODE, PARTITION, config_of
from messenger_pipeline.defs.sensors import UNFINISHED
from messenger_pipeline.errors import PipelineError
from messenger_pipeline.sync.run import Mode

# Dagster notes here which server a run was launched on; a run of the command line has none.
_LAUNCHED = ".dagster/grpc_info"


@dataclass(frozen=True)
class PageRun:
    """A run of one page, as Dagster's instance knows it."""

    page_id: str
    run_id: str
    status: str
    failure: str | None


def sync_here(
    page_id: str,
    *,
    mode: Mode,
    max_conversations: int | None,
    max_seconds: float | None,
    run_id: str,
) -> dict[str, Any]:
    """Run the page's sync in this process, as a Dagster run that the UI shows.

    Returns the materialization's metadata. Raises what ended the run.
    """
    job = defs.resolve_job_def("sync_page")
    config = config_of(mode=mode, max_conversations=max_conversations, max_seconds=max_seconds)
    # The command speaks for itself; what the run logs stands in its record.
    loggers = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    with instance_of_home() as instance:
        instance.add_dynamic_partitions("facebook_pages", [page_id])
        try:
            job.execute_in_process(
                run_config={**config, **loggers},
                instance=instance,
                partition_key=page_id,
                run_id=run_id,
                tags={
                    MODE: mode,
                    CAUSE: "command line",
                    # Whoever started it ends it; monitoring would fail it while it works.
                    "dagster/max_runtime": "0",
                },
            )
        except dg.Failure as failure:
            if isinstance(failure.__cause__, PipelineError):
                raise failure.__cause__ from None
            raise
        except dg.DagsterExecutionInterruptedError:
            pass  # after it materialized what it has
        return _figures_of(instance, run_id)


def submit_syncs(port: int, page_ids: list[str]) -> None:
    """Ask the webserver for a run of each page, as its own Launchpad does."""
    client = DagsterGraphQLClient("localhost", port_number=port)
    for page_id in page_ids:
        client.submit_job_execution(
            "sync_page", run_config={"loggers": CONSOLE}, tags={PARTITION: page_id}
        )


def list_page_runs(since: datetime) -> list[PageRun]:
    """The runs of pages that were asked for since a time, and how they stand."""
    with instance_of_home() as instance:
        runs = [
            run
            for run in instance.get_runs(dg.RunsFilter(created_after=since))
            if PARTITION in run.tags
        ]
        return [
            PageRun(run.tags[PARTITION], run.run_id, run.status.value, _failure(instance, run))
            for run in runs
        ]


def unfinished_pages() -> set[str]:
    """The pages that have a run queued or at work."""
    with instance_of_home() as instance:
        runs = instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
        return {run.tags[PARTITION] for run in runs if PARTITION in run.tags}


def list_partitions() -> set[str]:
    """The pages that Dagster has partitions for."""
    with instance_of_home() as instance:
        return set(instance.get_dynamic_partitions("facebook_pages"))


def fail_runs_of_dead_stack(database: Database) -> int:
    """Fail the runs that a stack which is gone left unfinished, and free what they held.

    For the start of a stack that knows that no other one runs here: until they are failed they
    keep their pages from being synced.
    """
    with instance_of_home() as instance:
        runs = instance.get_runs(
            dg.RunsFilter(statuses=[s for s in UNFINISHED if s != dg.DagsterRunStatus.QUEUED])
        )
        dead = [run for run in runs if _LAUNCHED in run.tags]
        for run in dead:
            instance.report_run_failed(run, "The processes that it was launched by are gone.")
            page_id = run.tags.get(PARTITION)
            if page_id:
                database.call("release_sync_lock", page_id=page_id, locked_by=run.run_id)
        return len(dead)


@contextmanager
def instance_of_home() -> Iterator[dg.DagsterInstance]:
    """The instance of DAGSTER_HOME."""
    with dg.DagsterInstance.get() as instance:
        yield instance


def _figures_of(instance: dg.DagsterInstance, run_id: str) -> dict[str, Any]:
    found = instance.get_records_for_run(
        run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION
    ).records
    for record in found:
        materialization = record.asset_materialization
        if materialization is not None:
            return {name: value.value for name, value in materialization.metadata.items()}
    raise PipelineError(f"Run {run_id} ended without a result; its record in Dagster tells more.")


def _failure(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str | None:
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
