"""Items in `changes`, parts of one message, and large deliveries."""

import json
from typing import Any

import pytest

from messenger_pipeline.db import inbox
from messenger_pipeline.db.pool import Database
from messenger_pipeline.webhook.deliveries import MESSAGING_FIELDS, parse_delivery
from messenger_pipeline.webhook.drain import drain_batch
from tests.db.test_load import query
from tests.webhook.bodies import CONTACT, NOON, PAGE, at, body, item, text
from tests.webhook.test_drain import register

SECONDS = at(0) // 1000


def change(field: Any, value: Any) -> bytes:
    entry = {"id": PAGE, "time": SECONDS, "changes": [{"field": field, "value": value}]}
    return json.dumps({"object": "instagram", "entry": [entry]}).encode()


@pytest.fixture
def page(database: Database) -> Database:
    register(database)
    return database


def deliver(database: Database, *bodies: bytes) -> None:
    inbox.receive(database, bodies)
    while drain_batch(database).deliveries:
        pass


def events(database: Database) -> list[Any]:
    return query(
        database,
        "select event_type, event_timestamp, message_id, metadata - array['source', 'message_id']"
        " from contact_interaction_events order by 1, 2, 3",
    )


@pytest.mark.parametrize(
    ("field", "payload", "event_type"),
    [
        ("messages", {"message": {"mid": "m1", "text": "hi"}}, "message_received"),
        ("messaging_postbacks", {"postback": {"mid": "m1", "payload": "GO"}}, "postback"),
        ("message_reactions", {"reaction": {"mid": "m1", "action": "react"}}, "reaction"),
        ("message_edits", {"message_edit": {"mid": "m1", "text": "hi", "num_edit": 1}}, "edit"),
        ("messaging_referrals", {"referral": {"ref": "r"}}, "referral"),
        ("message_reads", {"read": {"mid": "m1"}}, "read"),
        ("message_deliveries", {"delivery": {"mids": ["m1"]}}, "delivery"),
        ("standby", {"message": {"mid": "m1", "text": "hi"}}, "message_received"),
    ],
)
def test_an_item_in_a_change_is_the_item_under_messaging(
    page: Database, field: str, payload: Any, event_type: str
) -> None:
    """Its times are in seconds, perhaps as text."""
    sent = {**item(0, **payload), "timestamp": str(SECONDS)}
    deliver(page, change(field, sent))
    [stored] = events(page)
    assert stored[:2] == (event_type, NOON)
    channels: dict[str, Any] = {"standby": [sent]} if field == "standby" else {"messaging": [sent]}
    deliver(page, body(**{"messaging": [], "time": SECONDS, **channels}))
    assert [row[0] for row in events(page)] == [event_type]


def test_a_message_in_changes_and_under_messaging_is_one_with_the_finer_time(
    page: Database,
) -> None:
    deliver(page, change("messages", {**text(0, "m1", "hi"), "timestamp": SECONDS}))
    deliver(page, body(text(0.25, "m1", "hi")))
    assert [(row[1] - NOON).total_seconds() for row in events(page)] == [0.25]


@pytest.mark.parametrize("field", ["feed", "comments", "mentions", None, 7, ["messages"], {}])
def test_another_change_is_ignored_and_counted(page: Database, field: Any) -> None:
    [found] = parse_delivery(change(field, item(0, message={"mid": "m1"})), NOON)
    assert found.ignored is not None
    deliver(page, change(field, {"item": "post"}))
    assert query(page, "select state from webhook_inbox") == [("ignored",)]


@pytest.mark.parametrize("value", ["text", 3, None, True])
def test_a_change_whose_value_is_no_item_is_quarantined(page: Database, value: Any) -> None:
    [found] = parse_delivery(change("messages", value), NOON)
    assert found.unusable == "the item is not an object"
    deliver(page, change("messages", value), body(text(0, "m1", "hi")))
    assert [row[2] for row in events(page)] == ["m1"]


def test_the_fields_are_those_of_the_documentation() -> None:
    assert {"messages", "message_echoes", "standby"} <= MESSAGING_FIELDS
    assert not {"feed", "comments", "message_template_status_update"} & MESSAGING_FIELDS


def attachment(number: int) -> Any:
    return {"type": "image", "payload": {"url": f"https://x.example/{number}.jpg"}}


def part(number: int, **more: Any) -> Any:
    return item(0, message={"mid": "m1", "attachments": [attachment(number)], **more})


def test_all_attachments_of_a_message_in_several_items_of_a_delivery_stay(page: Database) -> None:
    deliver(page, body(part(1), part(2, text="both"), part(3), part(1)))
    [(_, _, _, metadata)] = events(page)
    assert metadata["attachments"] == [attachment(1), attachment(2), attachment(3)]
    assert metadata["text"] == "both"
    deliver(page, body(part(1), part(2, text="both"), part(3), part(1)))
    assert [row[3] for row in events(page)] == [metadata]


@pytest.mark.parametrize("together", [True, False])
def test_of_the_parts_of_a_message_the_greatest_content_counts(
    page: Database, together: bool
) -> None:
    """In one delivery or in several."""
    items = [
        item(0, message={"mid": "m1", "text": "z", "reply_to": {"mid": "m0"}}),
        item(0, message={"mid": "m1", "text": "ä"}),
    ]
    deliver(page, *([body(*items)] if together else map(body, items)))
    assert [row[3] for row in events(page)] == [{"text": "ä"}]


def test_a_postback_on_standby_without_a_payload_is_stored(page: Database) -> None:
    deliver(page, body(standby=[item(0, postback={"title": "Start"}), item(1, postback={})]))
    assert [(row[0], row[3]) for row in events(page)] == [
        ("postback", {"standby": True, "title": "Start"}),
        ("postback", {"standby": True}),
    ]


def test_a_delivery_of_a_thousand_items_is_applied(page: Database) -> None:
    """From many contacts, and with one message in many parts."""
    many = [
        {**text(number, f"m{number}", "hi"), "sender": {"id": f"c{number % 300}"}}
        for number in range(1_000)
    ]
    parts = [
        item(0, message={"mid": "parts", "attachments": [attachment(number)]})
        for number in range(1_000)
    ]
    deliver(page, body(*many), body(*parts))
    assert query(page, "select state, count(*) from webhook_inbox group by 1") == [("done", 2)]
    assert query(page, "select count(*) from contact_interaction_events") == [(1_001,)]
    [(count,)] = query(
        page,
        "select jsonb_array_length(metadata -> 'attachments') from contact_interaction_events"
        " where message_id = 'parts'",
    )
    assert count == 1_000
    assert query(
        page, f"select count(*) from messenger_conversations where sender_id = '{CONTACT}'"
    ) == [(1,)]
