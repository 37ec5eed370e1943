"""The ASGI application of `serve`."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from messenger_pipeline.db.receiving import GroupCommit
from messenger_pipeline.errors import PipelineError
from messenger_pipeline.web.webhook import DESCRIPTION, Webhook

WEBHOOK = "/api/webhook"
Background = Callable[[], AbstractAsyncContextManager[None]]
"""What runs beside the application, from its start to its end."""


class App(FastAPI):
    """FastAPI, which deliveries pass by."""

    def __init__(self, webhook: Webhook, **arguments: Any) -> None:
        super().__init__(title="messenger-pipeline", redoc_url=None, **arguments)
        self._webhook = webhook

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == WEBHOOK:
            await self._webhook(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        described = super().openapi()
        described["paths"].setdefault(WEBHOOK, DESCRIPTION)
        return described


def create_app(
    commit: GroupCommit, app_secrets: list[str], verify_token: str, background: Background
) -> App:
    """The receiver's routes. `background` runs while they are served."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with background(), commit:
            yield

    app = App(Webhook(commit, app_secrets, verify_token), lifespan=lifespan)

    @app.get("/healthz", summary="Whether the process is alive")
    async def healthz() -> dict[str, str]:
        return {"status": "alive"}

    unready: dict[int | str, dict[str, Any]] = {
        503: {"description": "The database cannot be reached."}
    }

    @app.get("/readyz", summary="Whether deliveries can be kept", responses=unready)
    async def readyz() -> JSONResponse:
        try:
            await commit.check()
        except PipelineError as error:
            return JSONResponse({"status": "not ready", "error": str(error)}, 503)
        return JSONResponse({"status": "ready"})

    return app
