"""The same snippets in the pages of a browser, of the same origin and of others."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Page, Route, sync_playwright

from messenger_pipeline.web.auth import COOKIE
from tests.db.test_load import query
from tests.web.browser import ARGUMENTS, CHROMIUM
from tests.web.conftest import KEY, serve_receiver
from tests.web.old import SNIPPETS, Old, has_figures, old
from tests.web.waiting import syncing

__all__ = ["old"]  # a fixture

in_a_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium on PATH: apt-get install chromium"
)


class _Blank(BaseHTTPRequestHandler):
    """The page of a front end at another origin."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>The old front end</title>")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """The origin of a front end at another port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Blank) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        serving.join()


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page()
        page.set_default_timeout(60_000)
        yield page
        browser.close()


def fetch_from(page: Page, base: str, key: str | None = None) -> None:
    """Lets the page's snippets call another origin, with the cookie or with a key."""
    page.evaluate(
        """([base, key]) => {
          const [fetch, EventSource] = [window.fetch, window.EventSource];
          window.fetch = (path, options = {}) => fetch(base + path, {
            ...options, credentials: key ? "omit" : "include",
            headers: key ? { ...options.headers, "X-API-Key": key } : options.headers });
          window.EventSource = function (path) {
            return new EventSource(base + path, { withCredentials: true });
          };
        }""",
        [base, key and key.encode().decode("latin-1")],
    )


def log_in(page: Page) -> int:
    status = page.evaluate(
        "key => fetch('/login', { method: 'POST', body: JSON.stringify({ key }) })"
        ".then(answer => answer.status)",
        KEY,
    )
    assert isinstance(status, int)
    return status


def run_in(page: Page, old: Old, name: str) -> Any:
    """The `result` of a snippet."""
    code = old.fill((SNIPPETS / name).read_text())
    return page.evaluate(
        f"async ([pageId, facebookPageId]) => {{ {code}\n return result; }}",
        [old.page_id, old.facebook_page_id],
    )


def follow_in(page: Page, old: Old) -> list[dict[str, Any]]:
    """What the EventSource of the guides receives until its sync has ended."""
    code = (SNIPPETS / "event_source.js").read_text()
    page.evaluate(
        "() => { window.progress = []; const log = console.log;"
        "console.log = (...values) => { window.progress.push(values); log(...values); };"
        + code.replace("/sync-stream", f"/sync-stream?pageId={old.page_id}")
        + "window.source = eventSource; }"
    )
    # It reconnects by itself, learns that the sync has ended, and asks for no second one.
    while page.evaluate("() => source.readyState") != 2:
        page.wait_for_timeout(100)
    logged = page.evaluate("progress")
    assert {words for words, _ in logged} == {"Progress:"}
    return [data for _, data in logged]


@in_a_browser
def test_the_snippets_run_in_a_page_of_the_same_origin(old: Old, page: Page) -> None:
    page.goto(old.control.url)
    assert log_in(page) == 204
    with syncing(old.engine):
        result = run_in(page, old, "sync_button_after.js")
        assert has_figures(result, old.row())
        progress = follow_in(page, old)
    assert [one["success"] for one in progress if not one["hasMore"]] == [True]
    assert query(old.database, "select count(*) from sync_state") == [(2,)]


@in_a_browser
def test_they_run_at_another_origin_that_is_allowed(
    url: str, old: Old, page: Page, elsewhere: str
) -> None:
    with serve_receiver(url, wait_seconds=270, allowed_origins=(elsewhere,)) as control:
        page.goto(elsewhere)
        fetch_from(page, control.url)
        with syncing(old.engine):
            assert log_in(page) == 204
            assert has_figures(run_in(page, old, "sync_button_after.js"), old.row())
            progress = follow_in(page, old)
            assert progress[-1]["success"] is True
            # With the key in a header no cookie is needed.
            page.context.clear_cookies()
            page.goto(elsewhere)
            fetch_from(page, control.url, KEY)
            assert run_in(page, old, "sync_button_after.js")["success"] is True
    assert query(old.database, "select count(*) from sync_state") == [(3,)]


@in_a_browser
def test_they_do_nothing_at_an_origin_that_is_not_allowed(
    url: str, old: Old, page: Page, elsewhere: str
) -> None:
    with serve_receiver(url, allowed_origins=("https://app.example.com",)) as control:
        page.goto(control.url)
        assert log_in(page) == 204
        page.goto(elsewhere)
        assert page.context.cookies(control.url)[0]["name"] == COOKIE
        fetch_from(page, control.url)
        for name in ("sync_button_after.js", "quick_start.js"):
            with pytest.raises(Exception, match="Failed to fetch"):
                run_in(page, old, name)
        address = f"/api/conversations/sync-stream?pageId={old.page_id}"
        assert (
            page.evaluate(
                "path => new Promise(done => { const source = new EventSource(path);"
                " source.onerror = () => done(source.readyState); })",
                address,
            )
            == 2
        )
    assert query(old.database, "select count(*) from sync_requests") == [(0,)]


@in_a_browser
def test_a_page_of_another_site_logs_in_over_https(
    url: str, old: Old, page: Page, elsewhere: str
) -> None:
    """127.0.0.1 and localhost are two sites. Browsers treat localhost as if it had https."""

    def over_https(route: Route) -> None:
        route.continue_(headers={**route.request.headers, "x-forwarded-proto": "https"})

    with serve_receiver(url, allowed_origins=(elsewhere,)) as control:
        page.goto(elsewhere)
        fetch_from(page, control.url.replace("127.0.0.1", "localhost"))
        assert log_in(page) == 204
        assert "error" in run_in(page, old, "sync_button_after.js")  # no cookie over http
        page.route("**/log*", over_https)
        assert log_in(page) == 204
        result = run_in(page, old, "sync_button_after.js")
        assert result.get("state") == "requested", result
        page.evaluate("fetch('/logout', { method: 'POST' })")
        assert "error" in run_in(page, old, "sync_button_after.js")
