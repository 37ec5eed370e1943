"""Which inbox and which conversation an item belongs to, where ids are ambiguous."""

import itertools
import json
from typing import Any

import pytest

from messenger_pipeline.db import inbox
from messenger_pipeline.db.pages import register_page
from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.quarantine import list_quarantined
from messenger_pipeline.quarantine import replay
from messenger_pipeline.webhook.drain import drain_batch
from tests.db.test_load import query

FACEBOOK, INSTAGRAM, SECOND, CLIENT = "500", "1784", "2777", "900"
AT = 1_795_860_000_000


def register(database: Database, *platforms: str) -> None:
    if "messenger" in platforms:
        register_page(
            database, FACEBOOK, name="Shop", user_id=None, platform="messenger",
            token_encrypted="x",
        )  # fmt: skip
    if "instagram" in platforms:
        register_page(
            database, INSTAGRAM, name="Shop", user_id=None, platform="instagram",
            token_encrypted="x", graph_id=FACEBOOK,
        )  # fmt: skip


def item(sender: str, recipient: str, seconds: int = 0, **payload: Any) -> Any:
    return {
        "sender": {"id": sender}, "recipient": {"id": recipient},
        "timestamp": AT + 1000 * seconds, **payload,
    }  # fmt: skip


def message(mid: str, **more: Any) -> Any:
    return {"message": {"mid": mid, "text": f"text of {mid}", **more}}


def body(*items: Any, entry: str = INSTAGRAM, kind: str = "instagram") -> bytes:
    return json.dumps(
        {"object": kind, "entry": [{"id": entry, "time": AT, "messaging": [*items]}]}
    ).encode()


def deliver(database: Database, *bodies: bytes) -> dict[str, int]:
    inbox.receive(database, bodies)
    states: dict[str, int] = {}
    while (drained := drain_batch(database)).deliveries:
        for state, count in drained.states.items():
            states[state] = states.get(state, 0) + count
    return states


def conversations(database: Database) -> list[tuple[str, str, int]]:
    """Page, contact and number of events of each conversation."""
    return query(
        database,
        "select c.page_id, c.sender_id, count(e.id)::int from messenger_conversations c"
        " left join contact_interaction_events e on e.conversation_id = c.id"
        " group by 1, 2 order by 1, 2",
    )


@pytest.mark.parametrize(
    ("kind", "entry", "expected"),
    [
        ("instagram", INSTAGRAM, INSTAGRAM),
        ("instagram", FACEBOOK, INSTAGRAM),
        ("page", INSTAGRAM, INSTAGRAM),
        ("page", FACEBOOK, FACEBOOK),
    ],
)
def test_a_webhook_by_any_id_lands_in_the_right_inbox_of_the_page(
    database: Database, kind: str, entry: str, expected: str
) -> None:
    register(database, "messenger", "instagram")
    sent = item(CLIENT, entry, **message("m1"))
    assert deliver(database, body(sent, entry=entry, kind=kind)) == {"done": 1}
    assert conversations(database) == [(expected, CLIENT, 1)]


def test_a_webhook_of_an_inbox_that_is_not_registered_waits_beside_the_pages_other_inbox(
    database: Database,
) -> None:
    register(database, "instagram")
    of_page = body(item(CLIENT, FACEBOOK, **message("m1")), entry=FACEBOOK, kind="page")
    assert deliver(database, of_page) == {"waiting": 1}
    register(database, "messenger")
    assert drain_batch(database).states == {"done": 1}
    assert conversations(database) == [(FACEBOOK, CLIENT, 1)]


def test_an_instagram_webhook_waits_for_its_account_and_is_applied_then(
    database: Database,
) -> None:
    register(database, "messenger")
    query(database, "update facebook_pages set watermark = now() returning 1")  # it was synced
    waiting = body(item(CLIENT, INSTAGRAM, **message("m1")))
    by_page = body(item(CLIENT, FACEBOOK, **message("m2")), entry=FACEBOOK)
    assert deliver(database, waiting, by_page) == {"waiting": 2}
    register(database, "instagram")
    assert drain_batch(database).states == {"done": 2}
    assert conversations(database) == [(INSTAGRAM, CLIENT, 2)]


EVENTS = [
    item(CLIENT, SECOND, 1, **message("m1")),
    item(SECOND, CLIENT, 2, **message("m2", is_echo=True)),
    item(SECOND, CLIENT, 3, reaction={"mid": "m1", "action": "react", "emoji": "x"}),
    item(SECOND, CLIENT, 4, message_edit={"mid": "m2", "text": "better", "num_edit": 1}),
    item(SECOND, CLIENT, 5, read={"mid": "m1"}),
]


@pytest.mark.parametrize("seed", range(12))
def test_events_under_a_second_id_belong_to_the_conversation_of_the_message_that_they_name(
    database: Database, seed: int
) -> None:
    """Nobody registered the second id. The events come in any order, together or apart."""
    register(database, "instagram")
    order = [*itertools.permutations(EVENTS)][seed * 10]
    if seed % 3 == 0:
        deliver(database, body(*order))
    elif seed % 3 == 1:
        deliver(database, *(body(one) for one in order))
    else:
        for one in order:
            deliver(database, body(one))
    assert conversations(database) == [(INSTAGRAM, CLIENT, 5)]
    [row] = query(database, "select message_count, last_message from messenger_conversations")
    assert row == (2, "better")


def test_an_id_of_the_account_is_never_a_contact(database: Database) -> None:
    """The page's id is one, and so is a further one that a sync found."""
    register(database, "instagram")
    database.call("add_account_ids", page_id=INSTAGRAM, ids=[SECOND])
    watermark = {"read": {"watermark": AT}}
    for own in (FACEBOOK, SECOND):
        deliver(database, body(item(own, CLIENT, 1, **watermark)))
        deliver(database, body(item(own, CLIENT, 2, **message(f"m{own}"))))
    assert conversations(database) == [(INSTAGRAM, CLIENT, 4)]
    assert query(
        database,
        "select event_type, count(*) from contact_interaction_events group by 1 order by 1",
    ) == [("message_sent", 2), ("read", 2)]


def test_a_webhook_by_a_further_id_waits_until_the_id_is_known(database: Database) -> None:
    register(database, "instagram")
    assert deliver(database, body(item(CLIENT, SECOND, **message("m1")), entry=SECOND)) == {
        "waiting": 1
    }
    database.call("add_account_ids", page_id=INSTAGRAM, ids=[SECOND])
    assert drain_batch(database).states == {"done": 1}
    assert conversations(database) == [(INSTAGRAM, CLIENT, 1)]


def test_a_reply_under_a_second_id_is_the_accounts(database: Database) -> None:
    register(database, "instagram")
    deliver(database, body(item(CLIENT, INSTAGRAM, 1, **message("m1"))))
    reply = item(SECOND, CLIENT, 2, **message("m2", reply_to={"mid": "m1"}))
    deliver(database, body(reply))
    assert conversations(database) == [(INSTAGRAM, CLIENT, 2)]
    [(event_type,)] = query(
        database, "select event_type from contact_interaction_events where message_id = 'm2'"
    )
    assert event_type == "message_sent"


@pytest.mark.parametrize("stored", [("m1", "m2"), ("m2",)])
def test_a_report_of_several_messages_under_a_second_id_is_stored_once_in_any_order(
    database: Database, stored: tuple[str, ...]
) -> None:
    register(database, "instagram")
    report = body(item(SECOND, CLIENT, 3, delivery={"mids": ["m1", "m2"], "watermark": 3}))
    messages = [body(item(CLIENT, INSTAGRAM, 1, **message(one))) for one in stored]
    found = []
    for order in itertools.permutations([*messages, report]):
        query(database, "delete from messenger_conversations returning 1")
        for one in (*order, report, *messages):
            deliver(database, one)
        found.append(
            query(
                database,
                "select c.sender_id, e.event_type, e.message_id from contact_interaction_events e"
                " join messenger_conversations c on c.id = e.conversation_id order by 2, 3",
            )
        )
    assert all(one == found[0] for one in found)
    assert [row[1] for row in found[0]] == ["delivery", *(["message_received"] * len(stored))]
    assert found[0][0][0] == (CLIENT if "m1" in stored else SECOND)


@pytest.mark.parametrize("nobody", ["0", 0, "", "00", None])
def test_an_event_of_a_deleted_account_belongs_to_the_message_that_it_names(
    database: Database, nobody: Any
) -> None:
    register(database, "instagram")
    reaction = item("", INSTAGRAM, 2, reaction={"mid": "m1", "action": "react", "emoji": "x"})
    reaction["sender"]["id"] = nobody
    assert deliver(database, body(reaction)) == {"failed": 1}
    [record] = list_quarantined(database)
    assert record.reason == "it names no contact"
    assert replay(database, record) == "it names no contact"
    deliver(database, body(item(CLIENT, INSTAGRAM, 1, **message("m1"))))
    assert replay(database, record) is None
    assert deliver(database, body(reaction)) == {"done": 1}
    assert conversations(database) == [(INSTAGRAM, CLIENT, 2)]


def test_two_accounts_of_one_page_one_after_the_other(database: Database) -> None:
    """A page that is connected to another Instagram account reads that one's messages."""
    register(database, "instagram")
    register_page(
        database, "1799", name="Shop", user_id=None, platform="instagram", token_encrypted="x",
        graph_id=FACEBOOK,
    )  # fmt: skip
    assert query(
        database, "select facebook_page_id, status, status_reason from facebook_pages order by 1"
    ) == [
        ("1784", "removed", "page 500 is connected to Instagram account 1799"),
        ("1799", "active", None),
    ]


ODD = [
    {"sender": {"id": "0"}, "reaction": {"mid": "m\0x", "action": "react"}},
    {"sender": {"id": "5"}, "recipient": {"id": "6"}, "read": {"mid": "\0"}},
    {"delivery": {"mids": ["a", "b\0"]}},
    {"message": {"mid": "x", "reply_to": {"mid": "\0"}}},
]


@pytest.mark.parametrize("odd", ODD)
def test_an_item_that_names_an_impossible_message_fails_no_other(
    database: Database, odd: Any
) -> None:
    """PostgreSQL's text cannot hold NUL."""
    register(database, "instagram")
    good = item(CLIENT, INSTAGRAM, 1, **message("m1"))
    deliver(database, body({"recipient": {"id": INSTAGRAM}, **odd}, good))
    assert (INSTAGRAM, CLIENT, 1) in conversations(database)
