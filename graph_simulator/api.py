"""The Graph API over HTTP: who calls, what is answered, how it is refused.

A call goes one way: whose token, which calls are blocked, which faults were ordered for it, the
answer, and how that goes out.
"""

import asyncio
import hashlib
import hmac
import time
from collections.abc import Iterable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from graph_simulator.admin_api import Backstage
from graph_simulator.answers import APP_ID, answer
from graph_simulator.call import Call, parse_call
from graph_simulator.faults import Faults
from graph_simulator.ledger import Ledger
from graph_simulator.live import Live
from graph_simulator.page import SimulatedPage
from graph_simulator.quota import check_blocks
from graph_simulator.reply import SEND, Instead, json_reply
from graph_simulator.usage import usage_header
from graph_simulator.wire import Refused
from graph_simulator.world import World

_USAGE_AFTER = 5  # calls of a page before usage headers come
_PROOF_SECONDS = 300


def create_app(
    world: World,
    *,
    latency: float = 0.0,
    app_secret: str | None = None,
    faults: Iterable[Mapping[str, Any]] = (),
    webhook_url: str | None = None,
    live: float = 0.0,
) -> Starlette:
    """The API of a world. `latency` is seconds per call; with `app_secret` proofs are required;
    `faults` are ordered from the beginning. So many things a second happen `live`, and are told
    to `webhook_url`, signed with the secret. Raises UnknownFault and WrongOrder."""
    ledger = Ledger()
    ordered = Faults(world, ledger)
    for fault in faults:
        ordered.order(fault)
    api = _Api(world, ledger, ordered, latency, app_secret)
    traffic = Live(world, app_secret, webhook_url, live)
    return _App(
        routes=[
            Backstage(world, ledger, ordered, traffic).routes(),
            Route("/{version}/debug_token", api.answer_debug_token),
            Route("/{version}/{object_id}", api.answer_call),
            Route("/{version}/{object_id}/{edge}", api.answer_call),
        ],
        exception_handlers={Refused: _refuse},
        lifespan=traffic.lifespan,
    )


class _App(Starlette):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[SEND] = send
        await super().__call__(scope, receive, send)


class _Api:
    def __init__(
        self, world: World, ledger: Ledger, faults: Faults, latency: float, app_secret: str | None
    ) -> None:
        self._world = world
        self._ledger = ledger
        self._faults = faults
        self._latency = latency
        self._secret = app_secret

    async def answer_call(self, request: Request) -> Response:
        at = time.monotonic()
        token, page = self._caller(request)
        self._note(request, page, at)
        if self._latency:
            await asyncio.sleep(self._latency)
        self._check_access(request, token, page)
        call = parse_call(request, self._world, self._ledger, page, at)
        self._tell_usage(call)
        try:
            check_blocks(call)
            await self._faults.meet(call)
            response = json_reply(200, answer(call), call.headers)
        except Refused as refusal:
            response = json_reply(refusal.status, refusal.body, call.headers)
        except Instead as instead:
            return instead.response
        return call.spoil(response) if call.spoil else response

    async def answer_debug_token(self, request: Request) -> Response:
        """Whether a token is good and until when. Anybody may ask who gives a token, the app's
        (`ID|SECRET`) as well as a page's, as long as it is not one that expired."""
        self._check_asker(request)
        page = self._page_of(request.query_params.get("input_token", ""))
        if page is None:
            error = {"code": 190, "message": "The access token could not be decrypted"}
            return JSONResponse({"data": {"is_valid": False, "scopes": [], "error": error}})
        valid = page.access == "valid" and not self._expired(page) and not self._faults.killed(page)
        data = {
            "app_id": APP_ID,
            "type": "PAGE",
            "is_valid": valid,
            "expires_at": page.expires_at,
            "data_access_expires_at": page.data_access_expires_at,
            "profile_id": page.id,
            "scopes": ["pages_messaging", "pages_show_list"],
        }
        if not valid:
            message = "Error validating access token: Session has expired"
            data["error"] = {"code": 190, "message": message, "subcode": 463}
        return JSONResponse({"data": data})

    def _check_asker(self, request: Request) -> None:
        asker = request.headers.get("Authorization", "").removeprefix("Bearer ")
        asker = asker or request.query_params.get("access_token", "")
        app, _, secret = asker.partition("|")
        if secret:
            if self._secret and (app, secret) != (APP_ID, self._secret):
                raise Refused(400, 190, "Invalid OAuth access token signature")
            return
        page = self._page_of(asker)
        if page and (page.access == "expired" or self._expired(page)):
            raise Refused(400, 190, "Error validating access token: Session has expired", 463)

    def _expired(self, page: SimulatedPage) -> bool:
        return 0 < page.expires_at <= time.time()

    def _page_of(self, token: str) -> SimulatedPage | None:
        return next((page for page in self._world.pages.values() if page.token == token), None)

    def _caller(self, request: Request) -> tuple[str, SimulatedPage]:
        """The token that the call has, and the page whose it is."""
        header = request.headers.get("Authorization", "")
        token = header.removeprefix("Bearer ") if header.startswith("Bearer ") else None
        token = token or request.query_params.get("access_token")
        if not token:
            raise Refused(400, 104, "An access token is required to request this resource.")
        page = self._page_of(token)
        if page is None:
            raise Refused(400, 190, "Invalid OAuth access token - Cannot parse access token")
        return token, page

    def _note(self, request: Request, page: SimulatedPage, at: float) -> None:
        line = f"{request.url.path}?{request.query_params.get('after', '')}"
        self._ledger.note(page.id, line, at)

    def _check_access(self, request: Request, token: str, page: SimulatedPage) -> None:
        if page.access == "expired" or self._expired(page):
            raise Refused(400, 190, "Error validating access token: Session has expired", 463)
        if page.access == "revoked":
            raise Refused(
                403, 230, "(#230) Requires pages_messaging permission to manage the object"
            )
        if self._secret:
            self._check_proof(request, token)

    def _check_proof(self, request: Request, token: str) -> None:
        query = request.query_params
        made = query.get("appsecret_time", "")
        text = f"{token}|{made}".encode()
        proof = hmac.new((self._secret or "").encode(), text, hashlib.sha256).hexdigest()
        fresh = made.isdigit() and abs(time.time() - int(made)) < _PROOF_SECONDS
        if not fresh or not hmac.compare_digest(proof, query.get("appsecret_proof", "")):
            raise Refused(400, 100, "Invalid appsecret_proof provided in the API argument")

    def _tell_usage(self, call: Call) -> None:
        calls = self._ledger.by_page[call.page.id]
        if calls > _USAGE_AFTER:
            percent = min(99, calls // 500)
            call.headers |= usage_header("app", call.page.id, percent)
            call.headers |= usage_header("business", call.page.id, percent)


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return json_reply(error.status, error.body, {})
