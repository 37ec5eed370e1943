"""The webhook over HTTP: verification, signatures, and what is stored."""

import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
import requests

from messenger_pipeline.db import inbox
from messenger_pipeline.db.pool import Database
from messenger_pipeline.web.receiver import MAX_BODY_BYTES
from messenger_pipeline.webhook.drain import drain_batch
from tests.db.test_load import query
from tests.web.conftest import NEW, OLD, TOKEN, Receiver, serve_receiver, signature
from tests.webhook.shapes import delivery, item

Stored = Callable[[], list[bytes]]
BODY = delivery(item(message={"mid": "m_1", "text": "hi"}))
VERIFICATION = {"hub.mode": "subscribe", "hub.verify_token": TOKEN, "hub.challenge": "1158201444"}


# -- Verification -------------------------------------------------------------------------------


def test_a_verification_request_gets_its_challenge_back(receiver: Receiver) -> None:
    answer = requests.get(receiver.webhook, params=VERIFICATION, timeout=30)
    assert (answer.status_code, answer.text) == (200, "1158201444")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    head = requests.head(receiver.webhook, params=VERIFICATION, timeout=30)
    assert (head.status_code, head.text) == (200, "")


def test_other_query_parameters_are_ignored(receiver: Receiver) -> None:
    for more in ("&x=1" * 1000, "&hub.verify_token=wrong", "&&=&hub.more=%ff"):
        answer = requests.get(f"{receiver.webhook}?{urlencode(VERIFICATION)}{more}", timeout=30)
        assert (answer.status_code, answer.text) == (200, "1158201444")


def test_a_challenge_is_echoed_as_text_that_no_browser_runs(receiver: Receiver) -> None:
    challenge = "<script>ä😍</script>"
    answer = requests.get(
        receiver.webhook, {**VERIFICATION, "hub.challenge": challenge}, timeout=30
    )
    assert answer.text == challenge
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "query_string",
    [
        "",
        *(urlencode({k: v for k, v in VERIFICATION.items() if k != name}) for name in VERIFICATION),
        *(urlencode(VERIFICATION | {name: ""}) for name in VERIFICATION),
        urlencode(VERIFICATION | {"hub.mode": "unsubscribe"}),
        urlencode(VERIFICATION | {"hub.verify_token": "a verify token"}),
        urlencode(VERIFICATION | {"hub.verify_token": TOKEN + " "}),
        urlencode(VERIFICATION | {"hub.verify_token": TOKEN.upper()}),
        urlencode(VERIFICATION | {"hub.challenge": "1" * 1001}),
        urlencode([("hub.verify_token", "wrong"), *VERIFICATION.items()]),
        urlencode([("hub.mode", "x"), *VERIFICATION.items()]),
        "&x=1" * 1000,
        "hub.verify_token=%ff%fe&hub.mode=subscribe&hub.challenge=1",
        "&&&=&hub.mode",
        "%",
    ],
)
def test_any_other_verification_request_is_refused(receiver: Receiver, query_string: str) -> None:
    answer = requests.get(f"{receiver.webhook}?{query_string}", timeout=30)
    assert answer.status_code == 403
    assert "MESSENGER_VERIFY_TOKEN" in answer.json()["error"]
    assert TOKEN not in answer.text


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "NONSENSE"])
def test_other_methods_get_405_with_the_allowed_ones(
    receiver: Receiver, stored: Stored, method: str
) -> None:
    signed = {"X-Hub-Signature-256": signature(BODY)}
    answer = requests.request(method, receiver.webhook, data=BODY, headers=signed, timeout=30)
    assert answer.status_code in ((400, 405) if method == "NONSENSE" else (405,))
    if answer.status_code == 405:
        assert answer.headers["allow"] == "GET, HEAD, POST"
    assert stored() == []


# -- Deliveries ---------------------------------------------------------------------------------


def test_a_signed_body_is_stored_byte_for_byte(receiver: Receiver, stored: Stored) -> None:
    """It has Meta's escapes, which parsing and printing would change."""
    body = b'{"object":"page", "entry":[{"text":"\\u00e4\\/ \xc3\xa4"}]}\n'
    answer = receiver.post(body)
    assert (answer.status_code, answer.text) == (200, "EVENT_RECEIVED")
    assert stored() == [body]
    assert receiver.commits == [1]


def test_both_secrets_of_a_rotation_are_valid(receiver: Receiver, stored: Stored) -> None:
    for secret in (OLD, NEW):
        answer = receiver.post(BODY, **{"X-Hub-Signature-256": signature(BODY, secret)})
        assert answer.status_code == 200
    assert stored() == [BODY, BODY]


VALID = signature(BODY)


@pytest.mark.parametrize(
    "given",
    [
        "",
        "sha256=",
        VALID.removeprefix("sha256="),
        VALID.upper(),
        "SHA256=" + VALID[7:],
        "sha256=" + VALID[7:].upper(),
        "sha1=" + VALID[7:],
        "sha1=" + VALID[7:47],
        VALID[:-1],
        VALID + "0",
        VALID + "," + VALID,
        VALID.replace("=", " = "),
        "sha256=" + "0" * 64,
        "sha256=" + "é" * 64,
        "sha256=" + "é" * 32,
        signature(BODY, "another secret"),
        signature(BODY, ""),
        signature(BODY + b" "),
    ],
)
def test_a_wrong_signature_is_refused_and_nothing_is_stored(
    receiver: Receiver, stored: Stored, given: str
) -> None:
    answer = receiver.post(BODY, **{"X-Hub-Signature-256": given.encode("latin-1")})  # type: ignore[arg-type]
    assert answer.status_code == 403
    assert "MESSENGER_APP_SECRET" in answer.json()["error"]
    assert stored() == []
    assert receiver.commits == []


def exchange(receiver: Receiver, *parts: bytes) -> bytes:
    """The response to raw bytes."""
    address = urlsplit(receiver.url)
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
        (f"X-Hub-Signature: {VALID}",),
        (f"X-Hub-Signature-256: {VALID}", f"X-Hub-Signature-256: {VALID}"),
        ("X-Hub-Signature-256: wrong", f"X-Hub-Signature-256: {VALID}"),
    ],
)
def test_there_must_be_exactly_one_signature(
    receiver: Receiver, stored: Stored, headers: tuple[str, ...]
) -> None:
    answer = exchange(receiver, request(f"Content-Length: {len(BODY)}", *headers))
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert stored() == []


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "", "application/x-www-form-urlencoded", "multipart/form-data; cutoff=x",
     "application/json; charset=utf-16", "nonsense/;;"],
)  # fmt: skip
def test_the_content_type_does_not_matter(
    receiver: Receiver, stored: Stored, content_type: str
) -> None:
    assert receiver.post(BODY, **{"Content-Type": content_type}).status_code == 200
    assert stored() == [BODY]


def test_a_chunked_body_is_stored_whole(receiver: Receiver, stored: Stored) -> None:
    parts = iter([BODY[:10], BODY[10:11], BODY[11:]])
    answer = requests.post(
        receiver.webhook, parts, headers={"X-Hub-Signature-256": VALID}, timeout=30
    )
    assert answer.status_code == 200
    assert stored() == [BODY]


def test_a_body_of_the_maximum_size_is_stored(receiver: Receiver, web_database: Database) -> None:
    body = b" " * (MAX_BODY_BYTES - len(BODY)) + BODY
    assert receiver.post(body).status_code == 200
    assert query(web_database, "select length(body) from webhook_inbox") == [(MAX_BODY_BYTES,)]
    assert drain_batch(web_database).states == {"waiting": 1}


def test_a_larger_body_is_refused_before_it_is_sent(receiver: Receiver, stored: Stored) -> None:
    length = f"Content-Length: {MAX_BODY_BYTES + 1}"
    answer = exchange(receiver, request(length, "Expect: 100-continue", body=b""))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert stored() == []


def test_a_larger_chunked_body_is_refused(receiver: Receiver, stored: Stored) -> None:
    body = b" " * (MAX_BODY_BYTES + 1)
    chunks = (body[start : start + 2**20] for start in range(0, len(body), 2**20))
    headers = {"X-Hub-Signature-256": signature(body)}
    answer = requests.post(receiver.webhook, chunks, headers=headers, timeout=30)
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
def test_a_signed_body_that_is_no_delivery_is_stored_and_quarantined(
    receiver: Receiver, web_database: Database, body: bytes, why: str
) -> None:
    assert receiver.post(body).status_code == 200
    [(number, inbox_body)] = query(web_database, "select id, body from webhook_inbox")
    assert inbox_body == body
    assert drain_batch(web_database).states == {"failed": 1}
    [settled] = inbox.get_deliveries(web_database, [number])
    assert settled.outcomes == [{"item": "body", "outcome": "quarantined", "reason": why}]
    found = query(
        web_database, "select kind, reason, (record ->> 'delivery')::int from quarantined_records"
    )
    assert found == [("delivery", why, number)]


# -- Other routes -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "answered"),
    [
        ("/healthz", {"status": "alive"}),
        ("/readyz", {"status": "ready"}),
    ],
)
def test_the_health_routes_report_the_state(receiver: Receiver, path: str, answered: Any) -> None:
    answer = requests.get(receiver.url + path, timeout=30)
    assert (answer.status_code, answer.json()) == (200, answered)


@pytest.mark.parametrize("path", ["/x", "/api/webhook/", "/api", "/api/webhook/x", "//api/webhook"])
def test_no_other_path_accepts_deliveries(receiver: Receiver, stored: Stored, path: str) -> None:
    signed = {"X-Hub-Signature-256": VALID}
    answer = requests.post(receiver.url + path, BODY, headers=signed, timeout=30)
    assert answer.status_code == 404
    assert stored() == []


def test_it_is_not_ready_if_the_schema_lacks_the_inbox_function(
    url: str, database: Database
) -> None:
    with database.transaction() as connection:
        connection.execute("drop function receive_webhook_deliveries")
    with serve_receiver(url) as receiver:
        answer = requests.get(receiver.url + "/readyz", timeout=10)
        assert answer.status_code == 503
        assert "messenger-pipeline db upgrade" in answer.json()["error"]
