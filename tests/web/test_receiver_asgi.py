"""The webhook as an ASGI application, with messages that an HTTP client cannot force."""

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messenger_pipeline.errors import DatabaseUnavailable
from messenger_pipeline.web.receiver import MAX_BODY_BYTES, Webhook
from messenger_pipeline.web.receiver_metrics import ReceiverMetrics
from tests.web.conftest import NEW, OLD, TOKEN, signature

BODY = b'{"object":"page","entry":[]}'
DISCONNECT: dict[str, Any] = {"type": "http.disconnect"}


class MemoryInbox:
    """An inbox in memory. With `down` it fails as if the database were down."""

    def __init__(self, down: bool = False) -> None:
        self.bodies: list[bytes] = []
        self._down = down

    async def store(self, body: bytes) -> None:
        if self._down:
            raise DatabaseUnavailable("down")
        self.bodies.append(body)


def chunks(*bodies: bytes) -> list[dict[str, Any]]:
    """Parts of a body, each announcing more."""
    return [{"type": "http.request", "body": body, "more_body": True} for body in bodies]


def exchange(
    inbox: MemoryInbox, messages: Iterable[dict[str, Any]], signed: str, **headers: str
) -> tuple[list[dict[str, Any]], int]:
    """The messages of the response, and how many of the request's were not read."""
    waiting = [*messages]
    sent: list[Any] = []

    async def receive() -> Any:
        return waiting.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    given = {"x-hub-signature-256": signed, **{k.replace("_", "-"): v for k, v in headers.items()}}
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/webhook",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }
    asyncio.run(Webhook(inbox, ReceiverMetrics(), [NEW], TOKEN)(scope, receive, send))
    return sent, len(waiting)


def status(sent: list[dict[str, Any]]) -> int:
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    return int(sent[0]["status"])


@pytest.mark.parametrize(
    "messages",
    [
        [{"type": "http.request", "body": BODY}],
        [{"type": "http.request", "body": BODY, "more_body": False}],
        [*chunks(BODY), {"type": "http.request"}],
        [*chunks(b"", BODY[:5], b"", BODY[5:]), {"type": "http.request", "body": b""}],
        [*chunks(*(bytes([one]) for one in BODY)), {"type": "http.request", "more_body": False}],
    ],
)
def test_a_body_may_arrive_in_any_parts(messages: list[dict[str, Any]]) -> None:
    inbox = MemoryInbox()
    sent, _ = exchange(inbox, messages, signature(BODY))
    assert status(sent) == 200
    assert inbox.bodies == [BODY]


@pytest.mark.parametrize(
    "messages",
    [[DISCONNECT], [*chunks(BODY), DISCONNECT], [*chunks(BODY[:5], BODY[5:]), DISCONNECT]],
)
def test_nothing_is_stored_of_a_sender_that_disconnects_midway(
    messages: list[dict[str, Any]],
) -> None:
    """Not even a body whose signature is valid: its end was not received."""
    inbox = MemoryInbox()
    assert exchange(inbox, messages, signature(BODY)) == ([], 0)
    assert inbox.bodies == []


def test_a_body_without_a_signature_is_not_read() -> None:
    inbox = MemoryInbox()
    sent, unread = exchange(inbox, chunks(b"{}", b" "), "")
    assert (status(sent), unread) == (403, 2)


def test_reading_stops_at_the_body_limit() -> None:
    inbox, part = MemoryInbox(), b" " * (MAX_BODY_BYTES // 4)
    parts = chunks(*[part] * 5, b" ", b" ")
    sent, unread = exchange(inbox, parts, signature(part * 5))
    assert (status(sent), unread) == (413, 2)
    sent, unread = exchange(
        inbox, chunks(BODY), signature(BODY), content_length=str(MAX_BODY_BYTES + 1)
    )
    assert (status(sent), unread) == (413, 1)
    [whole] = chunks(part * 5)
    sent, _ = exchange(inbox, [whole | {"more_body": False}], signature(part * 5))
    assert status(sent) == 413
    assert inbox.bodies == []


@pytest.mark.parametrize("given", ["-1", "ten", "", "1.5", "9" * 5000, "0" * 30 + "1", "²"])
def test_an_invalid_content_length_is_ignored(given: str) -> None:
    inbox = MemoryInbox()
    end = [{"type": "http.request", "body": BODY}]
    sent, _ = exchange(inbox, end, signature(BODY), content_length=given)
    assert status(sent) == (413 if given == "9" * 5000 else 200)


@given(
    st.binary(max_size=100),
    st.binary(max_size=80)
    | st.text("0123456789abcdef", min_size=64, max_size=64).map(
        lambda given: b"sha256=" + given.encode()
    ),
)
def test_no_other_signature_is_valid(body: bytes, given: bytes) -> None:
    webhook = Webhook(MemoryInbox(), ReceiverMetrics(), [OLD, NEW], TOKEN)
    right = {signature(body, secret).encode() for secret in (OLD, NEW)}
    assert all(webhook.is_signed(body, one) for one in right)
    assert webhook.is_signed(body, given) == (given in right)
    assert not any(webhook.is_signed(body + b" ", one) for one in right)


def test_a_body_that_cannot_be_stored_gets_503() -> None:
    sent, _ = exchange(
        MemoryInbox(down=True), [{"type": "http.request", "body": BODY}], signature(BODY)
    )
    assert status(sent) == 503
    assert b"send it again" in sent[1]["body"]


def test_an_unsigned_body_gets_403_while_the_database_is_down_too() -> None:
    sent, _ = exchange(MemoryInbox(down=True), [{"type": "http.request", "body": BODY}], "")
    assert status(sent) == 403
