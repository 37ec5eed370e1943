"""The drain on a real database: one row a message, whatever brings it, in whatever order."""

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
from messenger_pipeline.webhook.drain import Drained, drain_batch, drain_these
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


def deliver(database: Database, *bodies: bytes) -> list[inbox.Settled]:
    return drain_these(database, inbox.receive(database, bodies))


def messages(database: Database) -> list[Any]:
    """Type, id, text, whether unsent, milliseconds after noon."""
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


def load(database: Database, words: str, *, seconds: float, as_of: float, mid: str = "m1") -> None:
    """The message as an answer of the API states it."""
    told = {
        "sender_id": CONTACT, "sender_name": "Ann",
        "as_of": (NOON + timedelta(seconds=as_of)).isoformat(),
        "events": [{
            "event_type": "message_received", "message_id": mid,
            "event_timestamp": (NOON + timedelta(seconds=seconds)).isoformat(),
            "metadata": {"source": "initial_sync", "message_id": mid, "text": words},
        }],
    }  # fmt: skip
    query(
        database,
        "select * from bulk_upsert_conversations_with_events(%s, %s)",
        PAGE,
        json.dumps([told]),
    )


def test_a_message_makes_its_conversation_and_a_redelivery_adds_nothing(page: Database) -> None:
    sent = body(text(1.234, "m1", "hello"))
    assert [one.state for one in deliver(page, sent)] == ["done"]
    assert messages(page) == [("message_received", "m1", "hello", False, 1234)]
    assert conversation(page) == (1, "hello", 0, "active", "owner")

    before = query(page, "select xmin::text, ctid::text from contact_interaction_events")
    deliver(page, sent, sent)
    assert query(page, "select xmin::text, ctid::text from contact_interaction_events") == before
    assert conversation(page) == (1, "hello", 0, "active", "owner")


@pytest.mark.parametrize("sync_first", [True, False])
def test_the_sync_and_the_webhook_give_one_message_one_row(
    page: Database, sync_first: bool
) -> None:
    steps: list[Callable[[], object]] = [
        lambda: load(page, "hello", seconds=1, as_of=60),
        lambda: deliver(page, body(text(1.234, "m1", "hello"))),
    ]
    for step in steps if sync_first else reversed(steps):
        step()
    # The webhook's time is the finer one, whichever came first.
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
def test_an_edit_states_the_text_and_no_more(page: Database, first: str) -> None:
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
    # What the API said before the edit does not bring the old text back; what it says after does.
    load(page, "old", seconds=1, as_of=1.5)
    assert messages(page)[0][2] == "new"
    load(page, "newest", seconds=1, as_of=3)
    assert messages(page)[0][2] == "newest"


def test_an_unsent_message_stays_marked_and_blank(page: Database) -> None:
    deliver(page, body(unsend(5, "m1")))
    assert messages(page) == [], "nobody told the message yet"
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


def test_a_reaction_taken_back_and_given_again_is_three_events(page: Database) -> None:
    told = [
        item(second, reaction={"mid": "m1", "action": action})
        for second, action in enumerate(("react", "unreact", "react"))
    ]
    deliver(page, body(*told), body(*told))
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
    told = body(item(1, message={"text": "a"}), item(2, message={"text": "a"}))
    deliver(page, told, told)
    assert len(messages(page)) == 2


def test_only_a_later_fact_revives_a_deleted_conversation(page: Database) -> None:
    deliver(page, body(text(10, "m1", "a")))
    query(
        page,
        "update messenger_conversations set conversation_status = 'deleted', deleted_at = %s"
        " returning id",
        NOON + timedelta(seconds=100),
    )
    deliver(page, body(text(50, "m2", "late, but from before")))
    assert conversation(page)[3] == "deleted"
    deliver(page, body(text(101, "m3", "back")))
    assert conversation(page)[3] == "active"


def test_a_page_that_is_not_registered_waits_until_it_is(database: Database) -> None:
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


def test_a_page_registered_while_a_drain_finds_it_missing_is_not_missed(url: str) -> None:
    """Registering waits for the drain, and sees what it left waiting."""
    with Database(url) as one, Database(url) as other:
        [id_] = inbox.receive(one, [body(text(1, "m1", "a"))])
        with one.transaction() as connection:
            inbox.claim(connection, 1)
            assert inbox.find_registered(connection, [PAGE]) == set()
            with psycopg.connect(url) as third:
                # Nobody can register a page now.
                free = third.execute(
                    "select pg_try_advisory_xact_lock(hashtext('messenger_pipeline.register_page'))"
                ).fetchone()
                assert free == (False,)
            inbox.settle(connection, [{"id": id_, "state": "pending", "waiting_for": [PAGE]}])
        register(other)
        assert drain_batch(other).states == {"done": 1}


@pytest.fixture
def refusing(page: Database) -> Database:
    """The database refuses messages that say "bad"."""
    with page.transaction() as connection:
        connection.execute(
            "create function refuse() returns trigger language plpgsql as $$ begin"
            " if new.metadata ->> 'text' = 'bad' then raise exception 'not here'; end if;"
            " return new; end $$;"
            "create trigger refuse before insert on contact_interaction_events"
            " for each row execute function refuse()"
        )
    return page


def take_again(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute("drop trigger refuse on contact_interaction_events")


def due_again(database: Database) -> Drained:
    query(
        database,
        "update webhook_inbox set not_before = now() where not_before > now() returning id",
    )
    return drain_batch(database)


def test_what_is_refused_is_tried_again_then_quarantined_and_the_rest_applies(
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
    assert drain_batch(refusing).deliveries == 0, "not before its pause is over"

    for _ in range(ATTEMPTS - 1):
        drained = due_again(refusing)
    assert (drained.states, drained.quarantined) == ({"failed": 1}, 1)
    [record] = list_quarantined(refusing)
    assert (record.page_id, record.source, record.kind) == (PAGE, "webhook", "event")
    assert "not here" in record.reason
    assert [row[2] for row in messages(refusing)] == ["good"]

    # Once the database takes it, the record goes in, by either way.
    take_again(refusing)
    assert replay(refusing, record) is None
    assert [row[2] for row in messages(refusing)] == ["good", "bad"]


def test_a_replay_of_the_delivery_takes_it_out_of_quarantine(refusing: Database) -> None:
    [first] = inbox.receive(refusing, [body(text(2, "m2", "bad"))])
    drain_batch(refusing)
    for _ in range(ATTEMPTS - 1):
        due_again(refusing)
    take_again(refusing)
    [again] = inbox.reopen(refusing, state="failed")
    assert again == [first]
    assert [one.state for one in drain_these(refusing, again)] == ["done"]
    assert inbox.resolve_replayed(refusing, again) == 1
    assert list(list_quarantined(refusing)) == []


def test_what_can_never_be_used_is_quarantined_at_once_and_once(page: Database) -> None:
    lonely = body(item(1, sender=PAGE, recipient={"id": PAGE}, message={"mid": "m", "text": "?"}))
    assert [one.state for one in deliver(page, b"\xff no JSON", lonely)] == ["failed", "failed"]
    deliver(page, b"\xff no JSON", lonely)
    found = sorted((one.kind, one.page_id, one.reason) for one in list_quarantined(page))
    assert found == [
        ("delivery", "", "no JSON"),
        ("item", PAGE, "it names nobody but the page"),
    ]
    for record in list_quarantined(page):
        assert replay(page, record) is not None, "nothing changed: it still cannot be used"


def test_changes_are_announced_by_page_and_conversation(page: Database, url: str) -> None:
    with psycopg.connect(url, autocommit=True) as listener:
        listener.execute(f"listen {inbox.ANNOUNCEMENTS}")
        deliver(page, body(text(1, "m1", "a")))
        deliver(page, body(text(1, "m1", "a")))  # changes nothing
        deliver(page, body(text(2, "m2", "b")))
        heard = [json.loads(one.payload) for one in listener.notifies(timeout=5, stop_after=2)]
        assert list(listener.notifies(timeout=0.1)) == []
    [(conversation_id,)] = query(page, "select id::text from messenger_conversations")
    assert heard == [{"page_id": PAGE, "conversation_id": conversation_id}] * 2


def test_drains_side_by_side_share_the_work(url: str, page: Database) -> None:
    inbox.receive(page, [body(text(n, f"m{n}", "x")) for n in range(6)])
    with Database(url) as other, other.transaction() as connection:
        held = inbox.claim(connection, 2)
        assert drain_batch(page).deliveries == 4
        assert len(held) == 2
    assert drain_batch(page).deliveries == 2
    assert len(messages(page)) == 6


def test_one_delivery_that_fails_all_does_not_hold_the_others(page: Database) -> None:
    """An error that is of no item: found by applying one delivery at a time. It is never given
    up, as every delivery may fail so until somebody repairs the database."""
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
        assert due_again(page).states == {"retry": 1}
    with page.transaction() as connection:
        connection.execute("drop trigger odd on webhook_inbox")
    assert due_again(page).states == {"done": 1}
    assert len(messages(page)) == 3


def test_different_events_that_are_refused_are_different_records(page: Database) -> None:
    with page.transaction() as connection:
        connection.execute(
            "create function refuse() returns trigger language plpgsql as $$ begin"
            " raise exception 'not here'; end $$;"
            "create trigger refuse before insert on contact_interaction_events"
            " for each row execute function refuse()"
        )
    told = [
        body(item(1, postback={"payload": "A"})),
        body(item(2, postback={"payload": "B"})),
        body(text(3, "m1", "a"), item(4, reaction={"mid": "m1", "action": "react"})),
        # Two events in one item.
        body(item(5, message={"mid": "m2", "text": "b"}, referral={"ref": "r"})),
    ]
    inbox.receive(page, told)
    for _ in range(ATTEMPTS):
        due_again(page)
    take_again(page)
    records = list(list_quarantined(page))
    assert len(records) == 6
    assert [replay(page, record) for record in records] == [None] * 6
    assert query(page, "select count(*) from contact_interaction_events") == [(6,)]


def test_more_items_than_any_delivery_has_are_one_that_cannot_be_used(page: Database) -> None:
    many = json.dumps({"object": "page", "entry": [1] * 500_000}).encode()
    bad, good = deliver(page, many, body(text(1, "m1", "a")))
    assert (bad.state, good.state) == ("failed", "done")
    assert [record.kind for record in list_quarantined(page)] == ["delivery"]


def test_what_comes_many_times_in_one_batch_is_loaded_once(page: Database) -> None:
    told = body(*(text(n, f"m{n}", "x") for n in range(50)))
    drained = drain_these(page, inbox.receive(page, [told] * 150))
    assert {one.state for one in drained} == {"done"}
    assert len(messages(page)) == 50


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_edits_without_a_time_are_told_apart_by_their_number(
    page: Database, order: tuple[int, int]
) -> None:
    edits = [edit(0, "m1", words, number) for number, words in enumerate(("one", "two"), 1)]
    deliver(page, body(text(1, "m1", "first") | {"timestamp": 0}, time=0))
    for which in order:
        deliver(page, body(edits[which] | {"timestamp": 0}, time=0))
    assert [row[2] for row in messages(page)] == ["two"]


def test_settled_deliveries_are_deleted_after_their_time_and_no_others(page: Database) -> None:
    deliver(
        page,
        body(text(1, "m1", "a")),
        b'{"object": "page", "entry": []}',
        b"no JSON",
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


def test_a_batch_of_large_bodies_is_a_small_one(page: Database) -> None:
    def large(number: int) -> bytes:
        return body(text(number, f"m{number}", "x" * 3 * 2**20))

    inbox.receive(page, [large(number) for number in range(5)])
    assert [drain_batch(page).deliveries for _ in range(3)] == [3, 2, 0]
    assert len(messages(page)) == 5


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_an_answer_that_repeats_what_was_said_before_an_edit_does_not_take_it_back(
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
def test_a_message_without_an_id_is_claimed_whatever_became_of_the_one_with_it(
    page: Database, change: Any, order: tuple[int, ...]
) -> None:
    told = [item(10.1, message={"text": "a"}), text(10.2, "m1", "a"), change]
    for which in order:
        deliver(page, body(told[which]))
    assert [row[1] for row in messages(page)] == ["m1"]
    assert conversation(page)[:2] == (1, "b" if "message_edit" in change else None)
    everything = query(page, "select metadata::text from contact_interaction_events")
    if "message_edit" not in change:
        assert not any('"a"' in metadata for (metadata,) in everything), "it was taken back"
