"""The drain on a real database: one row per message, from any source and in any order."""

import itertools
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from messenger_pipeline.db import inbox, migrate
from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.quarantine import list_quarantined
from messenger_pipeline.quarantine import replay
from messenger_pipeline.webhook.drain import DrainResult, drain_batch, drain_deliveries
from messenger_pipeline.webhook.outcome import ATTEMPTS
from tests.db.test_load import query
from tests.webhook.bodies import CONTACT, NOON, PAGE, at, body, edit, item, text, unsend


def register(database: Database, page_id: str = PAGE) -> None:
    database.call(
        "register_page", page_id=page_id, name="Page", user_id="owner", platform=None,
        token_encrypted="X",
    )  # fmt: skip


@pytest.fixture
def page(database: Database) -> Database:
    register(database)
    return database


def deliver(database: Database, *bodies: bytes) -> list[inbox.DeliveryOutcome]:
    return drain_deliveries(database, inbox.receive(database, bodies))


def messages(database: Database) -> list[Any]:
    """Type, id, text, unsent or not, and time in milliseconds after noon, of each message."""
    return query(
        database,
        "select event_type, message_id, metadata ->> 'text', metadata ? 'unsent_at',"
        " (extract(epoch from event_timestamp) * 1000)::bigint - %s"
        " from contact_interaction_events where split_part(event_type, '_', 1) = 'message'"
        " order by event_timestamp, message_id",
        at(0),
    )


def conversation(database: Database) -> Any:
    [row] = query(
        database,
        "select message_count, last_message, version, conversation_status, user_id"
        " from messenger_conversations where sender_id = %s",
        CONTACT,
    )
    return row


def facts(database: Database) -> Any:
    return (
        query(database, "select * from conversation_facts order by 1, 2"),
        query(database, "select * from event_facts order by 1, 2, 3, 4, 5, 6"),
    )


def load(
    database: Database, content: str, *, seconds: float, as_of: float, mid: str = "m1"
) -> None:
    """Load a message as an answer of the API states it."""
    conversation = {
        "sender_id": CONTACT, "sender_name": "Ann",
        "as_of": (NOON + timedelta(seconds=as_of)).isoformat(),
        "events": [{
            "event_type": "message_received", "message_id": mid,
            "event_timestamp": (NOON + timedelta(seconds=seconds)).isoformat(),
            "metadata": {"source": "initial_sync", "message_id": mid, "text": content},
        }],
    }  # fmt: skip
    query(
        database,
        "select * from bulk_upsert_conversations_with_events(%s, %s)",
        PAGE,
        json.dumps([conversation]),
    )


def test_a_message_creates_its_conversation_and_a_redelivery_changes_nothing(
    page: Database,
) -> None:
    sent = body(text(1.234, "m1", "hello"))
    assert [one.state for one in deliver(page, sent)] == ["done"]
    assert messages(page) == [("message_received", "m1", "hello", False, 1234)]
    assert conversation(page) == (1, "hello", 0, "active", "owner")

    before = query(page, "select xmin::text, ctid::text from contact_interaction_events")
    deliver(page, sent, sent)
    assert query(page, "select xmin::text, ctid::text from contact_interaction_events") == before
    assert conversation(page) == (1, "hello", 0, "active", "owner")


@pytest.mark.parametrize("sync_first", [True, False])
def test_a_message_from_the_sync_and_the_webhook_is_one_row(
    page: Database, sync_first: bool
) -> None:
    steps: list[Callable[[], object]] = [
        lambda: load(page, "hello", seconds=1, as_of=60),
        lambda: deliver(page, body(text(1.234, "m1", "hello"))),
    ]
    for step in steps if sync_first else reversed(steps):
        step()
    # The webhook's time has milliseconds, so it wins in either order.
    assert messages(page) == [("message_received", "m1", "hello", False, 1234)]
    assert conversation(page)[:2] == (1, "hello")


CHANGES = {
    "message": text(1, "m1", "first"),
    "echo": item(2, sender=PAGE, message={"mid": "m2", "text": "answer", "is_echo": True}),
    "first edit": edit(3, "m1", "second"),
    "second edit": edit(3, "m1", "third", 2),
    "reaction": item(4, reaction={"mid": "m1", "action": "react", "emoji": "❤"}),
    "unsend": unsend(5, "m2"),
}


@pytest.mark.parametrize("order", list(itertools.permutations(CHANGES))[::11])
def test_any_order_ends_in_the_same_rows(page: Database, order: tuple[str, ...]) -> None:
    for name in order:
        deliver(page, body(CHANGES[name]))
    assert messages(page) == [
        ("message_received", "m1", "third", False, 1000),
        ("message_sent", "m2", None, True, 2000),
    ]
    assert conversation(page)[:2] == (2, "third")
    kinds = query(page, "select event_type from contact_interaction_events order by 1")
    assert [kind for (kind,) in kinds] == [
        "edit", "edit", "message_received", "message_sent", "reaction", "unsend",
    ]  # fmt: skip
    assert set(migrate.verify(page).values()) == {None}


@pytest.mark.parametrize("first", ["edit", "message"])
def test_an_edit_replaces_the_text_only(page: Database, first: str) -> None:
    image = {"type": "image", "payload": {"url": "https://example.org/1.jpg"}}
    message = body(item(1, message={"mid": "m1", "text": "old", "attachments": [image]}))
    steps = [message, body(edit(2, "m1", "new"))]
    for step in reversed(steps) if first == "edit" else steps:
        deliver(page, step)
    [(metadata,)] = query(
        page,
        "select metadata from contact_interaction_events where event_type = 'message_received'",
    )
    assert (metadata["text"], metadata["attachments"]) == ("new", [image])
    # An answer of before the edit does not restore the old text; a later answer replaces it.
    load(page, "old", seconds=1, as_of=1.5)
    assert messages(page)[0][2] == "new"
    load(page, "newest", seconds=1, as_of=3)
    assert messages(page)[0][2] == "newest"


def test_an_unsent_message_stays_marked_and_blank(page: Database) -> None:
    deliver(page, body(unsend(5, "m1")))
    assert messages(page) == [], "the message itself has not arrived yet"
    deliver(page, body(text(1, "m1", "regretted"), text(2, "m2", "kept")))
    load(page, "regretted", seconds=1, as_of=60)
    assert messages(page)[0] == ("message_received", "m1", None, True, 1000)
    assert conversation(page)[:2] == (2, "kept")
    deliver(page, body(unsend(6, "m2")))
    assert conversation(page)[:2] == (2, None)


def test_message_reaction_edit_and_postback_of_one_id_stay_four_events(page: Database) -> None:
    deliver(
        page,
        body(
            text(1, "m1", "a"),
            item(2, reaction={"mid": "m1", "action": "react", "reaction": "love"}),
            edit(3, "m1", "b"),
            item(4, postback={"mid": "m1", "title": "Go", "payload": "GO"}),
        ),
    )
    assert query(page, "select count(*) from contact_interaction_events") == [(4,)]


def test_a_reaction_removed_and_given_again_is_three_events(page: Database) -> None:
    reactions = [
        item(second, reaction={"mid": "m1", "action": action})
        for second, action in enumerate(("react", "unreact", "react"))
    ]
    deliver(page, body(*reactions), body(*reactions))
    assert query(page, "select count(*) from contact_interaction_events") == [(3,)]


@pytest.mark.parametrize("anonymous_first", [True, False])
def test_a_message_with_an_id_claims_the_one_without(page: Database, anonymous_first: bool) -> None:
    steps: list[Callable[[], object]] = [
        lambda: deliver(page, body(item(1.5, message={"text": "hello"}))),
        lambda: load(page, "hello", seconds=1, as_of=60),
    ]
    for step in steps if anonymous_first else reversed(steps):
        step()
    assert [row[:3] for row in messages(page)] == [("message_received", "m1", "hello")]
    assert conversation(page)[:2] == (1, "hello")
    assert set(migrate.verify(page).values()) == {None}


def test_two_messages_without_ids_stay_two_and_are_stored_once(page: Database) -> None:
    sent = body(item(1, message={"text": "a"}), item(2, message={"text": "a"}))
    deliver(page, sent, sent)
    assert len(messages(page)) == 2


def test_only_a_later_fact_revives_a_deleted_conversation(page: Database) -> None:
    deliver(page, body(text(10, "m1", "a")))
    query(
        page,
        "update messenger_conversations set conversation_status = 'deleted', deleted_at = %s"
        " returning id",
        NOON + timedelta(seconds=100),
    )
    deliver(page, body(text(50, "m2", "late, but older")))
    assert conversation(page)[3] == "deleted"
    deliver(page, body(text(101, "m3", "back")))
    assert conversation(page)[3] == "active"


def test_deliveries_of_an_unregistered_page_wait_until_it_is_registered(database: Database) -> None:
    mixed = json.loads(body(text(1, "m1", "known")))
    mixed["entry"] += json.loads(body(text(2, "m2", "other"), page="11"))["entry"]
    register(database)
    [settled] = deliver(database, json.dumps(mixed).encode())
    assert (settled.state, settled.waiting_for, settled.not_before) == ("pending", ["11"], None)
    assert [one["outcome"] for one in settled.outcomes or []] == ["applied", "waiting"]
    assert [row[2] for row in messages(database)] == ["known"]
    [backlog] = database.rows("webhook_backlog")
    assert (backlog["state"], backlog["page_id"]) == ("unregistered_page", "11")

    register(database, "11")
    assert drain_batch(database).states == {"done": 1}
    assert [row[2] for row in messages(database)] == ["known", "other"]


def test_a_page_registered_during_a_drain_is_not_missed(url: str) -> None:
    """Registration waits for the drain, and makes the deliveries that it left due."""
    with Database(url) as one, Database(url) as other:
        [id_] = inbox.receive(one, [body(text(1, "m1", "a"))])
        with one.transaction() as connection:
            inbox.claim(connection, 1)
            inbox.block_registration(connection)
            assert inbox.find_registered(connection, [PAGE]) == []
            with psycopg.connect(url) as third:
                # No page can be registered now.
                free = third.execute(
                    "select pg_try_advisory_xact_lock(hashtext('messenger_pipeline.register_page'))"
                ).fetchone()
                assert free == (False,)
            inbox.settle(connection, [{"id": id_, "state": "pending", "waiting_for": [PAGE]}])
        register(other)
        assert drain_batch(other).states == {"done": 1}


@pytest.fixture
def refusing(page: Database) -> Database:
    """The database refuses messages with the text "bad"."""
    with page.transaction() as connection:
        connection.execute(
            "create function refuse() returns trigger language plpgsql as $$ begin"
            " if new.metadata ->> 'text' = 'bad' then raise exception 'not here'; end if;"
            " return new; end $$;"
            "create trigger refuse before insert on contact_interaction_events"
            " for each row execute function refuse()"
        )
    return page


def stop_refusing(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute("drop trigger refuse on contact_interaction_events")


def retry_now(database: Database) -> DrainResult:
    query(
        database,
        "update webhook_inbox set not_before = now() where not_before > now() returning id",
    )
    return drain_batch(database)


def test_a_refused_event_is_retried_then_quarantined_and_the_rest_is_applied(
    refusing: Database,
) -> None:
    [first] = inbox.receive(refusing, [body(text(1, "m1", "good"), text(2, "m2", "bad"))])
    drained = drain_batch(refusing)
    assert (drained.states, drained.events_created) == ({"retry": 1}, 1)
    [settled] = inbox.get_deliveries(refusing, [first])
    assert settled.state == "pending"
    assert settled.attempts == 1
    assert settled.not_before is not None
    assert "not here" in (settled.last_error or "")
    assert drain_batch(refusing).deliveries == 0, "not before its pause has passed"

    for _ in range(ATTEMPTS - 1):
        drained = retry_now(refusing)
    assert (drained.states, drained.quarantined) == ({"failed": 1}, 1)
    [record] = list_quarantined(refusing)
    assert (record.page_id, record.source, record.kind) == (PAGE, "webhook", "event")
    assert "not here" in record.reason
    assert [row[2] for row in messages(refusing)] == ["good"]

    # Once the database accepts it, the record loads.
    stop_refusing(refusing)
    assert replay(refusing, record) is None
    assert [row[2] for row in messages(refusing)] == ["good", "bad"]


def test_a_quarantined_record_is_resolved_when_its_message_arrives_well(
    refusing: Database,
) -> None:
    """By another delivery; an item that names no contact likewise."""
    nobody = {"message": {"mid": "m3", "text": "whose?"}}
    inbox.receive(refusing, [body(text(2, "m2", "bad"), nobody)])
    drain_batch(refusing)
    for _ in range(ATTEMPTS - 1):
        retry_now(refusing)
    assert [one.kind for one in list_quarantined(refusing)] == ["event", "item"]
    stop_refusing(refusing)
    inbox.receive(refusing, [body(text(2, "m2", "bad"), text(3, "m3", "whose?"))])
    drain_batch(refusing)
    assert list(list_quarantined(refusing)) == []


def test_replaying_the_delivery_resolves_its_quarantined_records(refusing: Database) -> None:
    [first] = inbox.receive(refusing, [body(text(2, "m2", "bad"))])
    drain_batch(refusing)
    for _ in range(ATTEMPTS - 1):
        retry_now(refusing)
    stop_refusing(refusing)
    [again] = inbox.reopen(refusing, state="failed")
    assert again == [first]
    assert [one.state for one in drain_deliveries(refusing, again)] == ["done"]
    assert inbox.resolve_replayed(refusing, again) == 1
    assert list(list_quarantined(refusing)) == []


def test_an_unusable_item_is_quarantined_at_once_and_only_once(page: Database) -> None:
    lonely = body(item(1, sender=PAGE, recipient={"id": PAGE}, message={"mid": "m", "text": "?"}))
    assert [one.state for one in deliver(page, b"\xff not JSON", lonely)] == ["failed", "failed"]
    deliver(page, b"\xff not JSON", lonely)
    found = sorted((one.kind, one.page_id, one.reason) for one in list_quarantined(page))
    assert found == [
        ("delivery", "", "not JSON"),
        ("item", PAGE, "it names no contact"),
    ]
    for record in list_quarantined(page):
        assert replay(page, record) is not None, "nothing changed, so it is still unusable"


def test_an_unusable_item_of_another_contact_does_not_fail_the_delivery(page: Database) -> None:
    """Its contact has no event at all in the batch."""
    [settled] = deliver(page, body(text(1, "m1", "a"), item(2, sender="21", message="no object")))
    assert settled.state == "failed"
    assert [one["outcome"] for one in settled.outcomes or []] == ["applied", "quarantined"]
    assert [row[2] for row in messages(page)] == ["a"]


def test_changes_are_announced_by_page_and_conversation(page: Database, url: str) -> None:
    with psycopg.connect(url, autocommit=True) as listener:
        listener.execute(f"listen {inbox.ANNOUNCEMENTS}")
        deliver(page, body(text(1, "m1", "a")))
        deliver(page, body(text(1, "m1", "a")))  # changes nothing
        deliver(page, body(text(2, "m2", "b")))
        announced = [json.loads(one.payload) for one in listener.notifies(timeout=5, stop_after=2)]
        assert list(listener.notifies(timeout=0.1)) == []
    [(conversation_id,)] = query(page, "select id::text from messenger_conversations")
    assert announced == [{"page_id": PAGE, "conversation_id": conversation_id}] * 2


def test_concurrent_drains_share_the_work(url: str, page: Database) -> None:
    inbox.receive(page, [body(text(n, f"m{n}", "x")) for n in range(6)])
    with Database(url) as other, other.transaction() as connection:
        held = inbox.claim(connection, 2)
        assert drain_batch(page).deliveries == 4
        assert len(held) == 2
    assert drain_batch(page).deliveries == 2
    assert len(messages(page)) == 6


def test_a_delivery_that_fails_its_batch_does_not_block_the_others(page: Database) -> None:
    """The error belongs to no item, so each delivery is applied on its own. The failing one is
    retried forever, because any delivery may fail like this until the database is repaired."""
    with page.transaction() as connection:
        connection.execute(
            "create function odd() returns trigger language plpgsql as $$ begin"
            " if new.id = 2 and new.state <> 'pending' then"
            " raise exception 'odd' using errcode = '42501'; end if; return new; end $$;"
            "create trigger odd before update on webhook_inbox for each row execute function odd()"
        )
    ids = inbox.receive(page, [body(text(n, f"m{n}", "x")) for n in range(3)])
    assert ids == [1, 2, 3]
    assert drain_batch(page).states == {"done": 2, "retry": 1}
    assert len(messages(page)) == 2
    for attempt in range(1, ATTEMPTS + 3):
        [settled] = inbox.get_deliveries(page, [2])
        assert (settled.state, settled.attempts) == ("pending", attempt)
        assert "odd" in (settled.last_error or "")
        assert retry_now(page).states == {"retry": 1}
    with page.transaction() as connection:
        connection.execute("drop trigger odd on webhook_inbox")
    assert retry_now(page).states == {"done": 1}
    assert len(messages(page)) == 3


def test_refused_events_are_one_record_each(page: Database) -> None:
    with page.transaction() as connection:
        connection.execute(
            "create function refuse() returns trigger language plpgsql as $$ begin"
            " raise exception 'not here'; end $$;"
            "create trigger refuse before insert on contact_interaction_events"
            " for each row execute function refuse()"
        )
    bodies = [
        body(item(1, postback={"payload": "A"})),
        body(item(2, postback={"payload": "B"})),
        body(text(3, "m1", "a"), item(4, reaction={"mid": "m1", "action": "react"})),
        # Two events in one item.
        body(item(5, message={"mid": "m2", "text": "b"}, referral={"ref": "r"})),
    ]
    inbox.receive(page, bodies)
    for _ in range(ATTEMPTS):
        retry_now(page)
    stop_refusing(page)
    records = list(list_quarantined(page))
    assert len(records) == 6
    assert [replay(page, record) for record in records] == [None] * 6
    assert query(page, "select count(*) from contact_interaction_events") == [(6,)]


def test_a_delivery_with_too_many_items_is_quarantined_whole(page: Database) -> None:
    many = json.dumps({"object": "page", "entry": [1] * 500_000}).encode()
    bad, good = deliver(page, many, body(text(1, "m1", "a")))
    assert (bad.state, good.state) == ("failed", "done")
    assert [record.kind for record in list_quarantined(page)] == ["delivery"]


def test_a_delivery_repeated_within_a_batch_is_loaded_once(page: Database) -> None:
    sent = body(*(text(n, f"m{n}", "x") for n in range(50)))
    drained = drain_deliveries(page, inbox.receive(page, [sent] * 150))
    assert {one.state for one in drained} == {"done"}
    assert len(messages(page)) == 50


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_edits_without_a_time_are_ordered_by_their_number(
    page: Database, order: tuple[int, int]
) -> None:
    edits = [edit(0, "m1", content, number) for number, content in enumerate(("one", "two"), 1)]
    deliver(page, body(text(1, "m1", "first") | {"timestamp": 0}, time=0))
    for which in order:
        deliver(page, body(edits[which] | {"timestamp": 0}, time=0))
    assert [row[2] for row in messages(page)] == ["two"]


def test_only_applied_and_ignored_deliveries_are_deleted_after_their_retention(
    page: Database,
) -> None:
    deliver(
        page,
        body(text(1, "m1", "a")),
        b'{"object": "page", "entry": []}',
        b"not JSON",
        body(text(1, "m1", "a"), page="11"),
        body(text(2, "m2", "b")),
    )
    query(
        page,
        "update webhook_inbox set settled_at = settled_at - interval '8 days' where id < 5"
        " returning id",
    )
    assert inbox.delete_settled(page, timedelta(days=7)) == 2
    left = query(page, "select id, state from webhook_inbox order by id")
    assert left == [(3, "failed"), (4, "pending"), (5, "done")]


def test_a_batch_of_large_bodies_holds_few_deliveries(page: Database) -> None:
    def large(number: int) -> bytes:
        return body(text(number, f"m{number}", "x" * 3 * 2**20))

    inbox.receive(page, [large(number) for number in range(5)])
    assert [drain_batch(page).deliveries for _ in range(3)] == [3, 2, 0]
    assert len(messages(page)) == 5


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_an_answer_with_the_text_of_before_an_edit_does_not_undo_it(
    page: Database, order: tuple[int, ...]
) -> None:
    steps: list[Callable[[], object]] = [
        lambda: deliver(page, body(text(10, "m1", "a"))),
        lambda: load(page, "a", seconds=10, as_of=30),
        lambda: deliver(page, body(edit(20, "m1", "b"))),
    ]
    for which in order:
        steps[which]()
    [(metadata,)] = query(
        page,
        "select metadata - 'source' from contact_interaction_events"
        " where event_type = 'message_received'",
    )
    assert metadata == {"message_id": "m1", "text": "b", "stated_text": "a"}
    assert conversation(page)[:2] == (1, "b")


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("change", [edit(20, "m1", "b"), unsend(20, "m1")])
def test_a_message_without_an_id_is_claimed_after_an_edit_or_unsend_too(
    page: Database, change: Any, order: tuple[int, ...]
) -> None:
    items = [item(10.1, message={"text": "a"}), text(10.2, "m1", "a"), change]
    for which in order:
        deliver(page, body(items[which]))
    assert [row[1] for row in messages(page)] == ["m1"]
    assert conversation(page)[:2] == (1, "b" if "message_edit" in change else None)
    everything = query(page, "select metadata::text from contact_interaction_events")
    if "message_edit" not in change:
        assert not any('"a"' in metadata for (metadata,) in everything), "the message was unsent"
