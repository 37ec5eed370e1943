"""Any delivery is settled, through the real inbox and drain, on a real database."""

from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from messenger_pipeline.db import inbox, migrate
from messenger_pipeline.db.inbox import find_message_contacts
from messenger_pipeline.db.pool import Database
from messenger_pipeline.graph.reading import parse_json
from messenger_pipeline.webhook.deliveries import parse_delivery
from messenger_pipeline.webhook.drain import drain_batch
from messenger_pipeline.webhook.items import Item
from messenger_pipeline.webhook.outcome import ATTEMPTS
from tests.db.test_load import query
from tests.webhook.shapes import SAMPLES, delivery, encoded, item, mutations, real_bodies

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def clear(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute(
            "truncate facebook_pages, messenger_conversations, webhook_inbox, quarantined_records"
            " cascade"
        )


def items_of(bodies: list[bytes]) -> list[Item]:
    return [one for body in bodies for one in parse_delivery(body, NOW)]


def register_named(database: Database, bodies: list[bytes]) -> None:
    for page_id in {one.page_id for one in items_of(bodies) if one.events}:
        database.call(
            "register_page", page_id=page_id, name=None, user_id=None, platform=None,
            token_encrypted="X",
        )  # fmt: skip


def drain_all(database: Database) -> None:
    """Drain until nothing is retried any more; the pauses between attempts are skipped."""
    for _ in range(ATTEMPTS):
        while drain_batch(database).deliveries:
            pass
        with database.transaction() as connection:
            connection.execute(
                "update webhook_inbox set not_before = now()"
                " where state = 'pending' and not_before is not null"
            )


def deliver(database: Database, bodies: list[bytes]) -> list[inbox.DeliveryOutcome]:
    ids = inbox.receive(database, bodies)
    drain_all(database)
    return inbox.get_deliveries(database, ids)


def facts(database: Database) -> Any:
    return [
        query(database, "select to_jsonb(f)::text from event_facts f order by 1"),
        query(database, "select to_jsonb(f)::text from conversation_facts f order by 1"),
    ]


def check(database: Database, bodies: list[bytes]) -> None:
    """Deliver bodies twice and assert that each item is applied, ignored or quarantined, once."""
    clear(database)
    register_named(database, bodies)
    settled = deliver(database, bodies)
    for one, body in zip(settled, bodies, strict=True):
        outcomes = {outcome["outcome"] for outcome in one.outcomes or [{"outcome": "applied"}]}
        unusable = any(part.unusable for part in parse_delivery(body, NOW))
        assert unusable <= ("quarantined" in outcomes)
        assert outcomes <= {"applied", "ignored", "quarantined"}
        assert one.state == (
            "failed"
            if "quarantined" in outcomes
            else "done"
            if "applied" in outcomes
            else "ignored"
        )
    kept = query(database, "select page_id, reason from quarantined_records")
    assert {(one.page_id or "", one.unusable) for one in items_of(bodies) if one.unusable} <= {
        *kept
    }
    assert set(migrate.verify(database).values()) == {None}
    stored = facts(database)
    contacts: list[dict[str, str]] = []

    def find(*arguments: Any) -> dict[str, str]:
        contacts.append(find_message_contacts(*arguments))
        return contacts[-1]

    with patch.object(inbox, "find_message_contacts", find):
        again = deliver(database, bodies)
    for first, second in zip(settled, again, strict=True):
        assert second.state == first.state or (first.state, second.state) == ("failed", "done")
    # A message that shows whose an item is may have been stored with the first delivery.
    if not any(contacts):
        assert [one.state for one in again] == [one.state for one in settled]
        assert facts(database) == stored
    stored = facts(database)
    assert [one.state for one in deliver(database, bodies)] == [one.state for one in again]
    assert facts(database) == stored
    assert {*query(database, "select page_id, reason from quarantined_records")} == {*kept}


def batches_of(deliveries: list[Any]) -> st.SearchStrategy[list[bytes]]:
    """Some deliveries unchanged, most mutated, some no longer JSON."""
    bodies = st.sampled_from(deliveries)
    one = bodies.map(encoded) | mutations(bodies).map(encoded) | mutations(bodies).map(encoded)
    damaged = st.tuples(one, st.integers(1, 60)).map(lambda pair: pair[0][: -pair[1]])
    return st.lists(one | one | one | damaged, min_size=1, max_size=25)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\0",
        b"[" * 100_000,
        delivery(item(message={"mid": "m\0", "text": "a\0b", "\0": "\ud83d"})),
        delivery(item(message={"mid": "m_1", "text": "a"}, sender={"id": "2\0"})),
        delivery(item(message={"mid": "m_1", "text": "a"}), id="1\0"),
        delivery(item(message={"mid": "m_1", "text": "a"}), id="x\ud83d"),
        delivery(item(message={"mid": "😍" * 1000, "text": "a"}, sender={"id": "😍" * 500})),
        delivery(item(reaction={"mid": "😍" * 1000}, sender={"id": "😍" * 500})),
        delivery(item(message={"mid": "m_1", "n": 10**4000, "f": 1e308}, timestamp=10**4000)),
        b'{"entry":[{"id":1,"messaging":[{"sender":{"id":2},"message":{"mid":"m","x":1e999999}}]}]}',
        b'{"entry":[{"id":1,"messaging":[{"sender":{"id":2},"message":{"mid":"m","x":NaN}}]}]}',
        b'{"entry":[{"id":1,"messaging":[{"sender":{"id":2},"message":{"mid":"m","x":-Infinity}}]}]}',
        delivery("x" * 100_000),
        delivery(*[item(message={"mid": f"m_{n}", "text": "a"}) for n in range(300)]),
    ],
    ids=range(15),
)  # fmt: skip
def test_a_malformed_delivery_is_settled_and_the_good_one_before_it_applied(
    database: Database, body: bytes
) -> None:
    good = delivery(item(message={"mid": "m_good", "text": "good"}))
    check(database, [good, body, delivery(item(postback={"mid": "m_good", "payload": "P"}))])
    found = query(database, "select event_type from event_facts where message_id = 'm_good'")
    assert sorted(found) == [("message_received",), ("postback",)]


@settings(max_examples=25)
@given(batches_of(SAMPLES))
def test_mutated_deliveries_are_settled_and_stored_once(
    database: Database, bodies: list[bytes]
) -> None:
    check(database, bodies)


def test_real_deliveries_are_settled_and_stored_once(database: Database) -> None:
    check(database, [*real_bodies().values()])
    assert query(database, "select 1 from event_facts limit 1")


def test_mutated_real_deliveries_are_settled_and_stored_once(database: Database) -> None:
    bodies = [parse_json(body) for body in real_bodies().values()]

    @settings(max_examples=25)
    @given(batches_of([one for one in bodies if one is not None]))
    def settled_and_stored_once(batch: list[bytes]) -> None:
        check(database, batch)

    settled_and_stored_once()
