"""Tokens: which page a token belongs to, whether it is valid, and the proof that the app sends."""

import hashlib
import hmac
import time
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from graph_simulator.bodies import APP_ID
from graph_simulator.errors import ApiError
from graph_simulator.page import SimulatedPage
from graph_simulator.world import World

_PROOF_SECONDS = 300


class AccessControl:
    """Checks tokens. With an `app_secret` each call needs a proof made with it.

    `has_token_fault` is asked whether a fault has invalidated a page's token.
    """

    def __init__(
        self,
        world: World,
        app_secret: str | None,
        has_token_fault: Callable[[SimulatedPage], bool],
    ) -> None:
        self._world = world
        self._secret = app_secret
        self._has_token_fault = has_token_fault

    def identify(self, request: Request) -> tuple[str, SimulatedPage]:
        """The token of a call, and its page. Raises ApiError."""
        token = _token_in(request)
        if not token:
            raise ApiError(400, 104, "An access token is required to request this resource.")
        page = self._page_of(token)
        if page is None:
            raise ApiError(400, 190, "Invalid OAuth access token - Cannot parse access token")
        return token, page

    def check(self, request: Request, token: str, page: SimulatedPage) -> None:
        """Raise ApiError unless the token is valid and the proof is right."""
        if page.access == "expired" or _has_expired(page):
            raise ApiError(400, 190, "Error validating access token: Session has expired", 463)
        if page.access == "revoked":
            raise ApiError(
                403, 230, "(#230) Requires pages_messaging permission to manage the object"
            )
        if self._secret:
            self._check_proof(request, token, self._secret)

    def debug_token(self, request: Request) -> Response:
        """Whether the `input_token` is valid, and until when. The caller sends the app's token
        (`ID|SECRET`) or a page's, which must not have expired. Raises ApiError."""
        self._check_debug_caller(request)
        page = self._page_of(request.query_params.get("input_token", ""))
        if page is None:
            error = {"code": 190, "message": "The access token could not be decrypted"}
            return JSONResponse({"data": {"is_valid": False, "scopes": [], "error": error}})
        valid = (
            page.access == "valid" and not _has_expired(page) and not self._has_token_fault(page)
        )
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

    def _check_debug_caller(self, request: Request) -> None:
        caller = request.headers.get("Authorization", "").removeprefix("Bearer ")
        caller = caller or request.query_params.get("access_token", "")
        app, _, secret = caller.partition("|")
        if secret:
            if self._secret and (app, secret) != (APP_ID, self._secret):
                raise ApiError(400, 190, "Invalid OAuth access token signature")
            return
        page = self._page_of(caller)
        if page and (page.access == "expired" or _has_expired(page)):
            raise ApiError(400, 190, "Error validating access token: Session has expired", 463)

    def _page_of(self, token: str) -> SimulatedPage | None:
        return next((page for page in self._world.pages.values() if page.token == token), None)

    def _check_proof(self, request: Request, token: str, secret: str) -> None:
        query = request.query_params
        made = query.get("appsecret_time", "")
        text = f"{token}|{made}".encode()
        proof = hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()
        fresh = made.isdigit() and abs(time.time() - int(made)) < _PROOF_SECONDS
        if not fresh or not hmac.compare_digest(proof, query.get("appsecret_proof", "")):
            raise ApiError(400, 100, "Invalid appsecret_proof provided in the API argument")


def _has_expired(page: SimulatedPage) -> bool:
    return 0 < page.expires_at <= time.time()


def _token_in(request: Request) -> str | None:
    header = request.headers.get("Authorization", "")
    token = header.removeprefix("Bearer ") if header.startswith("Bearer ") else None
    return token or request.query_params.get("access_token")
