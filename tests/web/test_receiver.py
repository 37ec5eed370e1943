"""The webhook over HTTP: who is believed, what is kept, and what is answered."""

import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
import requests

from messenger_pipeline.db import inbox
from messenger_pipeline.db.pool import Database
from messenger_pipeline.web.receiver import MAX_BYTES
from messenger_pipeline.webhook.drain import drain_batch
from tests.db.test_load import query
from tests.web.conftest import NEW, OLD, TOKEN, Receiving, received_at, signature
from tests.webhook.shapes import delivery, item

Stored = Callable[[], list[bytes]]
BODY = delivery(item(message={"mid": "m_1", "text": "hi"}))
RIGHT = {"hub.mode": "subscribe", "hub.verify_token": TOKEN, "hub.challenge": "1158201444"}


# -- Verification -------------------------------------------------------------------------------


def test_meta_is_told_its_challenge(receiving: Receiving) -> None:
    answer = requests.get(receiving.webhook, params=RIGHT, timeout=30)
    assert (answer.status_code, answer.text) == (200, "1158201444")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    head = requests.head(receiving.webhook, params=RIGHT, timeout=30)
    assert (head.status_code, head.text) == (200, "")


def test_whatever_else_is_asked_does_not_matter(receiving: Receiving) -> None:
    for more in ("&x=1" * 1000, "&hub.verify_token=wrong", "&&=&hub.more=%ff"):
        answer = requests.get(f"{receiving.webhook}?{urlencode(RIGHT)}{more}", timeout=30)
        assert (answer.status_code, answer.text) == (200, "1158201444")


def test_a_challenge_is_echoed_as_text_that_no_browser_runs(receiving: Receiving) -> None:
    challenge = "<script>ä😍</script>"
    answer = requests.get(receiving.webhook, {**RIGHT, "hub.challenge": challenge}, timeout=30)
    assert answer.text == challenge
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "query_string",
    [
        "",
        *(urlencode({k: v for k, v in RIGHT.items() if k != name}) for name in RIGHT),
        *(urlencode(RIGHT | {name: ""}) for name in RIGHT),
        urlencode(RIGHT | {"hub.mode": "unsubscribe"}),
        urlencode(RIGHT | {"hub.verify_token": "a verify token"}),
        urlencode(RIGHT | {"hub.verify_token": TOKEN + " "}),
        urlencode(RIGHT | {"hub.verify_token": TOKEN.upper()}),
        urlencode(RIGHT | {"hub.challenge": "1" * 1001}),
        urlencode([("hub.verify_token", "wrong"), *RIGHT.items()]),
        urlencode([("hub.mode", "x"), *RIGHT.items()]),
        "&x=1" * 1000,
        "hub.verify_token=%ff%fe&hub.mode=subscribe&hub.challenge=1",
        "&&&=&hub.mode",
        "%",
    ],
)
def test_any_other_question_is_refused(receiving: Receiving, query_string: str) -> None:
    answer = requests.get(f"{receiving.webhook}?{query_string}", timeout=30)
    assert answer.status_code == 403
    assert "MESSENGER_VERIFY_TOKEN" in answer.json()["error"]
    assert TOKEN not in answer.text


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "NONSENSE"])
def test_other_methods_are_refused_and_the_right_ones_named(
    receiving: Receiving, stored: Stored, method: str
) -> None:
    signed = {"X-Hub-Signature-256": signature(BODY)}
    answer = requests.request(method, receiving.webhook, data=BODY, headers=signed, timeout=30)
    assert answer.status_code in ((400, 405) if method == "NONSENSE" else (405,))
    if answer.status_code == 405:
        assert answer.headers["allow"] == "GET, HEAD, POST"
    assert stored() == []


# -- Deliveries ---------------------------------------------------------------------------------


def test_a_signed_body_is_stored_byte_for_byte(receiving: Receiving, stored: Stored) -> None:
    """With Meta's escapes, which a parser and printer would change."""
    body = b'{"object":"page", "entry":[{"text":"\\u00e4\\/ \xc3\xa4"}]}\n'
    answer = receiving.post(body)
    assert (answer.status_code, answer.text) == (200, "EVENT_RECEIVED")
    assert stored() == [body]
    assert receiving.kept == [1]


def test_both_secrets_of_a_rotation_are_believed(receiving: Receiving, stored: Stored) -> None:
    for secret in (OLD, NEW):
        answer = receiving.post(BODY, **{"X-Hub-Signature-256": signature(BODY, secret)})
        assert answer.status_code == 200
    assert stored() == [BODY, BODY]


RIGHTLY = signature(BODY)


@pytest.mark.parametrize(
    "given",
    [
        "",
        "sha256=",
        RIGHTLY.removeprefix("sha256="),
        RIGHTLY.upper(),
        "SHA256=" + RIGHTLY[7:],
        "sha256=" + RIGHTLY[7:].upper(),
        "sha1=" + RIGHTLY[7:],
        "sha1=" + RIGHTLY[7:47],
        RIGHTLY[:-1],
        RIGHTLY + "0",
        RIGHTLY + "," + RIGHTLY,
        RIGHTLY.replace("=", " = "),
        "sha256=" + "0" * 64,
        "sha256=" + "é" * 64,
        "sha256=" + "é" * 32,
        signature(BODY, "another secret"),
        signature(BODY, ""),
        signature(BODY + b" "),
    ],
)
def test_a_wrong_signature_is_refused_and_nothing_is_stored(
    receiving: Receiving, stored: Stored, given: str
) -> None:
    answer = receiving.post(BODY, **{"X-Hub-Signature-256": given.encode("latin-1")})  # type: ignore[arg-type]
    assert answer.status_code == 403
    assert "MESSENGER_APP_SECRET" in answer.json()["error"]
    assert stored() == []
    assert receiving.kept == []


def exchange(receiving: Receiving, *parts: bytes) -> bytes:
    """What is answered to raw bytes."""
    address = urlsplit(receiving.url)
    assert address.port is not None
    with socket.create_connection(("127.0.0.1", address.port), timeout=30) as connection:
        for part in parts:
            connection.sendall(part)
        answer = b""
        while more := connection.recv(65_536):
            answer += more
    return answer


def request(*headers: str, body: bytes = BODY) -> bytes:
    lines = ["POST /api/webhook HTTP/1.1", "Host: x", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (f"X-Hub-Signature: {RIGHTLY}",),
        (f"X-Hub-Signature-256: {RIGHTLY}", f"X-Hub-Signature-256: {RIGHTLY}"),
        ("X-Hub-Signature-256: wrong", f"X-Hub-Signature-256: {RIGHTLY}"),
    ],
)
def test_exactly_one_signature_is_read(
    receiving: Receiving, stored: Stored, headers: tuple[str, ...]
) -> None:
    answer = exchange(receiving, request(f"Content-Length: {len(BODY)}", *headers))
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert stored() == []


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "", "application/x-www-form-urlencoded", "multipart/form-data; cutoff=x",
     "application/json; charset=utf-16", "nonsense/;;"],
)  # fmt: skip
def test_the_content_type_does_not_matter(
    receiving: Receiving, stored: Stored, content_type: str
) -> None:
    assert receiving.post(BODY, **{"Content-Type": content_type}).status_code == 200
    assert stored() == [BODY]


def test_a_chunked_body_is_one(receiving: Receiving, stored: Stored) -> None:
    parts = iter([BODY[:10], BODY[10:11], BODY[11:]])
    answer = requests.post(
        receiving.webhook, parts, headers={"X-Hub-Signature-256": RIGHTLY}, timeout=30
    )
    assert answer.status_code == 200
    assert stored() == [BODY]


def test_a_body_of_the_greatest_size_is_kept(receiving: Receiving, web_database: Database) -> None:
    body = b" " * (MAX_BYTES - len(BODY)) + BODY
    assert receiving.post(body).status_code == 200
    assert query(web_database, "select length(body) from webhook_inbox") == [(MAX_BYTES,)]
    assert drain_batch(web_database).states == {"waiting": 1}


def test_a_greater_body_is_refused_before_it_is_sent(receiving: Receiving, stored: Stored) -> None:
    length = f"Content-Length: {MAX_BYTES + 1}"
    answer = exchange(receiving, request(length, "Expect: 100-continue", body=b""))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert stored() == []


def test_a_greater_body_in_chunks_is_refused(receiving: Receiving, stored: Stored) -> None:
    body = b" " * (MAX_BYTES + 1)
    chunks = (body[start : start + 2**20] for start in range(0, len(body), 2**20))
    headers = {"X-Hub-Signature-256": signature(body)}
    answer = requests.post(receiving.webhook, chunks, headers=headers, timeout=30)
    assert answer.status_code == 413
    assert stored() == []


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"not JSON", "not JSON"),
        (b"", "not JSON"),
        (b"\xff\x00\xfe", "not JSON"),
        (b"[" * 10_000 + b"]" * 10_000, "nested deeper than 64 levels"),
        (b'{"object":"page"}', "it has no entry"),
    ],
)
def test_what_is_no_delivery_but_signed_is_kept_and_quarantined(
    receiving: Receiving, web_database: Database, body: bytes, why: str
) -> None:
    assert receiving.post(body).status_code == 200
    [(number, kept)] = query(web_database, "select id, body from webhook_inbox")
    assert kept == body
    assert drain_batch(web_database).states == {"failed": 1}
    [settled] = inbox.get_deliveries(web_database, [number])
    assert settled.outcomes == [{"item": "body", "outcome": "quarantined", "reason": why}]
    found = query(
        web_database, "select kind, reason, (record ->> 'delivery')::int from quarantined_records"
    )
    assert found == [("delivery", why, number)]


# -- Beside the webhook -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "answered"),
    [
        ("/healthz", {"status": "alive"}),
        ("/readyz", {"status": "ready"}),
    ],
)
def test_its_health_is_told(receiving: Receiving, path: str, answered: Any) -> None:
    answer = requests.get(receiving.url + path, timeout=30)
    assert (answer.status_code, answer.json()) == (200, answered)


@pytest.mark.parametrize("path", ["/x", "/api/webhook/", "/api", "/api/webhook/x", "//api/webhook"])
def test_there_is_nothing_beside(receiving: Receiving, stored: Stored, path: str) -> None:
    signed = {"X-Hub-Signature-256": RIGHTLY}
    answer = requests.post(receiving.url + path, BODY, headers=signed, timeout=30)
    assert answer.status_code == 404
    assert stored() == []


def test_it_is_not_ready_where_the_schema_is_another(url: str, database: Database) -> None:
    with database.transaction() as connection:
        connection.execute("drop function receive_webhook_deliveries")
    with received_at(url) as receiving:
        answer = requests.get(receiving.url + "/readyz", timeout=10)
        assert answer.status_code == 503
        assert "messenger-pipeline db upgrade" in answer.json()["error"]
