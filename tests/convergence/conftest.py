"""A second database, to apply the same facts in another order."""

from collections.abc import Iterator

import pytest

from messenger_pipeline.db.pool import Database
from tests.conftest import _cloned


@pytest.fixture
def second(server: str, template: str) -> Iterator[Database]:
    """Another database of the test's own, with the schema."""
    with _cloned(server, template) as url, Database(url, timeout=10) as database:
        yield database
