"""Who may use the control routes: callers with the API key, or with the session cookie."""

import hashlib
import hmac
import logging
import time
from urllib.parse import urlsplit

from itsdangerous import BadSignature, TimestampSigner
from starlette.datastructures import Headers
from starlette.requests import cookie_parser

_log = logging.getLogger(__name__)

COOKIE = "messenger_session"
SESSION_SECONDS = 12 * 3600

KEY_NOT_SET = (
    "The setting MESSENGER_API_KEY is missing, so the control API is closed: set it to a long"
    " random text, and start `messenger-pipeline serve` again."
)
_KEY_IS = "The API key is {}: send it as X-API-Key, or as Authorization: Bearer, or log in at /."
_CROSS_SITE = (
    "Only the status page and pages of MESSENGER_ALLOWED_ORIGINS may do this with the session"
    " cookie; other clients must send the API key as X-API-Key."
)
_LOG_INTERVAL = 60.0  # seconds between two log lines about wrong keys


class Authenticator:
    """Checks the API key and the session cookie.

    The API key signs the cookies, so a new key ends every session. Without a key nothing is valid.
    `allowed_origins`: other origins whose pages may send the cookie.
    """

    def __init__(self, api_key: str | None, allowed_origins: tuple[str, ...] = ()) -> None:
        self.allowed_origins = allowed_origins
        self._key = _digest(api_key.encode()) if api_key else None
        self._signer = TimestampSigner(
            api_key or "",
            salt="messenger-pipeline status page",
            key_derivation="hmac",
            digest_method=hashlib.sha256,
        )
        self._wrong_keys = 0
        self._logged_at = -_LOG_INTERVAL

    @property
    def has_key(self) -> bool:
        return self._key is not None

    def is_key(self, given: bytes) -> bool:
        """Whether it is the API key. The time that this takes reveals nothing about the key."""
        valid = self._key is not None and hmac.compare_digest(_digest(given), self._key)
        if not valid:
            self._count_wrong_key()
        return valid

    def new_cookie(self) -> str:
        """The value of a cookie that is valid for SESSION_SECONDS."""
        return self._signer.sign("session").decode()

    def is_cookie(self, given: str) -> bool:
        try:
            self._signer.unsign(given, max_age=SESSION_SECONDS)
        except BadSignature:
            return False
        return self._key is not None

    def refuse(self, *, changes: bool, headers: Headers) -> tuple[int, str] | None:
        """Status and text of the error for a request to a control route; None if it may pass.

        `changes`: the request may change something, whatever its method.
        """
        if self._key is None:
            return 401, KEY_NOT_SET
        key = _get_key(headers)
        if key is not None:
            return None if self.is_key(key) else (401, _KEY_IS.format("wrong"))
        cookie = cookie_parser(headers.get("cookie", "")).get(COOKIE)
        if cookie is None or not self.is_cookie(cookie):
            return 401, _KEY_IS.format("missing")
        if headers.get("origin") in self.allowed_origins or is_same_origin(headers):
            return None
        # If there are allowed origins, browsers send the cookie for every site (SameSite=None).
        foreign = bool(self.allowed_origins) and headers.get("sec-fetch-site") == "cross-site"
        return (403, _CROSS_SITE) if changes or foreign else None

    def _count_wrong_key(self) -> None:
        self._wrong_keys += 1
        now = time.monotonic()
        if now - self._logged_at >= _LOG_INTERVAL:
            _log.warning("requests with a wrong API key: %s", self._wrong_keys)
            self._wrong_keys, self._logged_at = 0, now


def is_same_origin(headers: Headers) -> bool:
    """Whether the browser reports that one of our own pages sent the request.

    SameSite=Strict forbids other sites to use the cookie too, but old browsers ignore it.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    # Over http browsers do not send it; and no origin either with a GET to their own.
    origin = urlsplit(headers.get("origin", headers.get("referer", "")))
    return bool(origin.netloc) and origin.netloc == headers.get("host")


def _digest(text: bytes) -> bytes:
    """Of the same length for every text: compare_digest takes longer for longer ones."""
    return hashlib.sha256(text).digest()


def _get_key(headers: Headers) -> bytes | None:
    """The bytes that were sent: headers have no encoding, and a key may have any letters."""
    if "x-api-key" in headers:
        return headers["x-api-key"].encode("latin-1")
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip().encode("latin-1") if scheme.lower() == "bearer" else None
