"""Batches of deliveries of several pages and contacts, most of them damaged, some of which break
the program: everything good is applied, and each bad thing is a row with its reason."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from messenger_pipeline.db import inbox, migrate
from messenger_pipeline.db.pool import Database
from messenger_pipeline.graph.reading import parse_json
from messenger_pipeline.webhook import batch, items, payloads, rows
from messenger_pipeline.webhook.drain import drain_batch
from messenger_pipeline.webhook.outcome import ATTEMPTS
from tests.db.test_load import query
from tests.webhook.shapes import CONTACT, MS, PAGE, SAMPLES, encoded, mutations, real_bodies
from tests.webhook.test_drain import register
from tests.webhook.test_fuzz_drain import clear

PAGES = ("100", "101", "17")
CONTACTS = ("200", "201", "202", "203")
STEPS = ("parse", "shape", "load", "database", "memory")
"""Where a poisonous message breaks the program."""
ERRORS = (AssertionError, RecursionError, KeyError, UnicodeError, MemoryError)


def message(mid: str, text: str, page: str, contact: str) -> dict[str, Any]:
    return {
        "sender": {"id": contact},
        "recipient": {"id": page},
        "timestamp": MS,
        "message": {"mid": mid, "text": text},
    }


def delivery_of(items: list[tuple[str, Any]]) -> dict[str, Any]:
    """A delivery with an entry for each item, given as page and item."""
    entries = [{"id": page, "time": MS, "messaging": [item]} for page, item in items]
    return {"object": "page", "entry": entries}


def readdressed(sample: Any, page: str, contact: str) -> Any:
    text = json.dumps(sample).replace(f'"{PAGE}"', f'"{page}"')
    return json.loads(text.replace(f'"{CONTACT}"', f'"{contact}"'))


pages, contacts = st.sampled_from(PAGES), st.sampled_from(CONTACTS)
good_items = st.tuples(pages, contacts, st.just("good"))
poisons = st.tuples(pages, contacts, st.sampled_from(STEPS))
samples = st.builds(readdressed, st.sampled_from(SAMPLES), pages, contacts)
empty_items = st.tuples(pages, contacts, st.just("empty"))
ours = st.lists(good_items | good_items | poisons | empty_items, min_size=1, max_size=6)
damaged = mutations(samples).map(encoded)
cut = st.tuples(samples.map(encoded), st.integers(1, 60)).map(lambda pair: pair[0][: -pair[1]])
batches = st.lists(ours | damaged | damaged | cut, min_size=2, max_size=30)


def bodies_of(plans: list[Any]) -> tuple[list[bytes], dict[str, int], dict[str, tuple[int, str]]]:
    """The bodies; the delivery of each good message; the delivery and step of each poisonous one.
    Deliveries are numbered from 0."""
    bodies: list[bytes] = []
    good: dict[str, int] = {}
    bad: dict[str, tuple[int, str]] = {}
    for number, plan in enumerate(plans):
        if isinstance(plan, bytes):
            bodies.append(plan)
            continue
        items = []
        for place, (page, contact, what) in enumerate(plan):
            mid = f"ours_{number}_{place}"
            item = message(mid, what if what in STEPS else "fine", page, contact)
            if what == "empty":
                del item["message"]
            elif what == "good":
                good[mid] = number
            else:
                bad[mid] = number, what
            items.append((page, item))
        bodies.append(encoded(delivery_of(items)))
    return bodies, good, bad


@pytest.fixture
def poisoned(database: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A pipeline that breaks on poisonous messages, with another error each time."""
    count = [0]
    parse, shape, load = payloads.parse_events, rows.conversation_row, inbox.load_events

    def break_on(step: str, value: Any) -> None:
        if f"'text': '{step}'" in repr(value):
            count[0] += 1
            raise ERRORS[count[0] % 4]("a customer's words")

    def failing_parse(item: Any) -> Any:
        break_on("parse", item.payload)
        if "'text': 'memory'" in repr(item.payload):
            raise MemoryError
        return parse(item)

    def failing_shape(contact_id: str, times: Any, events: Any) -> Any:
        break_on("shape", events)
        return shape(contact_id, times, events)

    def failing_load(connection: Any, pages: Any, received: Any) -> Any:
        loaded = load(connection, pages, received)
        break_on("load", pages)
        return loaded

    monkeypatch.setattr(items, "parse_events", failing_parse)
    monkeypatch.setattr(batch, "conversation_row", failing_shape)
    monkeypatch.setattr(inbox, "load_events", failing_load)
    with database.transaction() as connection:
        connection.execute(
            "create function fail() returns trigger language plpgsql as $$ begin"
            " if new.metadata ->> 'text' = 'database' then"
            " raise exception 'no' using errcode = '42501'; end if; return new; end $$;"
            "create trigger fail before insert on contact_interaction_events"
            " for each row execute function fail()"
        )
    return database


def drain_all(database: Database) -> None:
    """Drain as often as anything is retried; the pauses between attempts are skipped."""
    for _ in range(ATTEMPTS + 1):
        query(
            database,
            "update webhook_inbox set not_before = now() where not_before > now() returning id",
        )
        while drain_batch(database, limit=7).deliveries:
            pass


def check(database: Database, plans: list[Any]) -> None:
    clear(database)
    query(database, "delete from webhook_claims returning id")
    for page_id in PAGES:
        register(database, page_id)
    bodies, good, bad = bodies_of(plans)
    ids = inbox.receive(database, bodies)
    drain_all(database)
    settled = inbox.get_deliveries(database, ids)
    assert len(settled) == len(bodies)
    stored = query(
        database, "select message_id from event_facts where starts_with(message_id, 'ours_')"
    )
    # Only memory that runs out while a delivery is parsed takes its other items along.
    lost = {number for number, step in bad.values() if step == "memory"}
    assert sorted(mid for (mid,) in stored) == sorted(
        mid for mid, number in good.items() if number not in lost
    )
    for number, step in bad.values():
        one = settled[number]
        lasting = any(which == (number, "database") for which in bad.values())
        assert one.state == ("pending" if lasting and number not in lost else "failed")
        assert one.last_error or one.outcomes
        if number not in lost:
            outcomes = {"retry"} if lasting and step != "parse" else {"quarantined"}
            found = {
                outcome["outcome"]: outcome["reason"]
                for outcome in one.outcomes or []
                if outcome["outcome"] not in ("applied", "ignored")
            }
            assert outcomes <= found.keys()
            assert all(found.values())
    kept = query(
        database, "select (record ->> 'delivery')::bigint, reason from quarantined_records"
    )
    failed = {one.id for one in settled if one.state == "failed"}
    assert {number for number, _ in kept} >= failed - _repeated(settled, bodies)
    assert all(reason and "customer" not in reason for _, reason in kept)
    # What is left waits for a page that no delivery of ours names, or is refused by the database.
    for one in settled:
        if one.state == "pending":
            assert one.waiting_for or one.last_error
    assert query(database, "select deliveries from webhook_claims") == []
    assert set(migrate.verify(database).values()) == {None}


def _repeated(settled: list[Any], bodies: list[bytes]) -> set[int]:
    """Damaged deliveries may hold equal items, which are one record."""
    return {one.id for one, body in zip(settled, bodies, strict=True) if b"ours_" not in body}


@settings(max_examples=25)
@given(batches)
def test_a_batch_applies_what_is_good_and_sets_aside_the_rest(
    poisoned: Database, plans: list[Any]
) -> None:
    check(poisoned, plans)


def test_batches_of_damaged_real_deliveries_apply_what_is_good(poisoned: Database) -> None:
    parsed = [parse_json(body) for body in real_bodies().values()]
    bodies = [one for one in parsed if one is not None]
    real = mutations(st.sampled_from(bodies)).map(encoded)

    @settings(max_examples=15)
    @given(st.lists(ours | real | real, min_size=2, max_size=30))
    def applied(plans: list[Any]) -> None:
        check(poisoned, plans)

    applied()
