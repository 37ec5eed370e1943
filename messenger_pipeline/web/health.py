"""/healthz and /readyz, the probes for load balancers and container platforms."""

import asyncio
import logging
from datetime import timedelta
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse

from messenger_pipeline.db import inbox, roles
from messenger_pipeline.db.group_commit import GroupCommit
from messenger_pipeline.db.pool import Database
from messenger_pipeline.errors import PipelineError, reason_of

_log = logging.getLogger(__name__)
_OVERDUE = timedelta(minutes=2)  # as for the alert inbox_lag
_LOOK_SECONDS = 2.0  # for the drain's state: load balancers wait a few seconds
_NOT_READY: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Deliveries can be committed. `status` is `ready`; or `degraded` if they are"
        " received but not applied, with the reasons in `problems`."
    },
    503: {"description": "The database cannot be reached."},
}


def add_health_routes(api: FastAPI, commit: GroupCommit, database: Database) -> None:
    @api.get("/healthz", summary="Whether the process is alive")
    async def healthz() -> dict[str, str]:
        return {"status": "alive"}

    @api.get("/readyz", summary="Whether deliveries can be committed", responses=_NOT_READY)
    async def readyz() -> JSONResponse:
        try:
            await commit.check()
        except PipelineError as error:
            return JSONResponse({"status": "not ready", "error": str(error)}, 503)
        problems = await _problems(database)
        if problems:
            # Still 200: receivers must go on taking deliveries.
            return JSONResponse({"status": "degraded", "problems": problems})
        return JSONResponse({"status": "ready"})


async def _problems(database: Database) -> list[str]:
    """Why deliveries are received but not applied. Without the errors: anybody may read it."""
    try:
        async with asyncio.timeout(_LOOK_SECONDS):
            return await asyncio.to_thread(_find_problems, database)
    except Exception as error:  # noqa: BLE001 - what counts is the commit
        # What is asked for is whether deliveries can be committed, and they can.
        _log.warning("the drain's state could not be read: %s", reason_of(error))
        return ["The state of the drain could not be read."]


def _find_problems(database: Database) -> list[str]:
    problems = [
        f"No delivery is applied by {one.name} since {one.since:%Y-%m-%d %H:%M %Z}."
        " `messenger-pipeline alerts` shows the reason."
        for one in inbox.list_failing_drains(database)
    ]
    if roles.find_blindness(database):
        problems.append(
            "Row level security hides rows: `messenger-pipeline status` names the table."
        )
    due = inbox.count_due(database, _OVERDUE)
    if due.deliveries and due.oldest:
        problems.append(
            f"Deliveries have been waiting to be applied since {due.oldest:%Y-%m-%d %H:%M %Z}."
        )
    return problems
