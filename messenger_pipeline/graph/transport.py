"""One page's HTTP: its token and proof, one connection kept alive, one request at a time."""

import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

import requests
import urllib3

from messenger_pipeline.errors import GraphConfigurationError, TransientError
from messenger_pipeline.graph.proof import app_secret_proof
from messenger_pipeline.redaction import RedactingFilter, redact

# The query contains appsecret_proof, and urllib3 logs it.
logging.getLogger("urllib3.connectionpool").addFilter(RedactingFilter())

_TIMEOUT = (10.0, 60.0)  # seconds to connect, and between two bytes of the answer


@dataclass(frozen=True)
class RawAnswer:
    """An answer as it arrived."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport:
    """Sends a token's requests. Proxies and certificates come from the environment, as usual."""

    def __init__(self, url: str, version: str, app_secret: str | None, token: str) -> None:
        self._url = url
        self._version = version
        self._app_secret = app_secret
        self._token = token
        self._session = requests.Session()
        self._session.auth = self._authorize

    def close(self) -> None:
        self._session.close()

    def get(self, path: str, parameters: dict[str, str]) -> RawAnswer:
        """Send one request. Raises TransientError if no answer arrives, GraphConfigurationError if
        the API's address or the certificates' file is not a valid one."""
        url = f"{self._url}/{self._version}/{path}"
        try:
            # Read in one go: requests itself reads ten kilobytes at a time.
            with self._session.get(
                url, params=parameters | self._proof(), timeout=_TIMEOUT,
                allow_redirects=False, stream=True,
            ) as response:  # fmt: skip
                body = response.raw.read(decode_content=True)
                return RawAnswer(response.status_code, response.headers, body)
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
            raise GraphConfigurationError(
                f"{self._redact(error)}. Correct MESSENGER_GRAPH_URL."
            ) from None
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError) as error:
            # Not chained: the original contains the URL with its proof.
            raise TransientError(f"No answer from {self._url}: {self._redact(error)}") from None
        except OSError as error:  # requests does not wrap the one for a missing bundle
            raise GraphConfigurationError(
                f"{self._redact(error)}. Correct REQUESTS_CA_BUNDLE."
            ) from None

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the token to a request.

        As a bearer token, not access_token= in the query: URLs end up in logs. As the session's
        `auth`, not a header: requests replaces the header by what ~/.netrc has for the host, or as
        its default.
        """
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request

    def _proof(self) -> dict[str, str]:
        if self._app_secret is None:
            return {}
        return app_secret_proof(self._app_secret, self._token, time.time())

    def _redact(self, error: Exception) -> str:
        # urllib3 repeats the whole URL in the middle of its message.
        return redact(re.sub(r" with url: \S+", "", str(error)), self._token)
