"""The webhook as an ASGI application: sequences of messages that no client sends at will."""

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messenger_pipeline.errors import DatabaseUnavailable
from messenger_pipeline.web.receiver import MAX_BYTES, Webhook
from tests.web.conftest import NEW, OLD, TOKEN, signature

BODY = b'{"object":"page","entry":[]}'
GONE: dict[str, Any] = {"type": "http.disconnect"}


class Kept:
    """An inbox in memory; `away` as the database can be."""

    def __init__(self, away: bool = False) -> None:
        self.bodies: list[bytes] = []
        self._away = away

    async def keep(self, body: bytes) -> None:
        if self._away:
            raise DatabaseUnavailable("away")
        self.bodies.append(body)


def chunks(*bodies: bytes) -> list[dict[str, Any]]:
    """A body in parts, of which more are to come."""
    return [{"type": "http.request", "body": body, "more_body": True} for body in bodies]


def exchange(
    inbox: Kept, messages: Iterable[dict[str, Any]], signed: str, **headers: str
) -> tuple[list[dict[str, Any]], int]:
    """What is sent in answer, and how many of the messages were not asked for."""
    waiting = [*messages]
    sent: list[Any] = []

    async def receive() -> Any:
        return waiting.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    told = {"x-hub-signature-256": signed, **{k.replace("_", "-"): v for k, v in headers.items()}}
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/webhook",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in told.items()],
    }
    asyncio.run(Webhook(inbox, [NEW], TOKEN)(scope, receive, send))
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
def test_a_body_is_the_same_however_it_is_cut(messages: list[dict[str, Any]]) -> None:
    inbox = Kept()
    sent, _ = exchange(inbox, messages, signature(BODY))
    assert status(sent) == 200
    assert inbox.bodies == [BODY]


@pytest.mark.parametrize(
    "messages", [[GONE], [*chunks(BODY), GONE], [*chunks(BODY[:5], BODY[5:]), GONE]]
)
def test_a_sender_that_goes_away_in_the_middle_leaves_nothing(
    messages: list[dict[str, Any]],
) -> None:
    """Not even a body that is whole by its signature: nobody said that it is."""
    inbox = Kept()
    assert exchange(inbox, messages, signature(BODY)) == ([], 0)
    assert inbox.bodies == []


def test_without_a_signature_nothing_is_read() -> None:
    inbox = Kept()
    sent, unread = exchange(inbox, chunks(b"{}", b" "), "")
    assert (status(sent), unread) == (403, 2)


def test_what_is_too_large_is_read_no_further() -> None:
    inbox, part = Kept(), b" " * (MAX_BYTES // 4)
    parts = chunks(*[part] * 5, b" ", b" ")
    sent, unread = exchange(inbox, parts, signature(part * 5))
    assert (status(sent), unread) == (413, 2)
    sent, unread = exchange(inbox, chunks(BODY), signature(BODY), content_length=str(MAX_BYTES + 1))
    assert (status(sent), unread) == (413, 1)
    [whole] = chunks(part * 5)
    sent, _ = exchange(inbox, [whole | {"more_body": False}], signature(part * 5))
    assert status(sent) == 413
    assert inbox.bodies == []


@pytest.mark.parametrize("told", ["-1", "ten", "", "1.5", "9" * 5000, "0" * 30 + "1", "²"])
def test_a_length_that_is_none_decides_nothing_but_the_body(told: str) -> None:
    inbox = Kept()
    end = [{"type": "http.request", "body": BODY}]
    sent, _ = exchange(inbox, end, signature(BODY), content_length=told)
    assert status(sent) == (413 if told == "9" * 5000 else 200)


@given(
    st.binary(max_size=100),
    st.binary(max_size=80)
    | st.text("0123456789abcdef", min_size=64, max_size=64).map(
        lambda told: b"sha256=" + told.encode()
    ),
)
def test_no_other_signature_is_believed(body: bytes, told: bytes) -> None:
    webhook = Webhook(Kept(), [OLD, NEW], TOKEN)
    right = {signature(body, secret).encode() for secret in (OLD, NEW)}
    assert all(webhook.signed(body, one) for one in right)
    assert webhook.signed(body, told) == (told in right)
    assert not any(webhook.signed(body + b" ", one) for one in right)


def test_what_cannot_be_kept_is_to_be_sent_again() -> None:
    sent, _ = exchange(Kept(away=True), [{"type": "http.request", "body": BODY}], signature(BODY))
    assert status(sent) == 503
    assert b"send it again" in sent[1]["body"]


def test_an_unsigned_body_is_refused_whether_it_could_be_kept_or_not() -> None:
    sent, _ = exchange(Kept(away=True), [{"type": "http.request", "body": BODY}], "")
    assert status(sent) == 403
