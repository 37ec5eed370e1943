"""HTTP to the Graph API: one page's token, one connection kept alive, one retry layer."""

import hashlib
import hmac
import logging
import re
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Generic, Protocol, TypeVar

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
from messenger_pipeline.graph.faults import fault_in
from messenger_pipeline.graph.limits import parse_usage
from messenger_pipeline.graph.models import (
    MESSAGE_FIELDS,
    THREAD_FIELDS,
    Listing,
    Message,
    PageProfile,
    Thread,
)
from messenger_pipeline.graph.reading import (
    UnreadThreads,
    parse_cursor,
    parse_messages,
    parse_one_thread,
    parse_page,
    parse_profile,
)
from messenger_pipeline.redaction import RedactingFilter, kept_secret, redact

# The proof stands in the query, which urllib3 logs.
logging.getLogger("urllib3.connectionpool").addFilter(RedactingFilter())

_log = logging.getLogger(__name__)


def _say_retry(details: stamina.instrumentation.RetryDetails) -> None:
    _log.warning("%s; trying again in %.1f s", details.caused_by, details.wait_for)


stamina.instrumentation.set_on_retry_hooks([_say_retry])

_TIMEOUT = (10.0, 60.0)  # seconds to connect, and between two bytes of the answer
_ATTEMPTS = 5
_PATIENCE = 30.0  # seconds that Meta may ask to wait for before the run ends instead

Content = TypeVar("Content")


@dataclass(frozen=True)
class Answer(Generic[Content]):
    """What one call brought; `date` is when Meta said it."""

    content: Content
    date: datetime


class Pace(Protocol):
    """When to call, and what Meta's limits say; all raise RateLimited for what is too long."""

    def wait(self) -> None:
        """Wait for the next turn."""

    def tell(self, app: int, page: int) -> None:
        """Percent of the app's and the page's quota that are used up."""

    def pause(self, scope: str, seconds: float | None) -> float:
        """Meta refused a call because of the limit of app, token or page; `seconds` is how long
        it told to wait, if it did. Returns for how long it is."""


class Unpaced:
    """For a call or two of somebody who waits for them."""

    def wait(self) -> None:
        pass

    def tell(self, app: int, page: int) -> None:
        pass

    def pause(self, scope: str, seconds: float | None) -> float:
        return seconds or _PATIENCE + 1


_UNPACED = Unpaced()


@dataclass(frozen=True)
class GraphApi:
    """Where the API is and who we are to it."""

    url: str
    version: str
    app_secret: str | None = None

    def client(self, token: str, pace: Pace = _UNPACED) -> "GraphClient":
        """A client for one page's token."""
        return GraphClient(self, token, pace)


class GraphClient:
    """Calls the API as one page. Use as a context manager."""

    def __init__(self, api: GraphApi, token: str, pace: Pace) -> None:
        self._api = api
        self._token = token
        self._pace = pace
        self.calls = 0
        """Calls made so far, those that failed too."""
        self.errors: Counter[str] = Counter()
        """How many of them failed, by Meta's code, else by HTTP status, else `no answer`."""
        self._session = requests.Session()
        # A bearer token, not access_token= in the query: addresses end up in logs.
        self._session.headers["Authorization"] = f"Bearer {token}"
        self._open = ExitStack()

    def __enter__(self) -> "GraphClient":
        self._open.enter_context(kept_secret(self._token))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._session.close()
        self._open.close()

    def fetch_page(self, page_id: str) -> Answer[PageProfile]:
        return self._get(page_id, {"fields": "id,name"}, parse_page)

    def fetch_conversations(
        self, page_id: str, platform: str, *, limit: int, messages: int, after: str | None = None
    ) -> Answer[UnreadThreads]:
        """One answer of the page's threads, newest first, each with its newest messages.

        Source: Graph API reference, Page Conversations.
        """
        parameters = {"platform": platform, "fields": _fields(messages), "limit": str(limit)}
        return self._get(f"{page_id}/conversations", _from(parameters, after), parse_cursor)

    def fetch_thread(self, thread_id: str, *, messages: int) -> Answer[Listing[Thread]]:
        """One thread, as a list of one. Raises ObjectRefused where it is gone."""
        return self._get(thread_id, {"fields": _fields(messages)}, parse_one_thread)

    def fetch_messages(
        self, thread_id: str, *, limit: int, after: str | None = None
    ) -> Answer[Listing[Message]]:
        """One answer of a thread's messages, newest first."""
        parameters = {"fields": MESSAGE_FIELDS, "limit": str(limit)}
        return self._get(f"{thread_id}/messages", _from(parameters, after), parse_messages)

    def fetch_profile(self, contact_id: str, platform: str) -> Answer[str | None]:
        """A contact's name. Often refused, for good: ObjectRefused.

        Source: Messenger Platform, User Profile API; Instagram Platform, User Profile API.
        """
        fields = "first_name,last_name" if platform == "messenger" else "name,username"
        return self._get(contact_id, {"fields": fields}, parse_profile)

    def fetch_token_state(self, token: str) -> Answer[TokenState]:
        """What Meta says of a page's token, which this client, the app's or the page's, asks about.

        Source: Graph API reference, debug_token. It takes the token in its query and not elsewhere.
        """
        return self._get("debug_token", {"input_token": token}, parse_token_state)

    def fetch_subscribed_apps(self, page_id: str) -> Answer[list[SubscribedApp]]:
        """The apps that get the page's webhooks; a page's token is shown its own app alone.

        Source: Graph API reference, Page Subscribed Apps.
        """
        fields = {"fields": "id,subscribed_fields"}
        return self._get(f"{page_id}/subscribed_apps", fields, parse_subscribed_apps)

    def redact(self, text: str) -> str:
        """`text` without what is secret, this client's token too."""
        return redact(text, self._token)

    def _get(
        self, path: str, parameters: dict[str, str], parse: Callable[[bytes], Content]
    ) -> Answer[Content]:
        """Service trouble is tried again a few times. A limit uses none of them up: where the
        pause is short, the next turn comes after it."""
        paused = 0.0
        while True:
            try:
                return self._get_stubbornly(path, parameters, parse)
            except _Refused as refused:
                limited = refused.limited
                limited.seconds = self._pace.pause(limited.scope, limited.seconds)
                paused += limited.seconds
                if paused > _PATIENCE:
                    raise limited from None

    def _get_stubbornly(
        self, path: str, parameters: dict[str, str], parse: Callable[[bytes], Content]
    ) -> Answer[Content]:
        for attempt in stamina.retry_context(on=_again, attempts=_ATTEMPTS, timeout=120):
            with attempt:
                return self._get_once(path, parameters, parse)
        raise AssertionError("unreachable: the last attempt raises")

    def _get_once(
        self, path: str, parameters: dict[str, str], parse: Callable[[bytes], Content]
    ) -> Answer[Content]:
        self._pace.wait()
        self.calls += 1
        address = f"{self._api.url}/{self._api.version}/{path}"
        try:
            # Read at once: requests' own reading takes ten kilobytes at a time.
            with self._session.get(
                address, params=parameters | self._proof(), timeout=_TIMEOUT,
                allow_redirects=False, stream=True,
            ) as response:  # fmt: skip
                body = response.raw.read(decode_content=True)
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
            raise GraphConfigurationError(
                f"{self._redact(error)}. Correct MESSENGER_GRAPH_URL."
            ) from None
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError) as error:
            # Not chained: the original names the address with its proof.
            self.errors["no answer"] += 1
            raise TransientError(f"No answer from {self._api.url}: {self._redact(error)}") from None
        date = _date(response.headers.get("Date"))
        usage = parse_usage(response.headers)
        # On errors too.
        self._pace.tell(usage.app, max(usage.page, usage.business))
        try:
            content = self._content(response, body, parse)
        except GraphError as error:
            self.errors[_name(error)] += 1
            if isinstance(error, RateLimited):
                raise _Refused(error) from None
            error.date = date
            raise
        if usage.regain_seconds:
            self._pace.pause("page", usage.regain_seconds)
        return Answer(content, date)

    def _content(
        self, response: requests.Response, body: bytes, parse: Callable[[bytes], Content]
    ) -> Content:
        if response.status_code == 200:
            try:
                return parse(body)
            except UnexpectedAnswer as error:
                # An error under 200, a body cut short, or really another shape.
                told = self._fault(response, body)
                if told is None and not body.rstrip().endswith((b"}", b"]")):
                    told = TransientError("The answer is cut short", status=200)
                raise (told or error) from None
        fault = self._fault(response, body)
        raise fault or UnexpectedAnswer("No success, and no error", status=response.status_code)

    def _fault(self, response: requests.Response, body: bytes) -> GraphError | None:
        return fault_in(response.status_code, body, response.headers, self._token)

    def _proof(self) -> dict[str, str]:
        """appsecret_proof, made for each attempt: it is valid for five minutes.

        Source: Graph API "Secure Graph API Calls".
        """
        if self._api.app_secret is None:
            return {}
        now = str(int(time.time()))
        proof = hmac.new(
            self._api.app_secret.encode(), f"{self._token}|{now}".encode(), hashlib.sha256
        )
        return {"appsecret_proof": proof.hexdigest(), "appsecret_time": now}

    def _redact(self, error: Exception) -> str:
        # urllib3 repeats the whole address in the middle of its sentence.
        return self.redact(re.sub(r" with url: \S+", "", str(error)))


def _again(error: Exception) -> bool | float:
    """Whether to try again, or after how many seconds where the answer told."""
    return isinstance(error, TransientError) and (error.seconds or True)


class _Refused(Exception):
    """A limit of Meta's, told by an answer and not by the shared budget."""

    def __init__(self, limited: RateLimited) -> None:
        super().__init__(str(limited))
        self.limited = limited


def _name(error: GraphError) -> str:
    """What an error counts as."""
    if error.code is not None:
        return str(error.code)
    return f"HTTP {error.status}" if error.status else "no answer"


def _fields(messages: int) -> str:
    nested = f",messages.limit({messages}){{{MESSAGE_FIELDS}}}" if messages else ""
    return THREAD_FIELDS + nested


def _from(parameters: dict[str, str], after: str | None) -> dict[str, str]:
    return parameters | {"after": after} if after else parameters


def _date(header: str | None) -> datetime:
    try:
        return parsedate_to_datetime(header or "").astimezone(UTC)
    except ValueError:
        return datetime.now(UTC)
