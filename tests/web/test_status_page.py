"""The status page in a real browser, and the routes that it uses."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from playwright.sync_api import Locator, expect

from messenger_pipeline.db import pages
from messenger_pipeline.db.alerts import record_heartbeat
from messenger_pipeline.db.pool import Database
from messenger_pipeline.engine import Engine
from messenger_pipeline.web.auth import COOKIE
from tests.db.test_load import query
from tests.walking import Connect, Simulate, walk
from tests.web.browser import CHROMIUM, Browser, open_browser
from tests.web.conftest import KEY, Receiver, serve_receiver

in_a_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium on PATH: apt-get install chromium"
)
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>"
expect.set_options(timeout=60_000)


@pytest.fixture
def engine(simulate: Simulate, connect: Connect) -> Engine:
    return connect(simulate(conversations=400, latency=0.4))


@pytest.fixture
def small(engine: Engine, database: Database) -> str:
    [page] = pages.list_pages(database)
    return page.facebook_page_id


@pytest.fixture
def control(url: str) -> Iterator[Receiver]:
    with serve_receiver(url) as receiver:
        yield receiver


def register_many(database: Database, count: int) -> None:
    query(
        database,
        "with pages as ("
        "  insert into facebook_pages (facebook_page_id, name, status)"
        "  select (1000000 + i)::text, 'Shop ' || lpad(i::text, 5, '0'),"
        "   case when mod(i, 1000) = 0 then 'needs_reauthorization' else 'active' end"
        "  from generate_series(1, %s) i returning facebook_page_id)"
        " insert into page_tokens (page_id, token_encrypted)"
        " select facebook_page_id, 'x' from pages returning 1",
        count,
    )


def row_of(browser: Browser, page_id: str) -> Locator:
    return browser.page.locator("#pages tr").filter(has_text=page_id)


# -- In a browser -------------------------------------------------------------------------------


@in_a_browser
def test_a_click_starts_a_sync_and_its_progress_moves(
    control: Receiver, engine: Engine, small: str
) -> None:
    with open_browser(control) as browser:
        browser.log_in()
        row = row_of(browser, small)
        expect(browser.page.get_by_text("Live", exact=True)).to_be_visible()
        row.get_by_role("button", name="Sync all").click()
        expect(row.locator(".outcome")).to_contain_text("Accepted")
        expect(row.locator(".session strong")).to_have_text("requested")
        row.get_by_role("button", name="Sync new").click()
        expect(row.locator(".outcome")).to_contain_text("Sync already in progress for this page")

        counts = []
        with ThreadPoolExecutor() as pool:
            run = pool.submit(walk, engine, small)
            expect(row.locator(".session strong")).to_have_text("running")
            while not run.done():
                counts.append(row.locator(".session").all_inner_texts())
                browser.page.wait_for_timeout(100)
            run.result()
        assert len({str(count) for count in counts if "conversations read" in str(count)}) > 2
        expect(row.locator(".outcome")).to_contain_text("completed: Full sync: 400 conversation(s)")
        expect(row.locator(".session")).to_have_count(0)
        expect(row.get_by_role("cell").nth(2)).to_have_text("400")


@in_a_browser
def test_the_buttons_do_not_wait_where_requests_do(url: str, small: str) -> None:
    with serve_receiver(url, wait_seconds=270) as control, open_browser(control) as browser:
        browser.log_in()
        row = row_of(browser, small)
        row.get_by_role("button", name="Sync all").click()
        expect(row.locator(".outcome")).to_contain_text("Accepted")


@in_a_browser
def test_ten_thousand_pages_can_be_searched_filtered_and_paged(
    control: Receiver, database: Database
) -> None:
    register_many(database, 10_000)
    with open_browser(control) as browser:
        browser.log_in()
        found, rows = browser.page.locator("#found"), browser.page.locator("#pages tr")
        expect(found).to_have_text("10,000 pages found")
        expect(rows).to_have_count(50)
        expect(rows.first).to_contain_text("needs re-authorization")
        expect(browser.page.locator("#place")).to_have_text("1 of 200")
        browser.page.get_by_role("button", name="Next").click()
        expect(browser.page.locator("#place")).to_have_text("2 of 200")
        expect(rows.first).to_contain_text("Shop 00041")

        browser.page.get_by_label("Name or id").fill("shop 0999")
        expect(found).to_have_text("10 pages found")
        browser.page.get_by_label("Name or id").fill("1004711")
        expect(rows).to_have_count(1)
        expect(rows).to_contain_text("Shop 04711")
        browser.page.get_by_label("Name or id").fill("%")
        expect(found).to_have_text("0 pages found")
        browser.page.get_by_label("Name or id").fill("")
        browser.page.get_by_label("Status").select_option("needs_reauthorization")
        expect(found).to_have_text("10 pages found")


@in_a_browser
def test_names_reasons_and_platforms_are_shown_as_text_never_as_html(
    control: Receiver, database: Database
) -> None:
    register_many(database, 1)
    query(
        database,
        "update facebook_pages set name = %s, platform = 'instagram',"
        " status = 'needs_reauthorization', status_reason = %s returning 1",
        HOSTILE,
        HOSTILE,
    )
    query(
        database,
        "insert into alerts (kind, page_id, severity, summary) values (%s, '1000001', 'error', %s)"
        " returning 1",
        HOSTILE,
        HOSTILE,
    )
    with open_browser(control) as browser:
        browser.log_in()
        expect(row_of(browser, "1000001")).to_contain_text("1000001, instagram")
        expect(row_of(browser, "1000001").get_by_role("rowheader")).to_contain_text(HOSTILE)
        expect(browser.page.locator("#alert-list li")).to_contain_text(HOSTILE)
        row_of(browser, "1000001").get_by_role("button", name="Sync all").click()
        shown = row_of(browser, "1000001").locator(".outcome")
        expect(shown).to_contain_text("authorized again")
        expect(shown).to_contain_text(HOSTILE)
        assert browser.page.locator("#status script, #status img").count() == 0


@in_a_browser
def test_log_in_needs_the_key_and_log_out_deletes_the_cookie(control: Receiver) -> None:
    with open_browser(control) as browser:
        browser.log_in("a wrong key")
        expect(browser.page.get_by_role("alert")).to_have_text("The API key is wrong.")
        browser.page.get_by_label("API key").fill(KEY)
        browser.page.keyboard.press("Enter")
        expect(browser.page.get_by_role("heading", name="Pages")).to_be_visible()
        [cookie] = browser.page.context.cookies()
        assert cookie["name"] == COOKIE
        assert cookie["httpOnly"]
        assert cookie["sameSite"] == "Strict"
        assert KEY not in str(cookie)
        assert browser.page.evaluate("document.cookie") == ""
        browser.page.reload()
        expect(browser.page.get_by_role("heading", name="Pages")).to_be_visible()
        browser.page.get_by_role("button", name="Log out").click()
        expect(browser.page.get_by_label("API key")).to_be_visible()
        assert browser.page.context.cookies() == []


@in_a_browser
def test_the_page_fits_a_phone(control: Receiver, database: Database) -> None:
    register_many(database, 3)
    with open_browser(control) as browser:
        browser.page.set_viewport_size({"width": 360, "height": 700})
        browser.log_in()
        expect(browser.page.locator("#pages tr")).to_have_count(3)
        width = browser.page.evaluate("document.documentElement.scrollWidth")
        assert width <= 360


# -- Its routes ---------------------------------------------------------------------------------


def test_the_overview_counts_pages_alerts_and_deliveries(
    control: Receiver, database: Database
) -> None:
    register_many(database, 1000)
    shown = control.request("GET", "/api/overview").json()
    assert shown["pages"] == {"active": 999, "needs_reauthorization": 1}
    assert (shown["dagsterAlive"], shown["openAlerts"], shown["alerts"]) == (None, 0, [])
    record_heartbeat(database, "dagster")
    query(
        database,
        "insert into alerts (kind, severity, summary) values ('k', 'error', 's') returning 1",
    )
    query(database, "insert into webhook_inbox (body) values ('{}') returning 1")
    shown = control.request("GET", "/api/overview").json()
    assert (shown["dagsterAlive"], shown["openAlerts"], shown["openErrors"]) == (True, 1, 1)
    assert [one["summary"] for one in shown["alerts"]] == ["s"]
    assert shown["inboxWaiting"] == 1
    query(database, "update heartbeats set at = now() - interval '1 hour' returning 1")
    assert control.request("GET", "/api/overview").json()["dagsterAlive"] is False


def test_ten_thousand_pages_are_listed_in_time(control: Receiver, database: Database) -> None:
    register_many(database, 10_000)
    query(
        database,
        "insert into messenger_conversations (page_id, sender_id, message_count)"
        " select (1000001 + mod(i, 10000))::text, i::text, 3 from generate_series(1, 300000) i"
        " returning 1",
    )
    took = []
    for page in (1, 2, 100, 200, 201):
        began = time.monotonic()
        shown = control.request("GET", f"/api/pages?page={page}").json()
        took.append(time.monotonic() - began)
        assert len(shown["pages"]) == (50 if page <= 200 else 0)
        assert all((one["conversations"], one["messages"]) == (30, 90) for one in shown["pages"])
    assert sorted(took)[2] < 10, took  # a fraction of a second, if nothing else runs


@pytest.mark.parametrize(
    ("search", "found"),
    [("50%", ["50% off"]), ("a_b", ["a_b"]), ("\\", ["back\\slash"]), ("OFF", ["50% off"]),
     ("\0a_b ", ["a_b"]), ("x' or '1'='1", [])],
)  # fmt: skip
def test_a_search_matches_its_text_literally(
    control: Receiver, database: Database, search: str, found: list[str]
) -> None:
    for number, name in enumerate(["50% off", "a_b", "acb", "back\\slash", "other"]):
        query(
            database,
            "insert into facebook_pages (facebook_page_id, name) values (%s, %s) returning 1",
            str(9000 + number),
            name,
        )
    shown: dict[str, Any] = control.request("GET", "/api/pages", params={"search": search}).json()
    assert [one["pageName"] for one in shown["pages"]] == found
    assert shown["found"] == len(found)


def test_the_page_has_strict_security_headers(served: Receiver) -> None:
    for path, kind in (
        ("/", "text/html"), ("/static/status.js", "text/javascript"),
        ("/static/status.css", "text/css"), ("/static/icon.svg", "image/svg+xml"),
    ):  # fmt: skip
        answer = requests.get(served.url + path, timeout=30)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(kind)
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["x-content-type-options"] == "nosniff"
        again = requests.get(
            served.url + path, headers={"If-None-Match": answer.headers["etag"]}, timeout=30
        )
        assert again.status_code == 304
    for path in ("/static/app.py", "/static/", "/static/..%2fapp.py", "/static/%00"):
        answer = requests.get(served.url + path, timeout=30)
        assert (answer.status_code, {*answer.json()}) == (404, {"error"})
    answer = requests.post(f"{served.url}/static/status.js", timeout=30)
    assert (answer.status_code, {*answer.json()}) == (405, {"error"})


# -- The cookie ---------------------------------------------------------------------------------


def cookie_of(served: Receiver, **headers: str) -> str:
    answer = served.request("POST", "/login", key=None, json={"key": KEY}, headers=headers)
    assert answer.status_code == 204
    return str(answer.headers["set-cookie"])


def test_the_cookie_is_secure_if_the_browser_uses_https(served: Receiver) -> None:
    assert "Secure" not in cookie_of(served)
    assert "Secure" in cookie_of(served, **{"X-Forwarded-Proto": "https"})
    for shown in ("HttpOnly", "SameSite=strict", "Max-Age=43200", "Path=/"):
        assert shown in cookie_of(served)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 422),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "HERE"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Origin": "HERE"}, 422),
        ({"Origin": "http://elsewhere"}, 403),
        ({"Origin": "null"}, 403),
        ({}, 403),
    ],
)
def test_the_cookie_allows_changes_from_the_same_origin_only(
    served: Receiver, headers: dict[str, str], status: int
) -> None:
    given = {name: served.url if value == "HERE" else value for name, value in headers.items()}
    given["Cookie"] = cookie_of(served).partition(";")[0]
    path = "/api/conversations/sync"
    assert served.request("POST", path, key=None, headers=given, json={}).status_code == status
    assert served.request("GET", "/api/pages", key=None, headers=given).status_code == 200


def test_a_cookie_is_valid_for_its_time_and_its_key(
    served: Receiver, web_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"Cookie": cookie_of(served).partition(";")[0]}
    with serve_receiver(web_url, api_key="another") as other:
        assert other.request("GET", "/api/pages", key=None, headers=given).status_code == 401
    forged = given["Cookie"].replace("=", "=9", 1)
    for cookie, status in ((given["Cookie"], 200), (forged, 401)):
        answer = served.request("GET", "/api/pages", key=None, headers={"Cookie": cookie})
        assert answer.status_code == status
    later = time.time() + 12 * 3600 + 1
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: later)
    assert served.request("GET", "/api/pages", key=None, headers=given).status_code == 401
