"""Posts messages to the notifier, an incoming webhook such as Slack's.

The URL is a secret: no error contains it.
"""

import logging
import re
from typing import Any

import requests
import urllib3

from messenger_pipeline.errors import PipelineError
from messenger_pipeline.graph.retry_after import parse_retry_after
from messenger_pipeline.redaction import RedactingFilter, remember_secret

_TIMEOUT = (5.0, 10.0)  # seconds to connect, and between two bytes of the answer

# urllib3 logs each URL.
logging.getLogger("urllib3.connectionpool").addFilter(RedactingFilter())


class NotificationFailed(PipelineError):
    """The notifier did not accept a message.

    `retry_after` is the answer's Retry-After in seconds, else 0. `unavailable` is true if the
    notifier refuses every message for now, not only this one.
    """

    def __init__(self, reason: str, *, unavailable: bool, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.unavailable = unavailable
        self.retry_after = retry_after


class Notifier:
    """Posts messages to a URL, as to an incoming webhook of Slack."""

    def __init__(self, url: str) -> None:
        remember_secret(url)
        self._url = url

    def post(self, message: dict[str, Any]) -> None:
        """Send a message. Raises NotificationFailed."""
        try:
            with requests.post(
                self._url, json=message, auth=self._authorize, timeout=_TIMEOUT,
                allow_redirects=False, stream=True,
            ) as response:  # fmt: skip
                if response.status_code // 100 == 2:
                    return  # accepted, even if the rest of the answer never arrives
                body = _start_of_body(response)
        except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
            # Not chained: the original contains the URL.
            raise NotificationFailed(_reason(error), unavailable=True) from None
        raise _refusal(response, body)

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Use the user and password of the URL, if it has them. Without an `auth`, requests would
        send those that ~/.netrc has for the host, or as its default."""
        user, password = requests.utils.get_auth_from_url(self._url)
        return requests.auth.HTTPBasicAuth(user, password)(request) if user else request


def _start_of_body(response: requests.Response) -> bytes:
    """What has arrived of the body. The status counts even if the rest never arrives."""
    try:
        body: bytes = response.raw.read1(200, decode_content=True)
    except urllib3.exceptions.HTTPError:
        return b""
    return body


def _reason(error: Exception) -> str:
    """Why the message did not arrive, without the text of the error."""
    match error:
        case requests.exceptions.SSLError():
            return "the notifier's certificate is invalid"
        case requests.Timeout():
            return f"no answer within {_TIMEOUT[1]:.0f} s"
        case requests.exceptions.InvalidURL() | requests.exceptions.InvalidSchema():
            return "MESSENGER_ALERT_URL is not a valid URL: correct it"
        case _:
            return "the notifier cannot be reached, or the connection broke"


def _refusal(response: requests.Response, body: bytes) -> NotificationFailed:
    status = response.status_code
    reason = f"HTTP {status}"
    # Slack answers with a code such as channel_is_archived. Other bodies may contain the URL.
    code = body.decode(errors="replace").strip()
    if re.fullmatch(r"[a-z_]{4,40}", code):
        reason += f" {code}"
    if status in (401, 403, 404, 410) or status // 100 == 3:
        reason += ". Is MESSENGER_ALERT_URL still right?"
    unavailable = status in (408, 429) or status >= 500
    seconds = parse_retry_after(response.headers) if unavailable else None
    return NotificationFailed(reason, unavailable=unavailable, retry_after=seconds or 0.0)
