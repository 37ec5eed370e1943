"""The ASGI application of `serve`."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from fastapi_offline import FastAPIOffline
from starlette.types import Receive, Scope, Send

from messenger_pipeline.db.receiving import GroupCommit
from messenger_pipeline.errors import PipelineError
from messenger_pipeline.web.webhook import DESCRIPTION, Webhook

WEBHOOK = "/api/webhook"
Background = Callable[[], AbstractAsyncContextManager[None]]
"""What runs beside the application, from its start to its end."""


class App:
    """FastAPI, which deliveries pass by."""

    def __init__(self, webhook: Webhook, api: FastAPI) -> None:
        self._webhook = webhook
        self._api = api
        self.openapi()["paths"][WEBHOOK] = DESCRIPTION

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == WEBHOOK:
            await self._webhook(scope, receive, send)
        else:
            await self._api(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """The description of all routes; made once, and kept."""
        return self._api.openapi()


def create_app(
    commit: GroupCommit, app_secrets: list[str], verify_token: str, background: Background
) -> App:
    """The receiver's routes. `background` runs while they are served."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with background(), commit:
            yield

    api = FastAPIOffline(
        title="messenger-pipeline", redoc_url=None, static_url="/docs-static", lifespan=lifespan
    )

    @api.get("/healthz", summary="Whether the process is alive")
    async def healthz() -> dict[str, str]:
        return {"status": "alive"}

    unready: dict[int | str, dict[str, Any]] = {
        503: {"description": "The database cannot be reached."}
    }

    @api.get("/readyz", summary="Whether deliveries can be kept", responses=unready)
    async def readyz() -> JSONResponse:
        try:
            await commit.check()
        except PipelineError as error:
            return JSONResponse({"status": "not ready", "error": str(error)}, 503)
        return JSONResponse({"status": "ready"})

    return App(Webhook(commit, app_secrets, verify_token), api)
