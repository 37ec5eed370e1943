"""The ASGI application of `serve`."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Security
from fastapi.security import APIKeyCookie, APIKeyHeader, HTTPBearer
from fastapi_offline import FastAPIOffline
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from messenger_pipeline.db.group_commit import GroupCommit
from messenger_pipeline.db.metrics import SampleReader
from messenger_pipeline.db.pool import Database
from messenger_pipeline.web.auth import COOKIE, Authenticator
from messenger_pipeline.web.control import control_routes
from messenger_pipeline.web.errors import error_responses, handle_errors
from messenger_pipeline.web.events import event_routes
from messenger_pipeline.web.guard import Guard
from messenger_pipeline.web.health import add_health_routes
from messenger_pipeline.web.login import login_routes
from messenger_pipeline.web.metrics import METRICS_ROUTE, MetricsEndpoint
from messenger_pipeline.web.pages import page_routes
from messenger_pipeline.web.receiver import Webhook
from messenger_pipeline.web.receiver_metrics import ReceiverMetrics
from messenger_pipeline.web.session_feed import SessionFeed
from messenger_pipeline.web.static_files import add_static_files
from messenger_pipeline.web.streams import describe_page_id, stream_routes
from messenger_pipeline.web.waits import Waits
from messenger_pipeline.web.webhook_openapi import WEBHOOK_OPENAPI

WEBHOOK = "/api/webhook"
_CORS: dict[str, Any] = {
    "allow_methods": ["GET", "POST"],
    "allow_headers": [
        "Authorization",
        "Cache-Control",
        "Last-Event-ID",
        "Prefer",
        "X-API-Key",
        "X-Requested-With",
    ],
    "expose_headers": ["Location", "Preference-Applied", "Retry-After"],
    "allow_credentials": True,
}

Background = Callable[[], AbstractAsyncContextManager[None]]
"""What runs alongside the application, from its start to its end."""


@dataclass(frozen=True)
class Control:
    """What the control routes and the status page need. Without a key they are closed.

    `allowed_origins`: other origins whose pages may use the control API with the session cookie.
    `wait_seconds`: how long a request for a sync waits that does not say; 0: not at all.
    `waiters`: how many requests wait at most.
    """

    database: Database
    listen_url: str
    api_key: str | None
    allowed_origins: tuple[str, ...] = ()
    wait_seconds: int = 0
    waiters: int = 1000


class App:
    """Routes deliveries to the webhook, and everything else through the guard to FastAPI."""

    def __init__(self, webhook: Webhook, api: FastAPI, auth: Authenticator) -> None:
        self._webhook = webhook
        self._api = api
        self.waits: Waits = api.state.waits
        self._guarded: ASGIApp = Guard(api, auth)
        if auth.allowed_origins:
            # Outside the guard: a preflight has no key, and the page may read why it is refused.
            self._guarded = CORSMiddleware(
                self._guarded, allow_origins=auth.allowed_origins, **_CORS
            )
        self.openapi()["paths"][WEBHOOK] = WEBHOOK_OPENAPI
        describe_page_id(self.openapi())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == WEBHOOK:
            await self._webhook(scope, receive, send)
        else:
            await self._guarded(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI description of all routes; FastAPI generates it once."""
        return self._api.openapi()


def create_app(
    commit: GroupCommit,
    app_secrets: list[str],
    verify_token: str,
    background: Background,
    control: Control,
) -> App:
    """All routes. `background` runs while they are served."""
    auth = Authenticator(control.api_key, control.allowed_origins)
    feed = SessionFeed(control.database, control.listen_url)
    metrics = ReceiverMetrics()
    commit.on_commit.append(metrics.commit_succeeded)
    commit.on_failure.append(metrics.commit_failed)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with background(), commit, feed:
            yield

    api = FastAPIOffline(
        title="messenger-pipeline", redoc_url=None, static_url="/docs-static", lifespan=lifespan
    )
    api.state.database, api.state.auth, api.state.feed = control.database, auth, feed
    api.state.waits = Waits(feed, control.waiters, control.wait_seconds)
    handle_errors(api)
    add_health_routes(api, commit, control.database)
    endpoint = MetricsEndpoint(metrics, SampleReader(commit.url, commit.schema))
    api.add_api_route("/metrics", endpoint.get, **METRICS_ROUTE)
    _add_control_routes(api)
    return App(Webhook(commit, metrics, app_secrets, verify_token), api, auth)


def _add_control_routes(api: FastAPI) -> None:
    # The guard checks the key; this describes it.
    security = [
        Security(APIKeyHeader(name="X-API-Key", auto_error=False)),
        Security(HTTPBearer(auto_error=False)),
        Security(APIKeyCookie(name=COOKIE, auto_error=False)),
    ]
    errors = error_responses(
        _401="The API key is missing or wrong, or MESSENGER_API_KEY is not set.",
        _403="The request has the session cookie, but comes from another site.",
        _503="The database cannot be reached; try again.",
    )
    for routes in (control_routes, stream_routes, event_routes, page_routes):
        api.include_router(routes, dependencies=security, responses=errors)
    api.include_router(login_routes)
    add_static_files(api)
