"""Parsing an item into its events: type, identity, direction, time and metadata."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messenger_pipeline.merge import identity
from messenger_pipeline.rows import EventRow
from messenger_pipeline.webhook.deliveries import parse_delivery
from messenger_pipeline.webhook.items import Item
from messenger_pipeline.webhook.rows import EPOCH
from tests.webhook.shapes import CONTACT, MS, PAGE, by_page, delivery, encoded, envelope, item

NOW = datetime(2026, 5, 1, 12, 0, 0, 250_000, tzinfo=UTC)
MOMENT = datetime(2016, 3, 23, 0, 25, 52, 478_000, tzinfo=UTC)


def message_as_of(time: datetime) -> datetime:
    """A message counts as stated before every answer of the API that contains it."""
    return time.replace(microsecond=0) - timedelta(seconds=1)


def parse_one(body: bytes, received_at: datetime = NOW) -> Item:
    [found] = parse_delivery(body, received_at)
    return found


def event_of(payload: dict[str, Any], **entry: Any) -> EventRow:
    [event] = parse_one(delivery(payload, **entry)).events
    return event


IMAGE = [{"type": "image", "payload": {"url": "https://x/1.jpg"}}]
REFERRAL = {"ref": "r", "source": "SHORTLINK", "type": "OPEN_THREAD"}


def row(
    event_type: str, message_id: str | None, discriminator: str = "", **metadata: Any
) -> EventRow:
    named = {"message_id": message_id} if message_id else {}
    return {
        "event_type": event_type,
        "event_timestamp": MOMENT,
        "message_id": message_id,
        "discriminator": discriminator,
        "as_of": message_as_of(MOMENT) if event_type.startswith("message_") else MOMENT,
        "metadata": {"source": "webhook", **named, **metadata},
    }


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (
            item(message={"mid": "m_1", "text": "hi", "quick_reply": {"payload": "Q"}}),
            row("message_received", "m_1", text="hi", quick_reply={"payload": "Q"}),
        ),
        (
            item(message={"mid": "m_1", "text": "hi", "reply_to": {"mid": "m_0"}}),
            row("message_received", "m_1", text="hi", reply_to={"mid": "m_0"}),
        ),
        (
            item(message={"mid": "m_1", "attachments": IMAGE}),
            row("message_received", "m_1", attachments=IMAGE),
        ),
        (
            by_page(message={"mid": "m_1", "text": "hi", "is_echo": True, "app_id": 7}),
            row("message_sent", "m_1", text="hi", is_echo=True, app_id=7, sent_by="app:7"),
        ),
        (
            item(message={"mid": "m_1", "is_deleted": True, "text": "secret"}),
            row("unsend", "m_1", sender_id=CONTACT),
        ),
        (
            item(message={"mid": "m_1", "is_unsupported": True}),
            row("message_received", "m_1", is_unsupported=True),
        ),
        (
            item(reaction={"mid": "m_1", "action": "react", "emoji": "😍", "reaction": "love"}),
            row(
                "reaction", "m_1", f"{CONTACT}:{MS}",
                action="react", emoji="😍", reaction="love", sender_id=CONTACT,
            ),
        ),
        (
            item(reaction={"mid": "m_1", "action": "unreact"}),
            row("reaction", "m_1", f"{CONTACT}:{MS}", action="unreact", sender_id=CONTACT),
        ),
        (
            item(message_edit={"mid": "m_1", "text": "ho", "num_edit": 1}),
            row("edit", "m_1", "1", text="ho", num_edit=1, sender_id=CONTACT),
        ),
        (
            item(message_edit={"mid": "m_1", "num_edit": "2"}),
            row("edit", "m_1", "2", num_edit=2, sender_id=CONTACT),
        ),
        (
            item(postback={"mid": "m_1", "title": "Go", "payload": "P", "referral": REFERRAL}),
            row(
                "postback", "m_1", f"{CONTACT}:{MS}", title="Go", payload="P", referral=REFERRAL
            ),
        ),
        (item(postback={"payload": "P"}), row("postback", None, payload="P")),
        (item(referral=REFERRAL), row("referral", None, referral=REFERRAL)),
        (
            item(optin={"ref": "r", "user_ref": "u"}),
            row("optin", None, optin={"ref": "r", "user_ref": "u"}),
        ),
        (
            item(delivery={"mids": ["m_1"], "watermark": MS}),
            row(
                "delivery", "m_1", f"{CONTACT}:{MS}",
                mids=["m_1"], watermark=MS, sender_id=CONTACT,
            ),
        ),
        (
            item(delivery={"watermark": MS}),
            row("delivery", None, f"{CONTACT}:{MS}", watermark=MS, sender_id=CONTACT),
        ),
        (
            item(read={"watermark": MS}),
            row("read", None, f"{CONTACT}:{MS}", watermark=MS, sender_id=CONTACT),
        ),
        (item(read={"mid": "ig_1"}), row("read", "ig_1", f"{CONTACT}:", sender_id=CONTACT)),
    ],
)  # fmt: skip
def test_every_documented_payload_becomes_its_event(
    payload: dict[str, Any], expected: EventRow
) -> None:
    parsed = parse_one(delivery(payload))
    assert (parsed.page_id, parsed.contact_id, parsed.events) == (PAGE, CONTACT, [expected])


@pytest.mark.parametrize(
    ("name", "event_type"),
    [
        ("pass_thread_control", "handover"),
        ("take_thread_control", "handover"),
        ("request_thread_control", "handover"),
        ("app_roles", "handover"),
        ("policy_enforcement", "policy_enforcement"),
        ("policy-enforcement", "policy_enforcement"),
        ("messaging_feedback", "feedback"),
        ("account_linking", "account_linking"),
        ("something_new", "other"),
    ],
)
def test_other_payloads_are_stored_raw(name: str, event_type: str) -> None:
    payload = item(**{name: {"a": [1]}})
    discriminator = "" if event_type == "other" else name
    assert event_of(payload) == row(event_type, None, discriminator, raw=payload)


@pytest.mark.parametrize(
    ("fields", "sent_by"),
    [
        ({"app_id": 263902037430900}, "page_inbox"),
        ({"app_id": "263902037430900"}, "page_inbox"),
        ({"app_id": 42}, "this_app"),
        ({"app_id": "42"}, "this_app"),
        ({"app_id": 43}, "app:43"),
        ({"app_id": 42, "ai_generated": True}, "automated"),
        ({"app_id": 43, "ai_generated": False}, "app:43"),
        ({}, "unknown"),
        ({"app_id": None}, "unknown"),
        ({"app_id": ["42"]}, "unknown"),
    ],
)
def test_a_message_of_the_page_names_who_sent_it(fields: dict[str, Any], sent_by: str) -> None:
    message = {"mid": "m_1", "text": "hi", "is_echo": True, **fields}
    [item] = parse_delivery(delivery(by_page(message=message)), NOW, "42")
    assert item.events[0]["metadata"]["sent_by"] == sent_by


def test_a_contact_cannot_claim_who_sent_a_message() -> None:
    event = event_of(item(message={"mid": "m_1", "sent_by": "automated"}))
    assert event["metadata"].get("sent_by") is None
    assert event["metadata"]["payload_of_meta"] == {"sent_by": "automated"}


@pytest.mark.parametrize("flag", ["is_echo", "is_deleted", "is_unsupported", "is_self"])
def test_a_false_flag_is_not_stored(flag: str) -> None:
    payload = item(message={"mid": "m_1", "text": "hi", flag: False})
    assert event_of(payload) == row("message_received", "m_1", text="hi")


@pytest.mark.parametrize("odd", [1, 0, "true", {"a": 1}])
def test_a_flag_that_is_not_a_boolean_sets_nothing_and_is_stored_apart(odd: Any) -> None:
    event = event_of(item(message={"mid": "m_1", "text": "hi", "is_deleted": odd}))
    assert event == row("message_received", "m_1", text="hi", payload_of_meta={"is_deleted": odd})


def test_message_reaction_edit_and_postback_can_share_an_id() -> None:
    body = delivery(
        item(message={"mid": "m_1", "text": "hi"}),
        item(reaction={"mid": "m_1", "action": "react"}),
        item(message_edit={"mid": "m_1", "text": "ho", "num_edit": 1}),
        item(postback={"mid": "m_1", "payload": "P"}),
    )
    events = [event for one in parse_delivery(body, NOW) for event in one.events]
    assert [event["event_type"] for event in events] == [
        "message_received", "reaction", "edit", "postback",
    ]  # fmt: skip
    assert len({identity(event) for event in events}) == 4


def test_several_kinds_in_one_item_are_several_events() -> None:
    payload = item(message={"mid": "m_1", "text": "hi"}, referral=REFERRAL)
    assert parse_one(delivery(payload)).events == [
        row("message_received", "m_1", text="hi"),
        row("referral", None, referral=REFERRAL),
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            item(reaction={"mid": "m_1", "action": "react"}),
            item(reaction={"mid": "m_1", "action": "react"}, timestamp=MS + 1),
        ),
        (
            item(reaction={"mid": "m_1", "action": "react"}),
            by_page(reaction={"mid": "m_1", "action": "react"}),
        ),
        (
            item(reaction={"mid": "m_1", "action": "react"}, timestamp=None),
            item(reaction={"mid": "m_1", "action": "unreact"}, timestamp=None),
        ),
        (
            item(message_edit={"mid": "m_1", "num_edit": 1}),
            item(message_edit={"mid": "m_1", "num_edit": 2}),
        ),
        (item(read={"watermark": MS}), item(read={"watermark": MS + 1})),
        (
            item(delivery={"mids": ["m_1", "m_2"], "watermark": MS}),
            item(delivery={"mids": ["m_1", "m_3"], "watermark": MS}),
        ),
        (
            item(message={"text": "a"}, timestamp=0),
            item(message={"text": "b"}, timestamp=0),
        ),
        (
            item(message={"mid": "x" * 1001 + "a", "text": "hi"}),
            item(message={"mid": "x" * 1001 + "b", "text": "hi"}),
        ),
        (
            item(read={"watermark": MS}, sender={"id": "9" * 500}),
            item(read={"watermark": MS + 1}, sender={"id": "9" * 500}),
        ),
    ],
)
def test_two_events_of_one_type_have_different_identities(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert _key(event_of(one)) != _key(event_of(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (item(message={"mid": 5, "text": "a"}), item(message={"mid": "5", "text": "a"})),
        (
            item(message_edit={"mid": "m_1", "num_edit": 1}),
            item(message_edit={"mid": "m_1", "num_edit": "1"}, timestamp=MS + 5),
        ),
        (
            item(reaction={"mid": "m_1", "action": "react"}),
            item(reaction={"mid": "m_1", "action": "react"}, timestamp=str(MS)),
        ),
        (
            item(message={"mid": "m_1", "text": "a"}),
            item(message={"mid": "m_1", "text": "a"}, timestamp=0),
        ),
        (item(read={"watermark": MS}), item(read={"watermark": str(MS)})),
    ],
)
def test_one_event_in_two_spellings_has_one_identity(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert _key(event_of(one)) == _key(event_of(other))


@given(st.integers(0, 10**9), st.integers(1, 3))
def test_reactions_milliseconds_apart_are_two(after: int, apart: int) -> None:
    first, second = (
        event_of(item(reaction={"mid": "m_1", "action": "react"}, timestamp=MS + ms))
        for ms in (after, after + apart)
    )
    assert _key(first) != _key(second)


def _key(event: EventRow) -> Any:
    """The event's identity within its conversation."""
    if event["message_id"] is not None:
        return identity(event)
    return event["event_type"], event["event_timestamp"], event.get("discriminator")


# -- Times --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "moment", "stored_raw"),
    [
        (MS, MOMENT, None),
        (str(MS), MOMENT, str(MS)),
        (MS // 1000, MOMENT.replace(microsecond=0), MS // 1000),
        ("2016-03-23T00:25:52+0000", MOMENT.replace(microsecond=0), "2016-03-23T00:25:52+0000"),
    ],
)
def test_a_time_is_normalised_and_an_undocumented_form_stored_raw(
    raw: Any, moment: datetime, stored_raw: Any
) -> None:
    event = event_of(item(message={"mid": "m_1"}, timestamp=raw), time=0)
    assert (event["event_timestamp"], event["as_of"]) == (moment, message_as_of(moment))
    assert event["metadata"].get("raw_timestamp") == stored_raw


@pytest.mark.parametrize("none", [0, None, "", "soon"])
def test_a_message_without_a_time_gets_the_entrys_else_that_of_receipt(none: Any) -> None:
    """In whole seconds, so that any source with a better time wins."""
    payload = item(message={"mid": "m_1", "text": "hi"}, timestamp=none)
    by_entry = event_of(payload)
    assert by_entry["event_timestamp"] == MOMENT.replace(microsecond=0)
    assert by_entry["as_of"] == message_as_of(MOMENT)
    by_receipt = event_of(payload, time=none)
    assert by_receipt["event_timestamp"] == NOW.replace(microsecond=0)
    assert by_receipt["as_of"] == message_as_of(EPOCH), "older than every dated statement"


def test_only_messages_are_stated_before_their_second() -> None:
    """Reactions and edits keep their milliseconds, which order them."""
    payload = item(
        message={"mid": "m_1", "text": "hi"},
        reaction={"mid": "m_1", "action": "react"},
        message_edit={"mid": "m_1", "text": "ho", "num_edit": 1},
    )
    assert {one["event_type"]: one["as_of"] for one in parse_one(delivery(payload)).events} == {
        "message_received": datetime(2016, 3, 23, 0, 25, 51, tzinfo=UTC),
        "reaction": MOMENT,
        "edit": MOMENT,
    }


def test_an_event_without_id_and_time_has_one_identity_however_often_it_is_delivered() -> None:
    body = delivery(item(postback={"payload": "P"}, timestamp=0), time=0)
    first, again = (parse_one(body, moment).events[0] for moment in (NOW, NOW + timedelta(hours=1)))
    assert first["event_timestamp"] == EPOCH
    assert _key(first) == _key(again)


# -- Metadata -----------------------------------------------------------------------------------


def test_a_payload_cannot_set_reserved_metadata() -> None:
    payload = item(
        message={
            "mid": "m_1", "text": "hi", "source": "forged", "sender_id": "1", "message_id": "m_9",
            "unsent_at": "2020-01-01", "raw": {}, "standby": False, "raw_timestamp": 1,
        },
        source="forged", unsent_at="2020-01-01", message_id="m_9", text="forged", standby=True,
    )  # fmt: skip
    assert event_of(payload) == row(
        "message_received", "m_1", text="hi",
        payload_of_meta={
            "source": "forged", "sender_id": "1", "message_id": "m_9", "unsent_at": "2020-01-01",
            "raw": {}, "standby": False, "raw_timestamp": 1,
        },
    )  # fmt: skip


def test_other_keys_of_the_item_are_stored() -> None:
    payload = item(message={"mid": "m_1"}, prior_message={"source": "checkbox_plugin"}, empty=None)
    expected = row("message_received", "m_1", prior_message={"source": "checkbox_plugin"})
    assert event_of(payload) == expected


@pytest.mark.parametrize("text", [5, ["a"], {"a": 1}, True])
def test_a_text_that_is_not_a_string_is_stored_apart(text: Any) -> None:
    for payload in (item(message={"mid": "m", "text": text}), item(message_edit={"text": text})):
        metadata = event_of(payload)["metadata"]
        assert "text" not in metadata
        assert metadata["raw_text"] == text


@pytest.mark.parametrize("number", [-1, "one", 1.5, True, 10**9])
def test_an_invalid_edit_number_is_stored_apart(number: Any) -> None:
    metadata = event_of(item(message_edit={"mid": "m_1", "num_edit": number}))["metadata"]
    assert "num_edit" not in metadata
    assert metadata["raw_num_edit"] == number


@pytest.mark.parametrize(
    "mid", ["x" * 1001, 1.5, ["m_1"], {"id": "m_1"}, 10**1001], ids=lambda mid: str(mid)[:9]
)
def test_an_invalid_message_id_is_stored_apart(mid: Any) -> None:
    event = event_of(item(message={"mid": mid, "text": "hi"}))
    assert (event["message_id"], event["metadata"]["raw_mid"]) == (None, mid)


@pytest.mark.parametrize("mid", ["", None])
def test_an_empty_message_id_is_no_id(mid: Any) -> None:
    assert event_of(item(message={"mid": mid, "text": "hi"})) == row(
        "message_received", None, text="hi"
    )


def test_a_standby_event_is_marked() -> None:
    body = encoded(envelope(standby=[item(message={"mid": "m_1", "text": "hi"})], messaging=None))
    assert parse_one(body).events == [row("message_received", "m_1", text="hi", standby=True)]


def test_a_reaction_without_a_time_is_identified_by_the_entrys() -> None:
    """So a reaction that is removed and given again is stored twice."""
    payload = item(reaction={"mid": "m_1", "action": "react"}, timestamp=0)
    first, again = event_of(payload, time=MS), event_of(payload, time=MS + 1)
    assert first["discriminator"] != again["discriminator"]
    assert event_of(payload, time=MS) == first


def test_one_button_pressed_twice_is_two_events() -> None:
    pressed = [
        event_of(item(postback={"mid": "m_1", "payload": "P"}, timestamp=MS + late))
        for late in (0, 5)
    ]
    assert pressed[0]["discriminator"] != pressed[1]["discriminator"]


def test_a_payload_cannot_set_the_marks_of_edits_and_unsends() -> None:
    event = event_of(item(message={"mid": "m_1", "text": "hi", "stated_text": "x", "unsent_at": 1}))
    assert event["metadata"]["payload_of_meta"] == {"stated_text": "x", "unsent_at": 1}
    assert not {"stated_text", "unsent_at"} & event["metadata"].keys()
