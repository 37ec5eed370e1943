"""A headless browser on the status page, which records console errors and requests."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.sync_api import Page, sync_playwright

from tests.web.conftest import KEY, Receiver

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@dataclass
class Browser:
    """A browser's page, the errors of its console, and the hosts that it sent requests to."""

    page: Page
    url: str
    errors: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def log_in(self, key: str = KEY) -> None:
        self.page.goto(self.url)
        self.page.get_by_label("API key").fill(key)
        self.page.get_by_role("button", name="Log in").click()


@contextmanager
def open_browser(receiver: Receiver) -> Iterator[Browser]:
    """Asserts at the end that there were no errors, and no requests to another host."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page()
        page.set_default_timeout(60_000)
        found = Browser(page, receiver.url)
        page.on("console", lambda line: _record(found, line.type, line.text))
        page.on("pageerror", lambda error: found.errors.append(str(error)))
        page.on("request", lambda request: found.hosts.add(urlsplit(request.url).netloc))
        try:
            yield found
        finally:
            browser.close()
    assert found.errors == []
    assert found.hosts == {urlsplit(receiver.url).netloc}


def _record(found: Browser, kind: str, text: str) -> None:
    # Chromium logs each 4xx itself, such as 401 before the log-in, or 409.
    refusal = text.startswith("Failed to load resource: the server responded with a status of 4")
    if kind in ("error", "warning") and not refusal:
        found.errors.append(text)
