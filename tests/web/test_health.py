"""/readyz: ready if deliveries can be committed, degraded if they are not applied."""

from collections.abc import Iterator

import pytest

from messenger_pipeline.db import inbox
from messenger_pipeline.db.pool import Database
from tests.db.test_load import query
from tests.web.conftest import Receiver, serve_receiver


@pytest.fixture
def alone(url: str) -> Iterator[Receiver]:
    """A receiver with a database of its own."""
    with serve_receiver(url) as receiver:
        yield receiver


def readiness(receiver: Receiver) -> tuple[int, str, str]:
    """Status code, status, and the problems as one text."""
    response = receiver.request("GET", "/readyz", key=None)
    content = response.json()
    return response.status_code, content["status"], " ".join(content.get("problems", []))


def test_a_receiver_whose_drain_fails_is_degraded_and_still_takes_deliveries(
    alone: Receiver, database: Database
) -> None:
    name = "the receiver's drain on a-host"
    for _ in range(3):
        assert readiness(alone) == (200, "ready", "")
        inbox.record_drain_failure(database, name, "KeyError in a secret place")
    code, status, problems = readiness(alone)
    assert (code, status) == (200, "degraded")
    assert f"No delivery is applied by {name} since" in problems
    assert "secret" not in problems, "anybody may read it"
    assert alone.post(b"{}").status_code == 200
    inbox.record_drain_success(database, name)
    assert readiness(alone) == (200, "ready", "")


def test_a_receiver_with_overdue_deliveries_is_degraded(
    alone: Receiver, database: Database
) -> None:
    """For example because its drain hangs."""
    assert alone.post(b"{}").status_code == 200
    assert readiness(alone) == (200, "ready", "")
    query(
        database,
        "update webhook_inbox set not_before = now() - interval '121 seconds' returning id",
    )
    code, status, problems = readiness(alone)
    assert (code, status) == (200, "degraded")
    assert "have been waiting to be applied since" in problems


def test_a_receiver_is_degraded_if_the_state_of_its_drain_cannot_be_read(
    alone: Receiver, database: Database
) -> None:
    with database.transaction() as connection:
        connection.execute("drop function list_failing_drains")
    assert readiness(alone)[:2] == (200, "degraded")
