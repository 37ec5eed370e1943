"""Front ends at other origins: what MESSENGER_ALLOWED_ORIGINS lets them do."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.web.conftest import KEY, Receiver, serve_receiver
from tests.web.waiting import SYNC

APP = "https://app.example.com"
STREAM = SYNC + "-stream"


@pytest.fixture(scope="module")
def allowing(web_url: str) -> Iterator[Receiver]:
    with serve_receiver(web_url, allowed_origins=(APP, "http://localhost:3000")) as receiver:
        yield receiver


def preflight(receiver: Receiver, path: str, origin: str, method: str = "POST") -> Any:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "content-type, prefer, x-api-key",
    }
    return receiver.request("OPTIONS", path, key=None, headers=asked)


def cookie_of(receiver: Receiver) -> str:
    answer = receiver.request("POST", "/login", key=None, json={"key": KEY})
    return str(answer.headers["set-cookie"]).partition(";")[0]


def test_a_preflight_needs_no_key_and_is_answered_for_exact_origins(allowing: Receiver) -> None:
    for path in (SYNC, STREAM, "/login", "/api/pages"):
        answer = preflight(allowing, path, APP)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == APP
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert "Origin" in answer.headers["vary"]
    for origin in (
        "https://app.example.com.evil.example", "https://evil.example", "http://app.example.com",
        "https://app.example.com:8443", "https://APP.example.com", "null", "*",
    ):  # fmt: skip
        answer = preflight(allowing, SYNC, origin)
        assert answer.status_code == 400
        assert "access-control-allow-origin" not in answer.headers
    assert preflight(allowing, SYNC, APP, "DELETE").status_code == 400


def test_answers_and_refusals_can_be_read_by_allowed_origins_alone(allowing: Receiver) -> None:
    for key, status in ((KEY, 422), (None, 401), ("wrong", 401)):
        answer = allowing.request("POST", SYNC, key=key, json={}, headers={"Origin": APP})
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == APP
        assert answer.headers["vary"] == "Origin"
    for headers in ({"Origin": "https://evil.example"}, {}):
        answer = allowing.request("GET", "/api/pages", headers=headers)
        assert answer.status_code == 200
        assert "access-control-allow-origin" not in answer.headers
        assert answer.headers["vary"] == "Origin"
    exposed = allowing.request("GET", "/api/pages", headers={"Origin": APP})
    assert "Preference-Applied" in exposed.headers["access-control-expose-headers"]


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"Origin": APP, "Sec-Fetch-Site": "cross-site"}, 422),
        ({"Origin": APP, "Sec-Fetch-Site": "same-site"}, 422),
        ({"Origin": APP}, 422),
        ({"Sec-Fetch-Site": "same-origin"}, 422),
        ({"Origin": "HERE"}, 422),
        ({"Referer": "HERE/page"}, 422),
        ({"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "https://evil.example", "Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "https://evil.example", "Referer": "HERE/"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Referer": "https://evil.example/HERE"}, 403),
        ({}, 403),
    ],
)
def test_with_the_cookie_only_allowed_origins_may_request_a_sync(
    allowing: Receiver, given: dict[str, str], status: int
) -> None:
    """Also with GET, which an EventSource sends. The key in a header is asked for no origin."""
    sent = {name: value.replace("HERE", allowing.url) for name, value in given.items()}
    cookie = {"Cookie": cookie_of(allowing)}
    for method, path in (("POST", SYNC), ("POST", STREAM), ("GET", f"{STREAM}?pageId=%20")):
        answer = allowing.request(method, path, key=None, headers=sent | cookie)
        assert answer.status_code == status, (method, path)
        answer = allowing.request(method, path, headers=sent)
        assert answer.status_code == 422


def test_with_the_cookie_other_sites_read_nothing(allowing: Receiver) -> None:
    """A cookie that every site may send is worth no more there than none."""
    cookie = {"Cookie": cookie_of(allowing)}
    for headers, status in (
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": APP}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({}, 200),
    ):
        for path in ("/api/pages", "/api/overview"):
            answer = allowing.request("GET", path, key=None, headers=headers | cookie)
            assert answer.status_code == status, (headers, path)


def test_without_the_setting_nothing_is_allowed_and_the_cookie_stays_strict(
    served: Receiver,
) -> None:
    assert "access-control-allow-origin" not in preflight(served, SYNC, APP).headers
    https = {"X-Forwarded-Proto": "https"}
    answer = served.request("POST", "/login", key=None, json={"key": KEY}, headers=https)
    assert "SameSite=strict" in answer.headers["set-cookie"]
    assert "Partitioned" not in answer.headers["set-cookie"]


def test_the_webhook_is_no_route_of_browsers(allowing: Receiver) -> None:
    answer = preflight(allowing, "/api/webhook", APP)
    assert "access-control-allow-origin" not in answer.headers


def test_the_cookie_of_a_page_at_another_site_goes_as_it_came(allowing: Receiver) -> None:
    https = {"X-Forwarded-Proto": "https", "Origin": APP}
    came = allowing.request("POST", "/login", key=None, json={"key": KEY}, headers=https)
    went = allowing.request("POST", "/logout", key=None, headers=https)
    for answer in (came, went):
        assert answer.status_code == 204
        attributes = {one.strip() for one in answer.headers["set-cookie"].split(";")}
        assert {"HttpOnly", "Secure", "SameSite=none", "Partitioned", "Path=/"} <= attributes
        assert answer.headers["access-control-allow-origin"] == APP
    assert "Max-Age=0" in went.headers["set-cookie"]
