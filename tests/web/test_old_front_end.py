"""The snippets of the replaced application's guides, as they are written, against `serve`.

They stand in the folder old_front_end. The additions: the API key, or the session cookie; and
?pageId= for an EventSource.
"""

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, sync_playwright

from messenger_pipeline.db import pages
from messenger_pipeline.db.pool import Database
from messenger_pipeline.engine import Engine
from messenger_pipeline.web.auth import COOKIE
from tests.db.test_load import query
from tests.walking import Connect, Simulate
from tests.web.browser import ARGUMENTS, CHROMIUM
from tests.web.conftest import KEY, Receiver, serve_receiver, signature
from tests.web.waiting import change, syncing, until

SNIPPETS = Path(__file__).parent / "old_front_end"
NODE, CURL = shutil.which("node"), shutil.which("curl")
in_node = pytest.mark.skipif(NODE is None, reason="no node on PATH: apt-get install nodejs")
with_curl = pytest.mark.skipif(CURL is None, reason="no curl on PATH: apt-get install curl")
in_a_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium on PATH: apt-get install chromium"
)


@dataclass
class Old:
    """A receiver that holds requests, with one page, which has two ids."""

    control: Receiver
    engine: Engine
    page_id: str
    facebook_page_id: str

    @property
    def database(self) -> Database:
        return self.engine.database

    def fill(self, snippet: str) -> str:
        """A snippet with the page's ids."""
        for placeholder, value in (
            ("your-page-id", self.page_id),
            ("facebook-page-id", self.facebook_page_id),
            ("xxx", self.page_id),
            ("yyy", self.facebook_page_id),
            ("http://localhost:3000", self.control.url),
        ):
            snippet = snippet.replace(placeholder, value)
        return snippet

    def row(self) -> dict[str, Any]:
        """The last session's figures under their old names."""
        [row] = query(
            self.database,
            "select total_synced, inserted, updated, total_synced, events_created, mode"
            " from sync_state order by started_at desc limit 1",
        )
        names = ("synced", "inserted", "updated", "total", "eventsCreated", "syncMode")
        return dict(zip(names, row, strict=True))


@pytest.fixture
def old(url: str, simulate: Simulate, connect: Connect) -> Iterator[Old]:
    engine = connect(simulate(conversations=60))
    [page] = pages.list_pages(engine.database)
    with serve_receiver(url, wait_seconds=270) as control:
        yield Old(control, engine, str(page.id), page.facebook_page_id)


def has_figures(body: dict[str, Any], row: dict[str, Any]) -> bool:
    return {name: body[name] for name in row} == row and body["synced"] == 60


# -- In Node ------------------------------------------------------------------------------------


def start_node(old: Old, name: str) -> "subprocess.Popen[str]":
    assert NODE
    script = Path(__file__).parent / "run_snippet.mjs"
    key = KEY.encode().decode("latin-1")  # as bytes: fetch sends the letters of a header in Latin-1
    return subprocess.Popen(
        [NODE, script, SNIPPETS / name, old.control.url, key, old.page_id, old.facebook_page_id],
        stdout=subprocess.PIPE,
        text=True,
    )


def end_node(process: "subprocess.Popen[str]") -> dict[str, Any]:
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    printed: dict[str, Any] = json.loads(output)
    return printed


@in_node
@pytest.mark.parametrize(
    "name", ["sync_button_before.js", "sync_button_after.js", "quick_start.js", "performance.js"]
)
def test_a_fetch_of_the_guides_gets_the_figures_of_the_sync(old: Old, name: str) -> None:
    with syncing(old.engine):
        printed = end_node(start_node(old, name))
    [answer] = printed["answers"]
    assert answer["status"] == 200
    assert has_figures(answer["body"], old.row())
    assert (answer["body"]["success"], answer["body"]["hasMore"]) == (True, False)
    if name == "quick_start.js":
        assert printed["logged"] == [[answer["body"]]]
    if name == "performance.js":
        [synced, speed] = printed["logged"]
        assert (synced[:3], speed[0], speed[2]) == (
            ["Synced:", 60, "in"], "Speed:", "conversations/sec"
        )  # fmt: skip


@in_node
def test_the_sync_button_logs_the_session_to_resume(old: Old) -> None:
    node = start_node(old, "sync_button_after.js")
    park(old)
    printed = end_node(node)
    [answer] = printed["answers"]
    session = answer["body"]["resumeSession"]
    assert printed["logged"] == [["Partial sync, can resume with:", session]]


@in_node
def test_a_partial_sync_is_resumed_from_where_it_left_off(old: Old) -> None:
    node = start_node(old, "sync_resumption.js")
    park(old)
    with syncing(old.engine):
        printed = end_node(node)
    first, second = printed["answers"]
    assert (first["body"]["success"], first["body"]["hasMore"]) == (True, True)
    assert second["body"]["sync_session_id"] == first["body"]["resumeSession"]
    assert has_figures(second["body"], old.row())
    assert printed["logged"] == [["Resumed:", second["body"]]]
    assert query(
        old.database,
        "select sender_id from messenger_conversations group by page_id, sender_id"
        " having count(*) > 1",
    ) == []  # fmt: skip


def park(old: Old) -> None:
    """As if somebody cancelled the run: the sync is partial."""
    until(lambda: old.control.waits.waiting == 1)
    query(old.database, "update sync_requests set ended_at = now() returning 1")
    change(old.database, "parked_at = now()")


# -- With curl ----------------------------------------------------------------------------------


def commands_of(old: Old, name: str, *headers: str) -> list[list[str]]:
    """The commands of a shell snippet, with headers added."""
    text = old.fill((SNIPPETS / name).read_text())
    text = re.sub(r"^#.*$", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    commands = re.findall(r"^curl .*?'\s*$", text, flags=re.MULTILINE | re.DOTALL)
    more = "".join(f" -H '{header}'" for header in ("X-API-Key: " + KEY, *headers))
    status = " -sS -w '\\n%{http_code}'"
    return [["bash", "-c", command.strip() + more + status] for command in commands]


def run_curl(command: list[str]) -> tuple[int, Any]:
    output = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    body, _, status = output.rpartition("\n")
    return int(status), json.loads(body) if body.startswith("{") else body


@with_curl
@pytest.mark.parametrize("name", ["concurrent_syncs.sh", "concurrent_syncs_at_once.sh"])
def test_a_concurrent_sync_is_refused_with_409(old: Old, name: str) -> None:
    first, second = commands_of(old, name)
    with ThreadPoolExecutor() as terminals:
        one = terminals.submit(run_curl, first)
        until(lambda: old.control.waits.waiting == 1)
        status, body = run_curl(second)
        assert status == 409
        assert body["error"].startswith("Sync already in progress for this page. ")
        with syncing(old.engine):
            assert one.result()[0] == 200
    assert has_figures(one.result()[1], old.row())


@with_curl
def test_a_session_is_resumed_with_curl(old: Old) -> None:
    first, second = commands_of(old, "sync_resumption.sh")
    with ThreadPoolExecutor() as terminal:
        one = terminal.submit(run_curl, first)
        park(old)
        status, body = one.result()
    assert (status, body["hasMore"]) == (200, True)
    second[-1] = second[-1].replace("uuid-from-above", body["resumeSession"])
    with syncing(old.engine):
        status, resumed = run_curl(second)
    assert status == 200
    assert has_figures(resumed, old.row())


@with_curl
def test_the_test_delivery_is_stored_if_it_is_signed(old: Old) -> None:
    [unsigned] = commands_of(old, "webhook.sh")
    assert run_curl(unsigned)[0] == 403
    body = re.search(r"-d '(.*)' -H", unsigned[-1], flags=re.DOTALL)
    assert body
    # curl -d leaves out line ends only when it reads a file.
    signed = f"X-Hub-Signature-256: {signature(body[1].encode())}"
    assert run_curl(commands_of(old, "webhook.sh", signed)[0])[0] == 200
    assert query(old.database, "select count(*) from webhook_inbox") == [(1,)]


# -- As HTTP ------------------------------------------------------------------------------------


def send(old: Old, name: str) -> Any:
    """Send a snippet that is written as a request line and a body."""
    text = re.sub(r"^//.*\n|\s+//.*$", "", (SNIPPETS / name).read_text(), flags=re.MULTILINE)
    line, body = text.split("\n", 1)
    method, path = line.split()
    return old.control.request(method, path, data=old.fill(body).encode())


def shape(value: Any) -> Any:
    """The names and types of a JSON value."""
    if isinstance(value, dict):
        return {name: shape(one) for name, one in value.items()}
    return type(value)


@pytest.mark.parametrize("name", ["sync", "sync_optimized"])
def test_an_answer_has_the_shape_that_the_guide_expects(old: Old, name: str) -> None:
    expected = shape(json.loads((SNIPPETS / f"{name}.json").read_text()))
    with syncing(old.engine):
        answer = send(old, f"{name}.http")
    assert answer.status_code == 200
    body = shape(answer.json())
    assert {one: body[one] for one in expected} == expected
    row = old.row()
    text = {
        "sync": rf"Full sync: 60 conversation\(s\) with {row['eventsCreated']} events",
        "sync_optimized": r"Successfully synced 60 conversations in \d+\.\ds",
    }[name]
    assert re.fullmatch(text, answer.json()["message"])


def test_the_stream_of_the_guide_ends_with_the_sync(old: Old) -> None:
    with syncing(old.engine):
        answer = send(old, "sync_stream.http")
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line[:5] == "data:"]
    assert has_figures(events[-1], old.row())
    assert events[-1]["success"] is True


def test_smaller_batches_need_the_page_too(old: Old) -> None:
    answer = send(old, "smaller_batches.http")
    assert answer.status_code == 422
    assert "pageId" in answer.json()["error"]


# -- In a browser -------------------------------------------------------------------------------


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
    # It reconnects by itself, is told that the sync has ended, and asks for no second one.
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
