"""Accounts with several ids, and contacts without one: whole syncs against the truth."""

import itertools
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from graph_simulator.live.activity import ActivityGenerator
from graph_simulator.live.deliveries import encode_delivery
from messenger_pipeline.db import inbox
from messenger_pipeline.db.pool import Database
from messenger_pipeline.webhook.drain import drain_batch
from tests.walking import Connect, Simulate, rows, stored, truth, walk

KINDS = ["none", "empty", "zero", "number"]


def deliver(database: Database, page_id: str, *items: Any, kind: str = "page") -> None:
    entry = {"id": page_id, "time": 1_795_860_000_000, "messaging": list(items)}
    inbox.receive(database, [json.dumps({"object": kind, "entry": [entry]}).encode()])
    while drain_batch(database).deliveries:
        pass


def facts(database: Database) -> Any:
    return (
        rows(database, "select * from conversation_facts order by 1, 2"),
        rows(database, "select * from event_facts order by 1, 2, 3, 4, 5, 6"),
    )


def test_both_inboxes_of_a_page_are_synced_apart(simulate: Simulate, connect: Connect) -> None:
    simulated = simulate(conversations=12, instagram=1)
    engine = connect(simulated)
    page, account = simulated.pages
    for inbox_id in (page.id, account.id):
        assert walk(engine, inbox_id).outcome == "completed"
    assert stored(engine.database) == truth(simulated)
    ids = {page.id, account.id, account.second_id}
    assert not rows(
        engine.database,
        f"select 1 from messenger_conversations where sender_id in {tuple(ids)}",
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_contact_with_a_deleted_account_is_the_thread(
    simulate: Simulate, connect: Connect, kind: str
) -> None:
    simulated = simulate(conversations=10)
    engine = connect(simulated)
    for number in range(3):
        simulated.fault("deleted_account", thread=number, id=kind)
    assert walk(engine, simulated.page.id).quarantined == 0
    assert stored(engine.database) == truth(simulated)
    named = rows(
        engine.database,
        "select sender_id, sender_name from messenger_conversations"
        " where sender_name = 'Facebook User' order by 1",
    )
    threads = sorted(simulated.world.thread_id(simulated.page, number) for number in range(3))
    assert named == [(thread_id, "Facebook User") for thread_id in threads]


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_thread_of_a_deleted_account_is_read_whole(
    simulate: Simulate, connect: Connect, kind: str
) -> None:
    simulated = simulate(conversations=3)
    engine = connect(simulated)
    simulated.fault("long_thread", thread=0, messages=350)
    simulated.fault("deleted_account", thread=0, id=kind)
    assert walk(engine, simulated.page.id).outcome == "completed"
    assert stored(engine.database) == truth(simulated)


def test_an_account_that_is_deleted_after_a_sync_keeps_its_conversation(
    simulate: Simulate, connect: Connect
) -> None:
    simulated = simulate(conversations=4)
    engine, page = connect(simulated), simulated.page
    walk(engine, page.id)
    contact = simulated.world.contact_id(page, 0)
    before = rows(engine.database, "select count(*) from contact_interaction_events")
    simulated.fault("deleted_account", thread=0)
    walk(engine, page.id, mode="full")
    assert rows(engine.database, "select count(*) from contact_interaction_events") == before
    senders = {sender for _, sender, *_ in stored(engine.database)}
    assert contact in senders
    assert simulated.world.thread_id(page, 0) not in senders


@pytest.mark.parametrize("order", list(itertools.permutations(["webhook", "gone", "named"])))
def test_the_contact_of_a_thread_is_the_same_whichever_source_comes_first(
    simulate: Simulate, connect: Connect, order: tuple[str, ...]
) -> None:
    """A webhook names the contact of a thread that an answer has without an id."""
    simulated = simulate(conversations=3)
    engine, page = connect(simulated), simulated.page
    contact = simulated.world.contact_id(page, 0)
    newest = simulated.world.messages(page, 0, None, 1)[0]
    expected = truth(simulated)
    for source in order:
        if source == "webhook":
            deliver(engine.database, page.id, _item_of(newest, contact, page.id))
        elif source == "gone":
            simulated.world.delete_account(page, 0, "none")
            walk(engine, page.id, mode="full", run_id=source)
        else:
            page.gone.clear()
            simulated.world._histories.clear()
            walk(engine, page.id, mode="full", run_id=source)
    assert stored(engine.database) == expected
    assert not rows(engine.database, "select * from quarantined_records")
    counts = rows(
        engine.database,
        "select c.message_count, count(*) from messenger_conversations c"
        " join contact_interaction_events e on e.conversation_id = c.id group by c.id",
    )
    assert all(counted == found for counted, found in counts)


def _item_of(message: dict[str, Any], contact: str, page_id: str) -> Any:
    by_page = message["from"].get("id") == page_id
    sender, recipient = (page_id, contact) if by_page else (contact, page_id)
    echo = {"is_echo": True} if by_page else {}
    body = {"mid": message["id"], "text": message["message"], **echo}
    return {
        "sender": {"id": sender},
        "recipient": {"id": recipient},
        "timestamp": message["created_time"],
        "message": body,
    }


def test_a_thread_whose_contact_appears_moves_with_its_reactions(
    simulate: Simulate, connect: Connect
) -> None:
    simulated = simulate(conversations=3)
    engine, page = connect(simulated), simulated.page
    contact = simulated.world.contact_id(page, 0)
    newest = simulated.world.messages(page, 0, None, 1)[0]
    simulated.world.delete_account(page, 0, "zero")
    walk(engine, page.id)
    reaction = {
        "sender": {"id": "0"}, "recipient": {"id": page.id}, "timestamp": 1_795_860_000_000,
        "reaction": {"mid": newest["id"], "action": "react", "emoji": "x"},
    }  # fmt: skip
    deliver(engine.database, page.id, reaction)
    deliver(engine.database, page.id, _item_of(newest, contact, page.id))
    found = rows(
        engine.database,
        "select distinct c.sender_id from contact_interaction_events e"
        " join messenger_conversations c on c.id = e.conversation_id"
        f" where e.message_id = '{newest['id']}'",
    )
    assert found == [(contact,)]


@pytest.mark.parametrize("seed", range(4))
def test_live_traffic_of_both_inboxes_by_every_envelope_ends_in_the_truth(
    simulate: Simulate, connect: Connect, seed: int
) -> None:
    """Some items name the Instagram account by its second id, which nobody registered."""
    simulated = simulate(conversations=8, instagram=1, seed=seed + 1)
    engine, random = connect(simulated), Random(seed)
    generator, bodies = ActivityGenerator(simulated.world, seed), []
    now = datetime.now(UTC) - timedelta(hours=1)
    for _ in range(150):
        now += timedelta(milliseconds=random.choice([1, 40, 1700]))
        bodies.append(encode_delivery([generator.generate(now)], changes=random.random() < 0.5))
    random.shuffle(bodies)
    half = len(bodies) // 2
    inbox.receive(engine.database, bodies[:half])
    while drain_batch(engine.database, 10).deliveries:
        pass
    for page in simulated.pages:
        walk(engine, page.id)
    inbox.receive(engine.database, bodies[half:])
    while drain_batch(engine.database, 10).deliveries:
        pass
    assert stored_messages(engine.database) == Counter(
        (row["page_id"], row["sender_id"], row["message_id"], row["text"])
        for page in simulated.pages
        for row in simulated.world.truth(page)
    )
    events = Counter(
        (row["page_id"], row["sender_id"], row["event_type"])
        for page in simulated.pages
        for row in page.live_events
    )
    assert events == Counter(
        rows(
            engine.database,
            "select e.page_id, c.sender_id, e.event_type from contact_interaction_events e"
            " join messenger_conversations c on c.id = e.conversation_id"
            " where event_kind(e.event_type) <> 'message'",
        )
    )


def stored_messages(database: Database) -> Counter[tuple[Any, ...]]:
    return Counter(
        rows(
            database,
            "select e.page_id, c.sender_id, e.message_id, e.metadata ->> 'text'"
            " from contact_interaction_events e"
            " join messenger_conversations c on c.id = e.conversation_id"
            " where event_kind(e.event_type) = 'message'",
        )
    )
