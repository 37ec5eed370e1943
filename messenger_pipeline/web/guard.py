"""ASGI middleware before the control API: authentication, the limit of bodies, their type."""

from starlette.datastructures import Headers
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from messenger_pipeline.web.auth import Authenticator
from messenger_pipeline.web.errors import MAX_BODY_BYTES, TOO_LARGE, error_response
from messenger_pipeline.web.streams import SYNC_STREAM


class Guard:
    """Refuses requests to control routes without the API key, and bodies that are too large."""

    def __init__(self, app: ASGIApp, auth: Authenticator) -> None:
        # It ends bodies of unstated length at the limit, inside the app, which makes the error
        # response. Bodies of a stated length are refused here: to those it responds in plain text.
        self._app = RequestBodyLimitMiddleware(app, MAX_BODY_BYTES)
        self._auth = auth

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refuse(scope)
        if refusal is None:
            await self._app(_as_json(scope), receive, send)
            return
        status, error = refusal
        headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
        await error_response(status, error, headers)(scope, receive, send)

    def _refuse(self, scope: Scope) -> tuple[int, str] | None:
        """Status and text of the error; None for a request that may pass."""
        headers = Headers(scope=scope)
        if is_control(scope["path"]):
            # An EventSource can send nothing but a GET, and this one requests a sync.
            changes = scope["method"] not in ("GET", "HEAD") or scope["path"] == SYNC_STREAM
            refusal = self._auth.refuse(changes=changes, headers=headers)
            if refusal is not None:
                return refusal
        length = headers.get("content-length", "")
        if length.isdigit() and int(length[:20]) > MAX_BODY_BYTES:
            return 413, TOO_LARGE
        return None


def is_control(path: str) -> bool:
    """Whether a path needs the API key: all of /api/ but Meta's webhook, which is signed."""
    return path.startswith("/api/") and not path.startswith("/api/webhook")


def _as_json(scope: Scope) -> Scope:
    """Treat every body as JSON: clients of the replaced application send no content type.

    That is no way in for other sites' forms: the key and the origin are checked anyway.
    """
    if scope["method"] != "POST":
        return scope
    headers = [header for header in scope["headers"] if header[0] != b"content-type"]
    return {**scope, "headers": [*headers, (b"content-type", b"application/json")]}
