"""A headless browser on the status page; what it logs and asks for is noted."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.sync_api import Page, sync_playwright

from tests.web.conftest import KEY, Receiving

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@dataclass
class Browsing:
    """A browser's page, with what it complained of and which hosts it asked."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def log_in(self, key: str = KEY) -> None:
        self.page.goto(self.url)
        self.page.get_by_label("API key").fill(key)
        self.page.get_by_role("button", name="Log in").click()


@contextmanager
def browsing(receiving: Receiving) -> Iterator[Browsing]:
    """In the end nothing was complained of, and no other host was asked."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS)
        page = browser.new_page()
        page.set_default_timeout(15_000)
        found = Browsing(page, receiving.url)
        page.on("console", lambda line: _note(found, line.type, line.text))
        page.on("pageerror", lambda error: found.complaints.append(str(error)))
        page.on("request", lambda asked: found.hosts.add(urlsplit(asked.url).netloc))
        try:
            yield found
        finally:
            browser.close()
    assert found.complaints == []
    assert found.hosts == {urlsplit(receiving.url).netloc}


def _note(found: Browsing, kind: str, text: str) -> None:
    # Chromium itself notes each refusal, such as 401 before one has logged in, or 409.
    refusal = text.startswith("Failed to load resource: the server responded with a status of 4")
    if kind in ("error", "warning") and not refusal:
        found.complaints.append(text)
