"""The webhook receiver's address: signed requests over connections that are kept alive."""

import hashlib
import hmac
import time
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

_TIMEOUT_SECONDS = 5.0  # Meta's
_KEPT_SECONDS = 2.0  # less than the keep-alive timeout of common servers


class WebhookEndpoint:
    """Posts signed deliveries to an address. Threads may call `post` at the same time."""

    def __init__(self, url: str, secret: str) -> None:
        """Raises ValueError for an invalid address."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or not url.isascii():
            raise ValueError(f"{url!r} is not an http or https address")
        self._host, self._port = parts.hostname, parts.port
        self._connection_class = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._secret = secret.encode()
        self._kept: list[tuple[float, HTTPConnection]] = []
        self._closed = False

    def post(self, body: bytes) -> bool:
        """Send a delivery. Returns whether it was acknowledged: answered with 200 in time."""
        signature = hmac.new(self._secret, body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "X-Hub-Signature-256": f"sha256={signature}",
        }
        connection = self._connection()
        try:
            connection.request("POST", self._target, body, headers)
            response = connection.getresponse()
            response.read()
        except (OSError, HTTPException):
            connection.close()
            return False
        self._kept.append((time.monotonic(), connection))
        if self._closed:
            self.close()
        return response.status == 200

    def close(self) -> None:
        """Close the kept connections, and those in use once their request ends."""
        self._closed = True
        with suppress(IndexError):
            while True:
                self._kept.pop()[1].close()

    def _connection(self) -> HTTPConnection:
        with suppress(IndexError):
            while True:
                since, connection = self._kept.pop()
                if time.monotonic() - since < _KEPT_SECONDS:
                    return connection
                connection.close()
        return self._connection_class(self._host, self._port, timeout=_TIMEOUT_SECONDS)
