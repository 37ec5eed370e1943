"""The webhook's two requests: Meta's verification of it, and deliveries.

Plain ASGI: a delivery passes no layer that it does not need.
"""

import hashlib
import hmac
import json
import logging
import re
import time
from collections.abc import Sequence
from typing import Any, Protocol
from urllib.parse import parse_qs

from starlette.types import Receive, Scope, Send

from messenger_pipeline.errors import PipelineError
from messenger_pipeline.web.receiver_metrics import GONE, Tally

_log = logging.getLogger(__name__)

MAX_BYTES = 8 * 2**20
"""Of a body: a delivery of a thousand messages has less than one megabyte."""

_SIGNATURE = b"x-hub-signature-256"
_WELL_FORMED = re.compile(rb"sha256=[0-9a-f]{64}")


class Inbox(Protocol):
    async def keep(self, body: bytes) -> None:
        """Return once the body is committed; raise PipelineError if it cannot be."""


class Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Webhook:
    """The ASGI application of /api/webhook.

    `app_secrets`: each may have signed, as during a rotation. `tally` counts the deliveries.
    """

    def __init__(self, inbox: Inbox, app_secrets: Sequence[str], verify_token: str) -> None:
        self.tally = Tally()
        self._inbox = inbox
        self._secrets = [secret.encode() for secret in app_secrets]
        self._verify_token = verify_token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if scope["method"] == "POST":
                await self._deliver(scope, receive, send)
            elif scope["method"] in ("GET", "HEAD"):
                await _answer(send, 200, self._challenge(scope["query_string"]))
            else:
                raise Refused(405, "The webhook takes GET, HEAD and POST.")
        except Refused as refused:
            body = json.dumps({"error": str(refused)}).encode()
            await _answer(send, refused.status, body, b"application/json")
        except _Gone:
            return

    async def _deliver(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        status = 500
        try:
            await self._take(scope, receive)
            await _answer(send, 200, b"EVENT_RECEIVED")
            status = 200
        except Refused as refused:
            status = refused.status
            raise
        except _Gone:
            status = GONE
            raise
        finally:
            if status == 200:
                self.tally.acknowledged(time.perf_counter() - began)
            else:
                self.tally.refused(status)

    async def _take(self, scope: Scope, receive: Receive) -> None:
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        signatures = [value for name, value in headers if name == _SIGNATURE]
        _check_length(headers)
        # Without one the body is not even read.
        if len(signatures) != 1 or not _WELL_FORMED.fullmatch(signatures[0]):
            raise _unsigned()
        body = await _read(receive)
        if not self.signed(body, signatures[0]):
            raise _unsigned()
        try:
            await self._inbox.keep(body)
        except PipelineError as error:
            _log.warning("a delivery could not be kept, Meta will repeat it: %s", error)
            raise Refused(503, "The database cannot be reached; send it again.") from None
        self.tally.kept_bytes += len(body)

    def signed(self, body: bytes, signature: bytes) -> bool:
        """Whether a header's value is the HMAC of the raw body, with one of the secrets.

        Source: Graph API, Webhooks, Validating Payloads.
        """
        told = signature.removeprefix(b"sha256=")
        # All secrets are tried, so that the time tells nothing of which one it was.
        matches = [
            hmac.compare_digest(hmac.digest(secret, body, hashlib.sha256).hex().encode(), told)
            for secret in self._secrets
        ]
        return any(matches)

    def _challenge(self, query: bytes) -> bytes:
        """What Meta wants to hear back when the webhook is set up.

        Source: Graph API, Webhooks, Verification Requests.
        """
        asked = parse_qs(query.decode("latin-1"), keep_blank_values=True)
        mode, token, challenge = (
            asked.get(f"hub.{name}", [""])[0] for name in ("mode", "verify_token", "challenge")
        )
        right = hmac.compare_digest(token.encode(), self._verify_token)
        if mode != "subscribe" or not right or not 0 < len(challenge) <= 1000:
            raise Refused(403, "Wrong mode or verify token: see MESSENGER_VERIFY_TOKEN.")
        return challenge.encode()


class _Gone(Exception):
    """Who sent the request went away before it was whole."""


def _check_length(headers: list[tuple[bytes, bytes]]) -> None:
    for name, value in headers:
        if name == b"content-length" and value.isdigit() and int(value[:20]) > MAX_BYTES:
            raise _too_large()


async def _read(receive: Receive) -> bytes:
    message: Any = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        return _limited(message.get("body", b""))
    parts, size = [], 0
    while message["type"] == "http.request":
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BYTES:
            raise _too_large()
        if not message.get("more_body"):
            return b"".join(parts)
        message = await receive()
    raise _Gone


def _limited(body: bytes) -> bytes:
    if len(body) > MAX_BYTES:
        raise _too_large()
    return body


def _unsigned() -> Refused:
    return Refused(403, "The signature is missing or wrong: see MESSENGER_APP_SECRET.")


def _too_large() -> Refused:
    return Refused(413, f"A body may have {MAX_BYTES} bytes.")


async def _answer(
    send: Send, status: int, body: bytes, content_type: bytes = b"text/plain; charset=utf-8"
) -> None:
    headers = [
        (b"content-type", content_type),
        (b"content-length", str(len(body)).encode()),
        (b"x-content-type-options", b"nosniff"),
    ]
    if status == 405:
        headers.append((b"allow", b"GET, HEAD, POST"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


_ERROR = {
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["error"],
                "properties": {"error": {"type": "string"}},
            }
        }
    }
}
_TEXT = {"content": {"text/plain": {"schema": {"type": "string"}}}}


def _parameter(where: str, name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": where, "required": True, "schema": {"type": "string", **schema}}


_ASKED = [
    _parameter("query", "hub.mode", {"enum": ["subscribe"]}),
    _parameter("query", "hub.verify_token", {}),
    _parameter("query", "hub.challenge", {"minLength": 1, "maxLength": 1000}),
]

DESCRIPTION: dict[str, Any] = {
    "get": {
        "summary": "Verification: Meta asks whether this is your webhook",
        "operationId": "verify_webhook",
        "parameters": _ASKED,
        "responses": {
            "200": {"description": "The challenge.", **_TEXT},
            "403": {"description": "Wrong mode or verify token.", **_ERROR},
        },
    },
    "head": {
        "summary": "Verification, without the challenge",
        "operationId": "verify_webhook_head",
        "parameters": _ASKED,
        "responses": {
            "200": {"description": "The webhook is yours."},
            "403": {"description": "Wrong mode or verify token."},
        },
    },
    "post": {
        "summary": "A delivery: kept, then answered, then applied",
        "operationId": "receive_delivery",
        "parameters": [
            _parameter("header", "X-Hub-Signature-256", {"pattern": "^sha256=[0-9a-f]{64}$"})
        ],
        "requestBody": {
            "required": True,
            # Whatever is signed is kept; what it says is looked at later.
            "content": {"application/json": {"schema": {}}},
        },
        "responses": {
            "200": {"description": "The raw body is committed.", **_TEXT},
            "403": {"description": "The signature is missing or wrong; nothing is kept.", **_ERROR},
            "413": {"description": "The body is too large; nothing is kept.", **_ERROR},
            "503": {"description": "It cannot be kept now; send it again.", **_ERROR},
        },
    },
}
"""The two requests in OpenAPI's words."""
