"""/healthz and /readyz, the probes for load balancers and container platforms."""

from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse

from messenger_pipeline.db.group_commit import GroupCommit
from messenger_pipeline.errors import PipelineError

_NOT_READY: dict[int | str, dict[str, Any]] = {
    503: {"description": "The database cannot be reached."}
}


def add_health_routes(api: FastAPI, commit: GroupCommit) -> None:
    @api.get("/healthz", summary="Whether the process is alive")
    async def healthz() -> dict[str, str]:
        return {"status": "alive"}

    @api.get("/readyz", summary="Whether deliveries can be committed", responses=_NOT_READY)
    async def readyz() -> JSONResponse:
        try:
            await commit.check()
        except PipelineError as error:
            return JSONResponse({"status": "not ready", "error": str(error)}, 503)
        return JSONResponse({"status": "ready"})
