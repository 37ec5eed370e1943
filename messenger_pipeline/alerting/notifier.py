"""HTTP to whoever takes the messages. The address is a secret: no error names it."""

import logging
import re
from typing import Any

import requests
import urllib3

from messenger_pipeline.errors import PipelineError
from messenger_pipeline.redaction import RedactingFilter, remember_secret

_TIMEOUT = (5.0, 10.0)  # seconds to connect, and between two bytes of the answer
_LONGEST = 24 * 3600.0  # seconds that an answer can tell to wait

# It logs each address.
logging.getLogger("urllib3.connectionpool").addFilter(RedactingFilter())


class Unsent(PipelineError):
    """A message was not taken. `seconds` is how long the answer told to wait; `sink` that it is
    nothing about the message."""

    def __init__(self, reason: str, *, sink: bool, seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.sink = sink
        self.seconds = seconds


class Sink:
    """Takes messages at an address, as an incoming webhook of Slack."""

    def __init__(self, url: str) -> None:
        remember_secret(url)
        self._url = url

    def post(self, message: dict[str, Any]) -> None:
        """Raises Unsent."""
        try:
            with requests.post(
                self._url, json=message, timeout=_TIMEOUT, allow_redirects=False, stream=True
            ) as response:
                if response.status_code // 100 == 2:
                    return  # it was taken, whatever becomes of the rest of the answer
                body = _beginning(response)
        except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
            # Not chained: the original names the address.
            raise Unsent(_reason(error), sink=True) from None
        raise _refused(response, body)


def _beginning(response: requests.Response) -> bytes:
    """What is there of the answer's body: its status counts even where the rest never comes."""
    try:
        body: bytes = response.raw.read1(200, decode_content=True)
    except urllib3.exceptions.HTTPError:
        return b""
    return body


def _reason(error: Exception) -> str:
    """What kept the message from arriving, in words of ours."""
    match error:
        case requests.exceptions.SSLError():
            return "its certificate is not good"
        case requests.Timeout():
            return f"no answer within {_TIMEOUT[1]:.0f} s"
        case requests.exceptions.InvalidURL() | requests.exceptions.InvalidSchema():
            return "MESSENGER_ALERT_URL is no address that can be asked: correct it"
        case _:
            return "it cannot be reached, or it broke off"


def _refused(response: requests.Response, body: bytes) -> Unsent:
    status = response.status_code
    reason = f"HTTP {status}"
    # Slack answers with a word, such as channel_is_archived. Anything else may repeat the address.
    word = body.decode(errors="replace").strip()
    if re.fullmatch(r"[a-z_]{4,40}", word):
        reason += f" {word}"
    if status in (401, 403, 404, 410) or status // 100 == 3:
        reason += ". Is MESSENGER_ALERT_URL still right?"
    waiting = status in (408, 429) or status >= 500
    return Unsent(reason, sink=waiting, seconds=_retry_after(response) if waiting else 0.0)


def _retry_after(response: requests.Response) -> float:
    try:
        return min(max(float(response.headers.get("Retry-After", 0)), 0.0), _LONGEST)
    except ValueError:
        return 0.0
