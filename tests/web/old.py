"""What the snippets of the replaced application's guides, in old_front_end, run against."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from messenger_pipeline.db import pages
from messenger_pipeline.db.pool import Database
from messenger_pipeline.engine import Engine
from tests.db.test_load import query
from tests.walking import Connect, Simulate
from tests.web.conftest import Receiver, serve_receiver

SNIPPETS = Path(__file__).parent / "old_front_end"


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
