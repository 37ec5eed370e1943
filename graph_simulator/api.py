"""The Graph API over HTTP.

Each call passes through the same steps: identify the page by the token, record the call, check the
access, apply blocks and faults, build the response, send it.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from graph_simulator.access import AccessControl
from graph_simulator.admin_api import AdminApi
from graph_simulator.bodies import response_body
from graph_simulator.call import Call, parse_call
from graph_simulator.call_log import CallLog
from graph_simulator.errors import ApiError
from graph_simulator.faults.injector import FaultInjector
from graph_simulator.faults.limits import check_blocks
from graph_simulator.live.traffic import LiveTraffic
from graph_simulator.responses import SEND, ReplaceResponse, json_response
from graph_simulator.usage import usage_header
from graph_simulator.world import World

_USAGE_AFTER = 5  # calls of a page without usage headers


def create_app(
    world: World,
    *,
    latency: float = 0.0,
    app_secret: str | None = None,
    faults: Iterable[Mapping[str, Any]] = (),
    webhook_url: str | None = None,
    live_per_second: float = 0.0,
) -> Starlette:
    """The ASGI app that serves a world.

    Each call takes `latency` seconds. With an `app_secret`, calls need a proof made with it. The
    `faults` apply from the first call. Live traffic generates `live_per_second` events and
    delivers them to `webhook_url`, signed with the secret.

    Raises InvalidFault and InvalidLiveSettings.
    """
    log = CallLog()
    injector = FaultInjector(world, log)
    for fault in faults:
        injector.add(fault)
    traffic = LiveTraffic(world, app_secret, webhook_url, live_per_second)
    access = AccessControl(world, app_secret, injector.has_token_fault)
    api = _Api(world, log, injector, access, latency)
    return _App(
        routes=[
            AdminApi(world, log, injector, traffic).routes(),
            Route("/{version}/debug_token", api.debug_token),
            Route("/{version}/{object_id}", api.respond),
            Route("/{version}/{object_id}/{edge}", api.respond),
        ],
        exception_handlers={ApiError: _error_response},
        lifespan=traffic.lifespan,
    )


class _App(Starlette):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[SEND] = send
        await super().__call__(scope, receive, send)


class _Api:
    def __init__(
        self,
        world: World,
        log: CallLog,
        injector: FaultInjector,
        access: AccessControl,
        latency: float,
    ) -> None:
        self._world = world
        self._log = log
        self._injector = injector
        self._access = access
        self._latency = latency

    async def respond(self, request: Request) -> Response:
        at = time.monotonic()
        token, page = self._access.identify(request)
        line = f"{request.url.path}?{request.query_params.get('after', '')}"
        self._log.record(page.id, line, at)
        if self._latency:
            await asyncio.sleep(self._latency)
        self._access.check(request, token, page)
        call = parse_call(request, self._world, self._log, page, at)
        self._add_usage(call)
        try:
            check_blocks(call)
            await self._injector.apply(call)
            response = json_response(200, response_body(call), call.headers)
        except ApiError as error:
            response = json_response(error.status, error.body, call.headers)
        except ReplaceResponse as replaced:
            return replaced.response
        return call.transform(response) if call.transform else response

    async def debug_token(self, request: Request) -> Response:
        return self._access.debug_token(request)

    def _add_usage(self, call: Call) -> None:
        calls = self._log.by_page[call.page.id]
        if calls > _USAGE_AFTER:
            percent = min(99, calls // 500)
            call.headers |= usage_header("app", call.page.id, percent)
            call.headers |= usage_header("business", call.page.id, percent)


async def _error_response(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return json_response(error.status, error.body, {})
