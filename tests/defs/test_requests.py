"""Which runs a requested sync waits for, and which it overtakes."""

import dagster as dg
import pytest

# Dagster does not export it; its version is pinned.
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)

from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.sync_requests import request_sync
from messenger_pipeline.definitions import defs
from messenger_pipeline.defs.sensors import requested_syncs
from messenger_pipeline.defs.tags import CAUSE, MODE, PARTITION
from tests.conftest import Simulated
from tests.defs.test_definitions import tick_sensor

QUEUED_FROM = RemoteJobOrigin(
    RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("here"), "defs"), "sync_page"
)


@pytest.mark.parametrize(
    ("status", "cause", "waits"),
    [
        (dg.DagsterRunStatus.QUEUED, "schedule", False),
        (dg.DagsterRunStatus.QUEUED, "continuation", False),
        (dg.DagsterRunStatus.QUEUED, "request", True),
        (dg.DagsterRunStatus.STARTING, "schedule", True),
        (dg.DagsterRunStatus.STARTED, "schedule", True),
        (dg.DagsterRunStatus.CANCELING, "continuation", True),
    ],
)
def test_a_request_waits_for_started_runs_and_overtakes_queued_ones(
    instance: dg.DagsterInstance,
    registered: Simulated,
    database: Database,
    status: dg.DagsterRunStatus,
    cause: str,
    waits: bool,
) -> None:
    page_id = registered.page.id
    instance.create_run_for_job(
        defs.resolve_job_def("sync_page"),
        status=status,
        remote_job_origin=QUEUED_FROM,
        tags={PARTITION: page_id, MODE: "incremental", CAUSE: cause},
    )
    request_sync(
        database, page_id, mode="auto", session=None, max_conversations=None, requested_by="test"
    )
    tick = tick_sensor(requested_syncs, instance)
    assert bool(tick.run_requests) == (not waits)
