"""HTTP to the Graph API: one page's token, one connection kept alive, one retry layer."""

import logging
import re
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

import requests
import stamina
import urllib3

from messenger_pipeline.errors import (
    GraphConfigurationError,
    GraphError,
    RateLimited,
    TransientError,
    UnexpectedAnswer,
)
from messenger_pipeline.graph.access import (
    SubscribedApp,
    TokenState,
    parse_subscribed_apps,
    parse_token_state,
)
from messenger_pipeline.graph.errors import answer_date, error_key, parse_error
from messenger_pipeline.graph.limits import parse_usage
from messenger_pipeline.graph.models import (
    MESSAGE_FIELDS,
    Listing,
    Message,
    PageProfile,
    Thread,
    thread_fields,
)
from messenger_pipeline.graph.pace import MAX_PAUSE, Pace, Unpaced
from messenger_pipeline.graph.proof import app_secret_proof
from messenger_pipeline.graph.reading import (
    UnparsedThreads,
    parse_cursor,
    parse_list,
    parse_messages,
    parse_one_thread,
    parse_page,
    parse_profile,
)
from messenger_pipeline.redaction import RedactingFilter, kept_secret, redact

# The query contains appsecret_proof, and urllib3 logs it.
logging.getLogger("urllib3.connectionpool").addFilter(RedactingFilter())

_log = logging.getLogger(__name__)


def _log_retry(details: stamina.instrumentation.RetryDetails) -> None:
    _log.warning("%s; retrying in %.1f s", details.caused_by, details.wait_for)


stamina.instrumentation.set_on_retry_hooks([_log_retry])

_TIMEOUT, _ATTEMPTS = (10.0, 60.0), 5  # seconds to connect, and between two bytes of the answer

Content = TypeVar("Content")


@dataclass(frozen=True)
class Answer(Generic[Content]):
    """What one call returned; `date` is the time of Meta's answer."""

    content: Content
    date: datetime


_UNPACED = Unpaced()


@dataclass(frozen=True)
class GraphApi:
    """The API's address, and the app that calls it."""

    url: str
    version: str
    app_secret: str | None = None

    def client(self, token: str, pace: Pace = _UNPACED) -> "GraphClient":
        """A client with one page's token."""
        return GraphClient(self, token, pace)


class GraphClient:
    """Calls the API as one page. Use as a context manager."""

    def __init__(self, api: GraphApi, token: str, pace: Pace) -> None:
        self._api = api
        self._token = token
        self._pace = pace
        self.calls = 0
        """Calls made so far, including failed ones."""
        self.errors: Counter[str] = Counter()
        """Failed calls by Meta's code, else by HTTP status, else `no answer`."""
        self._session = requests.Session()
        # A bearer token, not access_token= in the query: URLs end up in logs.
        self._session.headers["Authorization"] = f"Bearer {token}"
        self._open = ExitStack()

    def __enter__(self) -> "GraphClient":
        self._open.enter_context(kept_secret(self._token))
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()
        self._open.close()

    def fetch_page(self, page_id: str, *, instagram: bool = False) -> Answer[PageProfile]:
        """A page, if wanted with its Instagram professional account. Source: Graph API, Page."""
        fields = "id,name" + (",instagram_business_account{id,username}" if instagram else "")
        return self._get(page_id, {"fields": fields}, parse_page)

    def check_token(self) -> None:
        """A control call: raises TokenDead if Meta no longer accepts the token."""
        self._get("me", {"fields": "id"}, parse_page, attempts=1)

    def check_list(self, page_id: str, platform: str) -> None:
        """A control call: the smallest request for the page's list of threads.

        Raises what Meta refuses it with.
        """
        parameters = {"platform": platform, "fields": "id", "limit": "1"}
        self._get(f"{page_id}/conversations", parameters, parse_list, attempts=1)

    def fetch_conversations(
        self, page_id: str, platform: str, *, limit: int, messages: int, after: str | None = None
    ) -> Answer[UnparsedThreads]:
        """One answer of the page's threads, newest first, each with its newest messages.

        Source: Graph API reference, Page Conversations.
        """
        parameters = {"platform": platform, "fields": thread_fields(messages), "limit": str(limit)}
        if after is not None:
            parameters["after"] = after
        return self._get(f"{page_id}/conversations", parameters, parse_cursor)

    def fetch_thread(self, thread_id: str, *, messages: int) -> Answer[Listing[Thread]]:
        """One thread, as a list of one. Raises ObjectRefused if it is gone."""
        return self._get(thread_id, {"fields": thread_fields(messages)}, parse_one_thread)

    def fetch_messages(
        self, thread_id: str, *, limit: int, after: str | None = None
    ) -> Answer[Listing[Message]]:
        """One answer of a thread's messages, newest first."""
        parameters = {"fields": MESSAGE_FIELDS, "limit": str(limit)}
        if after is not None:
            parameters["after"] = after
        return self._get(f"{thread_id}/messages", parameters, parse_messages)

    def fetch_profile(self, contact_id: str, platform: str) -> Answer[str | None]:
        """A contact's name. Meta often refuses it permanently: ObjectRefused.

        Source: Messenger Platform, User Profile API; Instagram Platform, User Profile API.
        """
        fields = "first_name,last_name" if platform == "messenger" else "name,username"
        return self._get(contact_id, {"fields": fields}, parse_profile)

    def fetch_token_state(self, token: str) -> Answer[TokenState]:
        """The state of a page's `token`. The client's own token is the app's or the page's.

        Source: Graph API reference, debug_token. It takes `token` in the query only.
        """
        return self._get("debug_token", {"input_token": token}, parse_token_state)

    def fetch_subscribed_apps(self, page_id: str) -> Answer[list[SubscribedApp]]:
        """The apps that receive the page's webhooks; a page's token sees only its own app.

        Source: Graph API reference, Page Subscribed Apps.
        """
        fields = {"fields": "id,subscribed_fields"}
        return self._get(f"{page_id}/subscribed_apps", fields, parse_subscribed_apps)

    def redact(self, text: str) -> str:
        """`text` without secrets, including this client's token."""
        return redact(text, self._token)

    def _get(
        self,
        path: str,
        parameters: dict[str, str],
        parse: Callable[[bytes], Content],
        attempts: int = _ATTEMPTS,
    ) -> Answer[Content]:
        """Retry transient errors a few times, and wait for limits that pass soon.

        Waiting for a limit uses up no retry.
        """
        paused = 0.0
        while True:
            try:
                return self._get_with_retries(path, parameters, parse, attempts)
            except _LimitReached as reached:
                limited = reached.error
                limited.seconds = self._pace.pause(limited.scope, limited.seconds)
                paused += limited.seconds
                if paused > MAX_PAUSE:
                    raise limited from None

    def _get_with_retries(
        self,
        path: str,
        parameters: dict[str, str],
        parse: Callable[[bytes], Content],
        attempts: int,
    ) -> Answer[Content]:
        for attempt in stamina.retry_context(on=_should_retry, attempts=attempts, timeout=120):
            with attempt:
                return self._get_once(path, parameters, parse)
        raise AssertionError("unreachable: the last attempt raises")

    def _get_once(
        self, path: str, parameters: dict[str, str], parse: Callable[[bytes], Content]
    ) -> Answer[Content]:
        self._pace.wait()
        self.calls += 1
        response, body = self._send(path, parameters)
        date = answer_date(response.headers)
        usage = parse_usage(response.headers)
        # Error answers have usage headers too.
        self._pace.record_usage(usage.app, max(usage.page, usage.business))
        try:
            content = self._content(response, body, parse)
        except GraphError as error:
            self.errors[error_key(error)] += 1
            if isinstance(error, RateLimited):
                raise _LimitReached(error) from None
            error.date = date
            raise
        if usage.regain_seconds:
            self._pace.pause("page", usage.regain_seconds)
        return Answer(content, date)

    def _send(self, path: str, parameters: dict[str, str]) -> tuple[requests.Response, bytes]:
        """Send one request; returns the response with its body."""
        url = f"{self._api.url}/{self._api.version}/{path}"
        try:
            # Read in one go: requests itself reads ten kilobytes at a time.
            with self._session.get(
                url, params=parameters | self._proof(), timeout=_TIMEOUT,
                allow_redirects=False, stream=True,
            ) as response:  # fmt: skip
                return response, response.raw.read(decode_content=True)
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
            raise GraphConfigurationError(
                f"{self._redact(error)}. Correct MESSENGER_GRAPH_URL."
            ) from None
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError) as error:
            # Not chained: the original contains the URL with its proof.
            self.errors["no answer"] += 1
            raise TransientError(f"No answer from {self._api.url}: {self._redact(error)}") from None

    def _content(
        self, response: requests.Response, body: bytes, parse: Callable[[bytes], Content]
    ) -> Content:
        if response.status_code == 200:
            try:
                return parse(body)
            except UnexpectedAnswer as error:
                # An error with status 200, a truncated body, or indeed another shape.
                stated = self._error(response, body)
                if stated is None and not body.rstrip().endswith((b"}", b"]")):
                    stated = TransientError("The answer is truncated", status=200)
                raise (stated or error) from None
        stated = self._error(response, body)
        raise stated or UnexpectedAnswer(
            "The answer is neither a success nor an error", status=response.status_code
        )

    def _error(self, response: requests.Response, body: bytes) -> GraphError | None:
        return parse_error(response.status_code, body, response.headers, self._token)

    def _proof(self) -> dict[str, str]:
        if self._api.app_secret is None:
            return {}
        return app_secret_proof(self._api.app_secret, self._token, time.time())

    def _redact(self, error: Exception) -> str:
        # urllib3 repeats the whole URL in the middle of its message.
        return self.redact(re.sub(r" with url: \S+", "", str(error)))


def _should_retry(error: Exception) -> bool | float:
    """Whether to retry, or the seconds to retry after if the answer stated them."""
    return isinstance(error, TransientError) and (error.seconds or True)


class _LimitReached(Exception):
    """A RateLimited that an answer stated, apart from those that the pace raises."""

    def __init__(self, error: RateLimited) -> None:
        super().__init__(str(error))
        self.error = error
