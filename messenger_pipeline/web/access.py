"""Who may use the control routes: those who know the API key, by header or by cookie."""

import hashlib
import hmac
import logging
import time
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from messenger_pipeline.web.failures import failure

_log = logging.getLogger(__name__)

COOKIE = "messenger_session"
SESSION_SECONDS = 12 * 3600
MAX_BYTES = 64 * 1024
"""Of a control route's body."""

_SAY_SECONDS = 60.0  # between two lines about wrong keys
MISSING = (
    "The setting MESSENGER_API_KEY is missing, so nobody may use this: make up a long random text,"
    " set it, and start `messenger-pipeline serve` again."
)
_WRONG = "The API key is {}: send it as X-API-Key, or as Authorization: Bearer, or log in at /."
_FORGED = (
    "A request with the status page's cookie must come from the status page; from elsewhere send"
    " the API key as X-API-Key."
)


class Access:
    """The API key, and the cookies that stand for it. A new key makes every cookie worthless."""

    def __init__(self, api_key: str | None) -> None:
        self._key = _digest(api_key.encode()) if api_key else None
        self._signing = hmac.digest(
            (api_key or "").encode(), b"messenger-pipeline status page", hashlib.sha256
        )
        self._wrong = 0
        self._said_at = -_SAY_SECONDS

    @property
    def is_set(self) -> bool:
        return self._key is not None

    def is_key(self, given: bytes) -> bool:
        """Whether it is the key; how long that takes tells nothing of it."""
        right = self._key is not None and hmac.compare_digest(_digest(given), self._key)
        if not right:
            self._count_wrong()
        return right

    def new_cookie(self) -> str:
        """A cookie's value: when it expires, signed."""
        expires = str(int(time.time()) + SESSION_SECONDS)
        return f"{expires}.{self._sign(expires)}"

    def is_cookie(self, given: str) -> bool:
        expires, _, signature = given.partition(".")
        if self._key is None or not hmac.compare_digest(
            self._sign(expires).encode(), signature.encode("utf-8", "surrogateescape")
        ):
            return False
        return int(expires) > time.time()

    def refuse(self, method: str, headers: Headers) -> tuple[int, str] | None:
        """Why a control route is not for this request, with a status; None if it is."""
        if self._key is None:
            return 401, MISSING
        given = _given_key(headers)
        if given is not None:
            return None if self.is_key(given) else (401, _WRONG.format("wrong"))
        cookie = _given_cookie(headers)
        if cookie is None or not self.is_cookie(cookie):
            return 401, _WRONG.format("missing")
        if method not in ("GET", "HEAD") and not same_origin(headers):
            return 403, _FORGED
        return None

    def _sign(self, expires: str) -> str:
        message = expires.encode("utf-8", "surrogateescape")
        return hmac.digest(self._signing, message, hashlib.sha256).hex()

    def _count_wrong(self) -> None:
        self._wrong += 1
        now = time.monotonic()
        if now - self._said_at >= _SAY_SECONDS:
            _log.warning("%s requests came with a wrong API key", self._wrong)
            self._wrong, self._said_at = 0, now


class Guard:
    """Before the routes: control routes are for those with the key, and bodies are small."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refused = None
        if is_control(scope["path"]):
            refused = self._access.refuse(scope["method"], headers)
        length = headers.get("content-length", "")
        if refused is None and length.isdigit() and int(length[:20]) > MAX_BYTES:
            refused = 413, _TOO_LARGE
        if refused is None:
            await self._app(_as_json(scope), _limited(receive), send)
            return
        status, error = refused
        more = {"WWW-Authenticate": "Bearer"} if status == 401 else None
        await failure(status, error, more)(scope, receive, send)


def is_control(path: str) -> bool:
    """Whether the key is needed: all of /api/ but Meta's webhook, which is signed."""
    return path.startswith("/api/") and not path.startswith("/api/webhook")


def same_origin(headers: Headers) -> bool:
    """Whether a browser says that a page of ours sent this: no other site makes requests with
    our cookie. SameSite forbids it, too; an old browser may not know that."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = urlsplit(headers.get("origin", ""))
    return bool(origin.netloc) and origin.netloc == headers.get("host")


_TOO_LARGE = f"A body may have {MAX_BYTES} bytes."


def _limited(receive: Receive) -> Receive:
    """The body, as long as it is short enough: its length may not have been told."""
    size = 0

    async def limited() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > MAX_BYTES:
            raise HTTPException(413, _TOO_LARGE)
        return message

    return limited


def _as_json(scope: Scope) -> Scope:
    """Every body is JSON, whatever it is said to be: callers of the replaced application do not
    say. (That another site cannot send it is seen to by key and origin, not by its type.)"""
    if scope["method"] != "POST":
        return scope
    headers = [header for header in scope["headers"] if header[0] != b"content-type"]
    return {**scope, "headers": [*headers, (b"content-type", b"application/json")]}


def _digest(text: bytes) -> bytes:
    """Of one length, whatever the text's is."""
    return hashlib.sha256(text).digest()


def _given_key(headers: Headers) -> bytes | None:
    """As it was sent: headers are bytes, whatever the key's letters are."""
    if "x-api-key" in headers:
        return headers["x-api-key"].encode("latin-1")
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip().encode("latin-1") if scheme.lower() == "bearer" else None


def _given_cookie(headers: Headers) -> str | None:
    try:
        cookies = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return None
    return cookies[COOKIE].value if COOKIE in cookies else None
