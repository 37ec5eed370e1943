"""The run requests of schedules and sensors."""

import dagster as dg

from messenger_pipeline.db.sessions import Continuation
from messenger_pipeline.db.sync_requests import ClaimedRequest
from messenger_pipeline.defs.jobs import sync_config
from messenger_pipeline.defs.tags import CAUSE, MODE, SESSION


def incremental_request(page_id: str, tick: str) -> dg.RunRequest:
    """A run that fetches what is new on a page; `tick` is the schedule's time."""
    return dg.RunRequest(
        run_key=f"{page_id}:{tick}",
        partition_key=page_id,
        run_config=sync_config(mode="incremental"),
        tags={MODE: "incremental", CAUSE: "schedule"},
    )


def sweep_request(page_id: str, tick: str) -> dg.RunRequest:
    """A run that walks all threads of a page, after all other queued runs."""
    return dg.RunRequest(
        run_key=f"full:{page_id}:{tick}",
        partition_key=page_id,
        run_config=sync_config(mode="sweep"),
        tags={MODE: "sweep", CAUSE: "schedule", "dagster/priority": "-2"},
    )


def continuation_request(continuation: Continuation) -> dg.RunRequest:
    """A run that resumes an open session, after the queued runs that fetch what is new."""
    session = str(continuation.sync_session_id)
    return dg.RunRequest(
        run_key=f"{session}:{continuation.attempt}",
        partition_key=continuation.page_id,
        run_config=sync_config(session=session),
        tags={
            MODE: "continuation",
            CAUSE: "continuation",
            SESSION: session,
            "dagster/priority": "-1",
        },
    )


def requested_run(request: ClaimedRequest) -> dg.RunRequest:
    """A run for a sync that a user requested, before all other queued runs."""
    session = str(request.sync_session_id)
    return dg.RunRequest(
        run_key=f"request:{request.id}:{request.attempt}",
        partition_key=request.page_id,
        run_config=sync_config(session=session, max_conversations=request.max_conversations),
        tags={MODE: "request", CAUSE: "request", SESSION: session, "dagster/priority": "5"},
    )
