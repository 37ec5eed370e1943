"""The corners of the merge rules, in every order of arrival, on PostgreSQL."""

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import pytest
from pydantic_core import to_json

from messenger_pipeline.db import load
from messenger_pipeline.db.pool import Database
from messenger_pipeline.errors import VersionConflict
from messenger_pipeline.rows import ConversationRow, EventRow
from tests.convergence.sql_calls import (
    PAGE,
    at,
    conversation,
    conversation_facts,
    event_facts,
    failed_checks,
    message,
    open_session,
    query,
    upsert,
)

CDN = "https://scontent.xx.fbcdn.net/v"
PICTURE = {"type": "image", "payload": {"url": f"{CDN}/1_n.jpg?oh=1"}}
OTHER_PICTURE = {"type": "image", "payload": {"url": f"{CDN}/2_n.jpg?oh=1"}}


def listed(number: int, signature: str = "oh=9") -> dict[str, Any]:
    """A picture as an answer of the API lists it, under an id and an address of its own."""
    url = f"https://scontent-b.xx.fbcdn.net/v/api-{number}.jpg?{signature}"
    return {"id": str(number), "mime_type": "image/jpeg", "image_data": {"url": url}}


def without_id(seconds: float, discriminator: str = "", **metadata: Any) -> EventRow:
    return {
        "event_type": "message_received",
        "event_timestamp": at(seconds),
        "message_id": None,
        "discriminator": discriminator,
        "metadata": {"source": "webhook", **metadata},
    }


def changed(kind: str, seconds: float, **metadata: Any) -> EventRow:
    """An edit or unsend of the message mid.1."""
    return {
        "event_type": kind,
        "event_timestamp": at(seconds),
        "message_id": "mid.1",
        "discriminator": str(metadata.get("num_edit", "")),
        "metadata": {"source": "webhook", **metadata},
    }


def outcome_in_every_order(database: Database, writes: Sequence[ConversationRow]) -> Any:
    """The facts that the writes end in, which each order and each repetition must give."""
    found = []
    for order in permutations(writes):
        query(database, "delete from messenger_conversations returning 1")
        query(database, "delete from unsent_texts returning 1")
        for one in order:
            upsert(database, one)
        facts = conversation_facts(database), event_facts(database)
        for one in order:
            assert not any(row[2] or row[3] for row in upsert(database, one)), "a repetition"
        assert facts == (conversation_facts(database), event_facts(database))
        assert failed_checks(database) == {}
        found.append(facts)
    assert all(one == found[0] for one in found)
    return found[0]


def metadata_of(database: Database) -> list[dict[str, Any]]:
    return [row[0] for row in query(database, "select metadata from contact_interaction_events")]


# -- Content that returns -----------------------------------------------------------------------


def test_a_name_that_returns_is_the_latest_one(database: Database) -> None:
    writes = [
        conversation("20", second, message("mid.1", text="x"), name=name)
        for second, name in ((1, "Anna"), (2, "Bert"), (3, "Anna"))
    ]
    [(_, name, *_)], _ = outcome_in_every_order(database, writes)
    assert name == "Anna"


def test_a_text_that_returns_is_the_latest_one(database: Database) -> None:
    writes = [
        conversation("20", second, message("mid.1", text=text))
        for second, text in ((1, "A"), (2, "B"), (3, "A"), (4, "A"))
    ]
    [(_, _, text, *_)], _ = outcome_in_every_order(database, writes)
    assert text == "A"


def test_content_stated_again_writes_no_conversation_and_no_event(database: Database) -> None:
    def write(second: int) -> ConversationRow:
        events = [message(f"mid.{number}", text="x") for number in range(30)]
        return conversation("20", second, *events, name="Anna")

    upsert(database, write(1))
    tables = "messenger_conversations", "contact_interaction_events"
    before = [query(database, f"select xmin::text, id from {table} order by 2") for table in tables]
    for second in (2, 3, 4):
        upsert(database, write(second))
    assert before == [
        query(database, f"select xmin::text, id from {table} order by 2") for table in tables
    ]
    assert query(database, "select count(*), max(cardinality(ids)) from restatements") == [(1, 31)]


def test_what_few_messages_were_restated_is_written_to_them(database: Database) -> None:
    """A thread's window moves with each new message: no row is left behind for each."""
    for second in range(1, 40):
        window = range(max(0, second - 5), second + 1)
        events = [message(f"mid.{number}", number, text="x") for number in window]
        upsert(database, conversation("20", 100 + second, *events))
    assert query(database, "select count(*) from restatements") == [(1,)]
    late = conversation("20", 120, message("mid.30", 30, text="older"))
    upsert(database, late)
    assert "older" not in str(event_facts(database))


def test_content_of_an_event_that_moves_to_its_message_is_the_latest(database: Database) -> None:
    writes = [
        conversation("20", 0, message("mid.1", text="x")),
        *(
            conversation("99", second, changed("edit", 1, num_edit=1, text=text))
            for second, text in ((1, "A"), (2, "B"), (3, "A"))
        ),
    ]
    [(sender, _, text, *_)], _ = outcome_in_every_order(database, writes)
    assert (sender, text) == ("20", "A")


def test_older_answers_leave_no_restatements_behind(database: Database) -> None:
    for second in (1, 9, 8, 7, 6):
        upsert(database, conversation("20", second, message("mid.1", text="A")))
    assert query(database, "select count(*) from restatements") == [(1,)]


def test_an_edit_counts_that_arrives_after_its_message_was_stated_again(
    database: Database,
) -> None:
    """Whether the time of the restatement is in a row for all messages or in the message itself."""
    both = [message("mid.1", text="a"), message("mid.2", text="b")]
    writes = [
        conversation("20", 1, *both),
        conversation("20", 5, *both),
        conversation("20", 6, both[1]),
        conversation("20", 3, changed("edit", 3, num_edit=1, text="edited")),
    ]
    outcome_in_every_order(database, writes)
    texts = "select metadata ->> 'text' from contact_interaction_events where message_id = 'mid.1'"
    assert query(database, texts + " and event_type <> 'edit'") == [("edited",)]


def test_several_statements_of_one_call_are_merged_as_one_by_one(database: Database) -> None:
    """With contents that return, attachments in both forms and twins."""

    def stated(second: int, time: float, **metadata: Any) -> EventRow:
        return {**message("mid.1", time, **metadata), "as_of": at(second)}

    share = {"type": "share", "payload": POST}
    events = [
        stated(1, 0.5, text="A", attachments=[PICTURE]),
        stated(2, 0, text="B", attachments=[listed(1), listed(2)], nlp="b"),
        stated(3, 0.25, text="A", attachments=[OTHER_PICTURE, share], nlp="a"),
        stated(4, 0, text="A", attachments=[{"type": "ig_post", "payload": SIGNED_POST}]),
        stated(2, 1, attachments=[listed(3)], sent_by="unknown"),
        stated(2, 0, text="C", attachments=[{"type": "video", "payload": {"url": f"{CDN}/3.mp4"}}]),
    ]
    found = []
    for first in permutations(events, 2):
        order = [*first, *(event for event in events if event not in first)]
        for calls in ([order], [[event] for event in order]):
            query(database, "delete from messenger_conversations returning 1")
            for call in calls:
                upsert(database, conversation("20", 1, *call))
            late = conversation("20", 3, message("mid.1", text="between"))
            assert not any(row[3] for row in upsert(database, late)), "stated again at 4"
            found.append((conversation_facts(database), event_facts(database)))
    assert all(one == found[0] for one in found)
    assert len(attachments(database)) == 4


# -- Messages without an id ---------------------------------------------------------------------


def test_one_message_with_an_id_claims_one_without(database: Database) -> None:
    writes = [
        conversation("20", 1, without_id(0.1, text="ok")),
        conversation("20", 1, without_id(0.8, text="ok")),
        conversation("20", 2, message("mid.1", text="ok")),
    ]
    [(*_, count, _)], events = outcome_in_every_order(database, writes)
    assert count == 2
    assert sorted(row[3] or "" for row in events) == ["", "mid.1"]


def test_a_claim_leaves_a_message_of_another_text(database: Database) -> None:
    writes = [
        conversation("20", 1, without_id(0.1, text="please call me back")),
        conversation("20", 1, message("mid.1", 0.7, text="oops")),
        conversation("20", 5, changed("unsend", 5)),
    ]
    [(_, _, text, *_)], events = outcome_in_every_order(database, writes)
    assert text == "please call me back"
    assert len(events) == 3


def test_a_text_that_changes_gives_its_claim_back(database: Database) -> None:
    writes = [
        conversation("20", 1, without_id(0.1, text="ok")),
        conversation("20", 1, message("mid.1", text="ok")),
        conversation("20", 2, message("mid.1", text="okay")),
    ]
    [(*_, count, _)], _ = outcome_in_every_order(database, writes)
    assert count == 2


def test_a_claimed_message_that_is_delivered_again_changes_no_version(database: Database) -> None:
    claimed = conversation("20", 1, without_id(0.5, text="hi"))
    upsert(database, conversation("20", 1, message("mid.1", text="hi")))
    upsert(database, claimed)
    before = query(database, "select version, updated_at from messenger_conversations")
    for _ in range(3):
        assert [row[2:] for row in upsert(database, claimed)] == [(False, False, before[0][0], 0)]
    assert query(database, "select version, updated_at from messenger_conversations") == before


def test_a_claimed_message_with_an_older_content_writes_no_row(database: Database) -> None:
    upsert(database, conversation("20", 1, without_id(0.5, text="hi", extra="b")))
    upsert(database, conversation("20", 1, message("mid.1", text="hi")))
    before = query(database, "select xmin::text, id from claimed_messages")
    upsert(database, conversation("20", 1, without_id(0.5, text="hi", extra="a")))
    assert query(database, "select xmin::text, id from claimed_messages") == before


def test_a_claimed_message_leaves_no_text_when_its_message_is_unsent(database: Database) -> None:
    for write in (
        conversation("20", 1, without_id(0.5, text="secret")),
        conversation("20", 1, message("mid.1", text="secret")),
        conversation("20", 5, changed("unsend", 5)),
        conversation("20", 1, without_id(0.5, text="secret")),
    ):
        upsert(database, write)
    tables = "contact_interaction_events", "claimed_messages", "messenger_conversations"
    for table in tables:
        assert "secret" not in str(query(database, f"select * from {table}"))


def test_the_last_of_two_messages_without_ids_does_not_depend_on_arrival(
    database: Database,
) -> None:
    writes = [
        conversation("20", 1, without_id(0, "d1", text="first")),
        conversation("20", 1, without_id(0, "d2", text="other")),
        conversation("20", 1, without_id(0, "d1", text="first, greater")),
    ]
    [(_, _, text, *_)], events = outcome_in_every_order(database, writes)
    assert text == "other"
    assert len(events) == 2


def test_a_recount_keeps_the_last_of_several_messages_of_one_time(database: Database) -> None:
    events = [without_id(0, f"d{number}", text=f"text {number}") for number in range(3)]
    upsert(database, conversation("20", 1, *events))
    facts = "select last_message, version from messenger_conversations"
    before = query(database, facts)
    load.recount_conversations(database, PAGE, open_session(database)[1], "", 10)
    assert query(database, facts) == before


def test_no_text_of_an_unsent_message_stays_whatever_it_had_claimed(database: Database) -> None:
    writes = [
        conversation("20", 1, without_id(0.1, text="secret 1")),
        conversation("20", 1, without_id(0.2, text="secret 1"), without_id(0.3, text="secret 2")),
        conversation("20", 1, message("mid.1", text="secret 1")),
        conversation("20", 2, message("mid.1", text="secret 2")),
        conversation("20", 5, changed("unsend", 5)),
    ]
    [(*_, count, _)], _ = outcome_in_every_order(database, writes)
    assert count == 1
    for table in ("contact_interaction_events", "claimed_messages", "messenger_conversations"):
        assert "secret" not in str(query(database, f"select * from {table}"))


def test_no_text_of_an_edit_stays_in_a_message_without_an_id(database: Database) -> None:
    writes = [
        conversation("20", 1, without_id(0.1, text="secret")),
        conversation("20", 1, message("mid.1", text="first")),
        conversation("20", 2, changed("edit", 2, num_edit=1, text="secret")),
        conversation("20", 5, changed("unsend", 5)),
    ]
    [(*_, count, _)], _ = outcome_in_every_order(database, writes)
    assert count == 1


# -- Expected versions --------------------------------------------------------------------------


def test_an_expected_version_says_nothing_about_other_conversations(database: Database) -> None:
    upsert(database, conversation("A", 1, message("mid.1", text="x")))
    upsert(database, conversation("A", 2, message("mid.2", 1, text="x")))
    upsert(database, conversation("B", 1, message("mid.3", text="y")))

    def update(expected: int, text: str) -> list[Any]:
        return database.call(
            "upsert_conversation_with_events",
            page_id="10",
            conversation=to_json({"sender_id": "B", "as_of": at(9)}).decode(),
            events=to_json([message("mid.2", 1, text=text)]).decode(),
            expected_version=expected,
        )

    assert [row[0] for row in update(0, "changed by B")] == ["B"]
    assert query(database, "select last_message, version from messenger_conversations") == [
        ("y", 0),
        ("changed by B", 2),
    ]
    with pytest.raises(VersionConflict, match="with B is at version 0, not 3"):
        update(3, "refused")


# -- Attachments --------------------------------------------------------------------------------


def attachments(database: Database) -> list[Any]:
    return next((one.get("attachments", []) for one in metadata_of(database)), [])


def test_attachments_of_several_deliveries_all_stay(database: Database) -> None:
    writes = [
        conversation("20", 1, message("mid.1", attachments=[one]))
        for one in (PICTURE, OTHER_PICTURE, {"type": "location", "payload": {"coordinates": {}}})
    ]
    outcome_in_every_order(database, writes)
    assert len(attachments(database)) == 3


@pytest.mark.parametrize("pictures", [[PICTURE], [PICTURE, OTHER_PICTURE]])
def test_an_answer_lists_the_attachments_of_webhooks_under_other_ids(
    database: Database, pictures: list[Any]
) -> None:
    numbers = range(len(pictures))
    writes = [
        *(conversation("20", 1, message("mid.1", attachments=[one])) for one in pictures),
        conversation("20", 5, message("mid.1", attachments=[listed(n) for n in numbers])),
        conversation("20", 6, message("mid.1", attachments=[listed(n + 70) for n in numbers])),
    ]
    outcome_in_every_order(database, writes)
    assert len(attachments(database)) == len(pictures)


def test_an_answer_that_lists_fewer_attachments_removes_none(database: Database) -> None:
    writes = [
        conversation("20", 1, message("mid.1", attachments=[PICTURE, OTHER_PICTURE])),
        conversation("20", 5, message("mid.1", attachments=[listed(1)])),
        conversation("20", 6, message("mid.1", text="none")),
    ]
    outcome_in_every_order(database, writes)
    assert len(attachments(database)) == 2


STICKER = {"url": f"{CDN}/sticker.png?oh=1", "sticker_id": 3692}
POST = {"url": "https://lookaside.fbsbx.com/ig/?asset_id=17&signature=a"}
SIGNED_POST = {"url": "https://lookaside.fbsbx.com/ig/?asset_id=17&signature=b"}


@pytest.mark.parametrize(
    ("twins", "kind"),
    [
        ([{"type": "image", "payload": STICKER}, {"type": "sticker", "payload": STICKER}],
         "sticker"),
        ([{"type": "image", "payload": {"url": STICKER["url"]}},
          {"type": "sticker", "payload": STICKER}], "sticker"),
        ([{"type": "share", "payload": POST}, {"type": "ig_post", "payload": SIGNED_POST}],
         "ig_post"),
        ([{"type": "share", "payload": POST},
          {"type": "ig_post", "payload": {**SIGNED_POST, "id": 9, "title": "t"}}], "ig_post"),
    ],
)  # fmt: skip
def test_twins_are_one_attachment_in_any_order(
    database: Database, twins: list[Any], kind: str
) -> None:
    one, other = twins
    for group in ([one], [other], [one, other]):
        writes = [
            conversation("20", 1, message("mid.1", attachments=group)),
            conversation("20", 1, message("mid.1", attachments=[group[-1]])),
        ]
        outcome_in_every_order(database, writes)
        assert [found["type"] for found in attachments(database)] == [group[-1]["type"]]
    writes = [conversation("20", 1, message("mid.1", attachments=[twin])) for twin in twins]
    outcome_in_every_order(database, writes)
    assert [found["type"] for found in attachments(database)] == [kind]


def test_a_sticker_and_its_picture_in_an_answer_are_one_attachment(database: Database) -> None:
    twins = [{"type": "image", "payload": STICKER}, {"type": "sticker", "payload": STICKER}]
    writes = [
        conversation("20", 1, message("mid.1", attachments=twins)),
        conversation("20", 5, message("mid.1", attachments=[listed(1)], sticker=STICKER["url"])),
    ]
    outcome_in_every_order(database, writes)
    assert len(attachments(database)) == 1


def test_a_new_address_alone_moves_no_version_and_is_kept_with_the_next_change(
    database: Database,
) -> None:
    upsert(database, conversation("20", 1, message("mid.1", attachments=[listed(1, "oh=1")])))
    again = message("mid.1", attachments=[listed(1, "oh=2")])
    assert [row[2:] for row in upsert(database, conversation("20", 2, again))] == [
        (False, False, 0, 0)
    ]
    changed_text = message("mid.1", text="x", attachments=[listed(1, "oh=3")])
    upsert(database, conversation("20", 3, changed_text))
    assert attachments(database)[0]["image_data"]["url"].endswith("oh=3")


# -- Unsent messages ----------------------------------------------------------------------------


def test_an_unsent_message_leaves_no_text_in_its_edits(database: Database) -> None:
    secret: dict[str, Any] = {
        "text": "secret",
        "attachments": [{"type": "image", "payload": {"url": "secret"}}],
    }
    writes = [
        conversation("20", 1, message("mid.1", nlp={"entities": "secret"}, **secret)),
        conversation("20", 2, changed("edit", 2, num_edit=1, raw_text=["secret"], **secret)),
        conversation("20", 3, changed("edit", 3, num_edit=2, **secret)),
        conversation("20", 4, changed("unsend", 4)),
    ]
    [(_, _, text, *_)], _ = outcome_in_every_order(database, writes)
    assert text is None
    for table in ("contact_interaction_events", "messenger_conversations"):
        assert "secret" not in str(query(database, f"select * from {table}"))


def test_an_edit_of_a_message_that_arrives_unsent_keeps_no_text(database: Database) -> None:
    writes = [
        conversation("20", 1, message("mid.1", unsent_at="1")),
        conversation("20", 2, changed("edit", 2, num_edit=1, text="secret")),
    ]
    outcome_in_every_order(database, writes)
    assert "secret" not in str(metadata_of(database))


# -- Who sent -----------------------------------------------------------------------------------


def test_an_answer_of_the_api_never_overwrites_who_sent_a_message(database: Database) -> None:
    def write(second: int, **metadata: Any) -> ConversationRow:
        event: EventRow = {**message("mid.1", text="x", **metadata), "event_type": "message_sent"}
        return conversation("20", second, event)

    writes = [write(1, sent_by="unknown"), write(1, sent_by="app:7"), write(5)]
    outcome_in_every_order(database, writes)
    assert [one["sent_by"] for one in metadata_of(database)] == ["app:7"]
