"""The ASGI application of `serve`."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Security
from fastapi.responses import JSONResponse
from fastapi.security import APIKeyCookie, APIKeyHeader, HTTPBearer
from fastapi_offline import FastAPIOffline
from starlette.types import Receive, Scope, Send

from messenger_pipeline.db.group_commit import GroupCommit
from messenger_pipeline.db.pool import Database
from messenger_pipeline.errors import PipelineError
from messenger_pipeline.web.access import COOKIE, Access, Guard
from messenger_pipeline.web.control import control_routes
from messenger_pipeline.web.events import event_routes
from messenger_pipeline.web.failures import described, handle_failures
from messenger_pipeline.web.login import login_routes
from messenger_pipeline.web.metrics import METRICS, Metrics
from messenger_pipeline.web.pages import page_routes
from messenger_pipeline.web.receiver import DESCRIPTION, Webhook
from messenger_pipeline.web.static_files import static_routes
from messenger_pipeline.web.watching import Watching

WEBHOOK = "/api/webhook"
Background = Callable[[], AbstractAsyncContextManager[None]]
"""What runs beside the application, from its start to its end."""


@dataclass(frozen=True)
class Control:
    """What the control routes and the status page work with. Without a key they are nobody's."""

    database: Database
    listen_url: str
    api_key: str | None


class App:
    """FastAPI, which deliveries pass by; before it the guard."""

    def __init__(self, webhook: Webhook, api: FastAPI, access: Access) -> None:
        self._webhook = webhook
        self._api = api
        self._guarded = Guard(api, access)
        self.openapi()["paths"][WEBHOOK] = DESCRIPTION

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == WEBHOOK:
            await self._webhook(scope, receive, send)
        else:
            await self._guarded(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """The description of all routes; made once, and kept."""
        return self._api.openapi()


def create_app(
    commit: GroupCommit,
    app_secrets: list[str],
    verify_token: str,
    background: Background,
    control: Control,
) -> App:
    """All routes. `background` runs while they are served."""
    access, watching = Access(control.api_key), Watching(control.database, control.listen_url)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with background(), commit, watching:
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

    webhook = Webhook(commit, app_secrets, verify_token)
    api.add_api_route("/metrics", Metrics(webhook.tally, commit).answer, **METRICS)

    _add_control(api, control.database, access, watching)

    return App(webhook, api, access)


def _add_control(api: FastAPI, database: Database, access: Access, watching: Watching) -> None:
    handle_failures(api)
    # The guard looks at them; here they are described.
    known_by = [
        Security(APIKeyHeader(name="X-API-Key", auto_error=False)),
        Security(HTTPBearer(auto_error=False)),
        Security(APIKeyCookie(name=COOKIE, auto_error=False)),
    ]
    refusals = described(
        _401="The API key is missing or wrong, or none is set.",
        _403="With the cookie, but from another site.",
        _503="The database cannot be reached; ask again.",
    )
    for routes in (control_routes(database), event_routes(watching), page_routes(database)):
        api.include_router(routes, dependencies=known_by, responses=refusals)
    api.include_router(login_routes(access))
    api.include_router(static_routes())
