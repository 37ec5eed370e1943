"""The deliveries that the benchmark sends look like Meta's."""

import hashlib
import hmac
import json

from bench.webhook.deliveries import PAGES, SECRET, make_body, make_request, mid_of

BODIES = [make_body(serial) for serial in range(3000)]


def test_no_two_deliveries_have_the_same_bytes_and_all_have_a_usual_size() -> None:
    assert len(set(BODIES)) == len(BODIES)
    assert all(300 <= len(body) <= 900 for body in BODIES)


def test_each_delivery_contains_one_message_between_a_page_and_a_contact() -> None:
    for serial, body in enumerate(BODIES):
        [entry] = json.loads(body)["entry"]
        [item] = entry["messaging"]
        assert entry["id"] in PAGES
        assert item["message"]["mid"] == mid_of(serial)
        sent = item["message"].get("is_echo", False)
        assert (item["sender"]["id"] == entry["id"]) == sent
        assert (item["recipient"]["id"] == entry["id"]) != sent


def test_the_request_has_the_signature_of_its_raw_body() -> None:
    for body in BODIES[:10]:
        head, sent = make_request(8000, body).split(b"\r\n\r\n", 1)
        signature = hmac.new(SECRET.encode(), sent, hashlib.sha256).hexdigest()
        assert sent == body
        assert b"\r\nX-Hub-Signature-256: sha256=" + signature.encode() + b"\r\n" in head
        assert b"\r\nContent-Length: %d" % len(sent) in head
