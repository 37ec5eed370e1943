"""The webhook: Meta's verification request, and deliveries.

Plain ASGI rather than a FastAPI route: a delivery passes no layer that it does not need.
"""

import hashlib
import hmac
import json
import logging
import re
import time
from collections.abc import Sequence
from typing import Protocol
from urllib.parse import parse_qs

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from messenger_pipeline.errors import PipelineError
from messenger_pipeline.web.receiver_metrics import CLIENT_DISCONNECTED, ReceiverMetrics

_log = logging.getLogger(__name__)

MAX_BODY_BYTES = 8 * 2**20
"""A delivery of a thousand messages has less than one megabyte."""

_SIGNATURE = b"x-hub-signature-256"
_WELL_FORMED = re.compile(rb"sha256=[0-9a-f]{64}")


class Inbox(Protocol):
    async def store(self, body: bytes) -> None:
        """Return once the body is committed. Raises PipelineError if it cannot be."""


class RequestRefused(Exception):
    """The request gets an error response with this status and text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Webhook:
    """The ASGI application of /api/webhook.

    A signature by any of `app_secrets` is valid, so that they can be rotated.
    """

    def __init__(
        self,
        inbox: Inbox,
        metrics: ReceiverMetrics,
        app_secrets: Sequence[str],
        verify_token: str,
    ) -> None:
        self._inbox = inbox
        self._metrics = metrics
        self._secrets = [secret.encode() for secret in app_secrets]
        self._verify_token = verify_token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if scope["method"] == "POST":
                await self._deliver(scope, receive, send)
            elif scope["method"] in ("GET", "HEAD"):
                await _respond(send, 200, self._challenge(scope["query_string"]))
            else:
                raise RequestRefused(405, "The webhook accepts GET, HEAD and POST.")
        except RequestRefused as refused:
            body = json.dumps({"error": str(refused)}).encode()
            await _respond(send, refused.status, body, b"application/json")
        except ClientDisconnect:
            return

    async def _deliver(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        status = 500
        try:
            await self._store(scope, receive)
            await _respond(send, 200, b"EVENT_RECEIVED")
            status = 200
        except RequestRefused as refused:
            status = refused.status
            raise
        except ClientDisconnect:
            status = CLIENT_DISCONNECTED
            raise
        finally:
            if status == 200:
                self._metrics.delivery_acknowledged(time.perf_counter() - began)
            else:
                self._metrics.delivery_refused(status)

    async def _store(self, scope: Scope, receive: Receive) -> None:
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        signatures = [value for name, value in headers if name == _SIGNATURE]
        _check_content_length(headers)
        # A body without a well-formed signature is not even read.
        if len(signatures) != 1 or not _WELL_FORMED.fullmatch(signatures[0]):
            raise _unsigned()
        body = await _read_body(receive)
        if not self.is_signed(body, signatures[0]):
            raise _unsigned()
        try:
            await self._inbox.store(body)
        except PipelineError as error:
            _log.warning("a delivery could not be stored, Meta will send it again: %s", error)
            raise RequestRefused(503, "The database cannot be reached; send it again.") from None
        self._metrics.body_committed(len(body))

    def is_signed(self, body: bytes, signature: bytes) -> bool:
        """Whether the header's value is the HMAC of the raw body under one of the secrets.

        Source: Graph API, Webhooks, Validating Payloads.
        """
        given = signature.removeprefix(b"sha256=")
        # All secrets are tried, so that the time does not reveal which one matched.
        matches = [
            hmac.compare_digest(hmac.digest(secret, body, hashlib.sha256).hex().encode(), given)
            for secret in self._secrets
        ]
        return any(matches)

    def _challenge(self, query: bytes) -> bytes:
        """What Meta expects in response when the webhook is set up.

        Source: Graph API, Webhooks, Verification Requests.
        """
        parameters = parse_qs(query.decode("latin-1"), keep_blank_values=True)
        mode, token, challenge = (
            parameters.get(f"hub.{name}", [""])[0] for name in ("mode", "verify_token", "challenge")
        )
        is_token = hmac.compare_digest(token.encode(), self._verify_token)
        if mode != "subscribe" or not is_token or not 0 < len(challenge) <= 1000:
            raise RequestRefused(403, "Wrong mode or verify token: see MESSENGER_VERIFY_TOKEN.")
        return challenge.encode()


def _check_content_length(headers: list[tuple[bytes, bytes]]) -> None:
    for name, value in headers:
        if name == b"content-length" and value.isdigit() and int(value[:20]) > MAX_BODY_BYTES:
            raise _too_large()


async def _read_body(receive: Receive) -> bytes:
    """The whole body. Refuses it (413) as soon as more than MAX_BODY_BYTES have arrived.

    Starlette's RequestBodyLimitMiddleware would do that too, but it responds in plain text, where
    every other error is {"error": …}, and wraps `receive` and `send` of each delivery.
    """
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientDisconnect
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BODY_BYTES:
            raise _too_large()
        if not message.get("more_body", False):
            return b"".join(parts)


def _unsigned() -> RequestRefused:
    return RequestRefused(403, "The signature is missing or wrong: see MESSENGER_APP_SECRET.")


def _too_large() -> RequestRefused:
    return RequestRefused(413, f"The body is larger than {MAX_BODY_BYTES:,} bytes.")


async def _respond(
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
