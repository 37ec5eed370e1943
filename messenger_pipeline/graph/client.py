"""HTTP to the Graph API: one page's token, one connection kept alive, one retry layer."""

import logging
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

import stamina

from messenger_pipeline.errors import (
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
from messenger_pipeline.graph.reading import (
    UnparsedThreads,
    parse_cursor,
    parse_list,
    parse_messages,
    parse_one_thread,
    parse_page,
    parse_profile,
)
from messenger_pipeline.graph.transport import RawAnswer, Transport
from messenger_pipeline.redaction import kept_secret, redact

_log = logging.getLogger(__name__)


def _log_retry(details: stamina.instrumentation.RetryDetails) -> None:
    _log.warning("%s; retrying in %.1f s", details.caused_by, details.wait_for)


stamina.instrumentation.set_on_retry_hooks([_log_retry])

_ATTEMPTS = 5  # of a call that meets transient errors

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
        self._token = token
        self._pace = pace
        self.calls = 0
        """Calls made so far, including failed ones."""
        self.errors: Counter[str] = Counter()
        """Failed calls by Meta's code, else by HTTP status, else `no answer`."""
        self._transport = Transport(api.url, api.version, api.app_secret, token)
        self._open = ExitStack()

    def __enter__(self) -> "GraphClient":
        self._open.enter_context(kept_secret(self._token))
        return self

    def __exit__(self, *_: object) -> None:
        self._transport.close()
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
        self,
        page_id: str,
        platform: str,
        *,
        limit: int,
        messages: int,
        after: str | None = None,
        attempts: int | None = None,
    ) -> Answer[UnparsedThreads]:
        """One answer of the page's threads, newest first, each with its newest messages.

        Source: Graph API reference, Page Conversations.
        """
        parameters = {"platform": platform, "fields": thread_fields(messages), "limit": str(limit)}
        if after is not None:
            parameters["after"] = after
        return self._get(f"{page_id}/conversations", parameters, parse_cursor, attempts)

    def fetch_thread(
        self, thread_id: str, *, messages: int, attempts: int | None = None
    ) -> Answer[Listing[Thread]]:
        """One thread, as a list of one. Raises ObjectRefused if it is gone."""
        fields = {"fields": thread_fields(messages)}
        return self._get(thread_id, fields, parse_one_thread, attempts)

    def fetch_messages(
        self, thread_id: str, *, limit: int, after: str | None = None, attempts: int | None = None
    ) -> Answer[Listing[Message]]:
        """One answer of a thread's messages, newest first."""
        parameters = {"fields": MESSAGE_FIELDS, "limit": str(limit)}
        if after is not None:
            parameters["after"] = after
        return self._get(f"{thread_id}/messages", parameters, parse_messages, attempts)

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
        attempts: int | None = None,
    ) -> Answer[Content]:
        """Retry transient errors, up to 5 attempts by default, and wait for limits that pass soon.

        Waiting for a limit uses up no retry.
        """
        paused = 0.0
        while True:
            try:
                return self._get_with_retries(path, parameters, parse, attempts or _ATTEMPTS)
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
        raw = self._send(path, parameters)
        date = answer_date(raw.headers)
        usage = parse_usage(raw.headers)
        # Error answers have usage headers too.
        self._pace.record_usage(usage.app, max(usage.page, usage.business))
        try:
            content = self._content(raw, parse)
        except GraphError as error:
            self.errors[error_key(error)] += 1
            if isinstance(error, RateLimited):
                raise _LimitReached(error) from None
            error.date = date
            raise
        if usage.regain_seconds:
            self._pace.pause("page", usage.regain_seconds)
        return Answer(content, date)

    def _send(self, path: str, parameters: dict[str, str]) -> RawAnswer:
        try:
            return self._transport.get(path, parameters)
        except TransientError:
            self.errors["no answer"] += 1
            raise

    def _content(self, raw: RawAnswer, parse: Callable[[bytes], Content]) -> Content:
        if raw.status == 200:
            try:
                return parse(raw.body)
            except UnexpectedAnswer as error:
                # An error with status 200, a truncated body, or indeed another shape.
                stated = self._error(raw)
                if stated is None and not raw.body.rstrip().endswith((b"}", b"]")):
                    stated = TransientError("The answer is truncated", status=200)
                raise (stated or error) from None
        raise self._error(raw) or UnexpectedAnswer(
            "The answer is neither a success nor an error", status=raw.status
        )

    def _error(self, raw: RawAnswer) -> GraphError | None:
        return parse_error(raw.status, raw.body, raw.headers, self._token)


def _should_retry(error: Exception) -> bool | float:
    """Whether to retry, or the seconds to retry after if the answer stated them."""
    return isinstance(error, TransientError) and (error.seconds or True)


class _LimitReached(Exception):
    """A RateLimited that an answer stated, apart from those that the pace raises."""

    def __init__(self, error: RateLimited) -> None:
        super().__init__(str(error))
        self.error = error
