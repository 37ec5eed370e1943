from collections.abc import Callable, Iterator

import pytest

from messenger_pipeline.db import pages
from messenger_pipeline.db.pool import Database
from tests.alerting.notifier_stub import NotifierStub


@pytest.fixture
def notifier() -> Iterator[NotifierStub]:
    with NotifierStub().serving() as notifier:
        yield notifier


@pytest.fixture
def add_pages(database: Database) -> Callable[..., list[str]]:
    """Registers pages and returns their ids: add_pages(3)."""

    def add(count: int = 1, name: str | None = None) -> list[str]:
        ids = [str(100 + number) for number in range(count)]
        for page_id in ids:
            pages.register_page(
                database,
                page_id,
                name=name,
                user_id=None,
                platform=None,
                token_encrypted=f"encrypted {page_id}",
            )
        return ids

    return add
