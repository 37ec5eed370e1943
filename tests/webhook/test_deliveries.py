"""Parsing bodies: each item has events, is ignored or is unusable, and none is lost."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from messenger_pipeline.graph.reading import parse_json
from messenger_pipeline.merge import identity
from messenger_pipeline.webhook.deliveries import MAX_DEPTH, parse_delivery
from messenger_pipeline.webhook.items import Item, parse_item
from tests.webhook.shapes import (
    CONTACT,
    MS,
    PAGE,
    SAMPLES,
    by_page,
    delivery,
    encoded,
    envelope,
    item,
    mutations,
    names,
    places,
    real_bodies,
    values,
)

NOW = datetime(2026, 5, 1, tzinfo=UTC)
TEXT = {"mid": "m_1", "text": "hi"}


def parse(envelope: Any) -> list[Item]:
    return parse_delivery(encoded(envelope), NOW)


def result_of(one: Item) -> str:
    """The item's one result."""
    kinds = [
        name
        for name, holds in (
            ("events", bool(one.events)),
            ("ignored", one.ignored is not None),
            ("unusable", one.unusable is not None),
        )
        if holds
    ]
    [kind] = kinds
    return kind


def check(body: bytes) -> list[Item]:
    """Parse a body and assert that every item is accounted for."""
    found = parse_delivery(body, NOW)
    if [one.path for one in found] != ["body"]:
        assert [one.path for one in found] == [path for path, _ in places(parse_json(body))]
    for one in found:
        if result_of(one) == "events":
            assert one.page_id
            assert one.contact_id
            assert one.contact_id != one.page_id
            assert max(len(one.page_id), len(one.contact_id)) <= 500
        for event in one.events:
            assert event["event_timestamp"].tzinfo is UTC
            assert event["as_of"].tzinfo is UTC
            json.dumps(event["metadata"])
    again = parse_delivery(body, NOW + timedelta(days=1))
    assert [keys(one) for one in found] == [keys(one) for one in again]
    return found


def keys(one: Item) -> Any:
    """The part of an item that does not depend on when it was received."""
    return one.path, one.page_id, one.contact_id, one.ignored, one.unusable, [
        identity(event)
        if event["message_id"] is not None
        else (event["event_type"], event["event_timestamp"], event.get("discriminator"))
        for event in one.events
    ]  # fmt: skip


# -- Parties ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "contact", "event_type"),
    [
        (item(message=TEXT), CONTACT, "message_received"),
        (by_page(message=TEXT), CONTACT, "message_sent"),
        (by_page(message={**TEXT, "is_echo": True}), CONTACT, "message_sent"),
        # The page is the sender of an echo, even if the parties are not swapped or it is not named.
        (item(message={**TEXT, "is_echo": True}), CONTACT, "message_sent"),
        (item(message={**TEXT, "is_echo": True}, sender={"id": "101"}), "101", "message_sent"),
        (item(message=TEXT, sender={"id": 200}), CONTACT, "message_received"),
        (item(message=TEXT, recipient={"id": 100}), CONTACT, "message_received"),
        (item(message=TEXT, recipient=None), CONTACT, "message_received"),
        (by_page(message=TEXT) | {"sender": {}}, CONTACT, "message_received"),
        # The recipient is another id of the page.
        (item(message=TEXT, recipient={"id": "101"}), CONTACT, "message_received"),
    ],
)
def test_the_contact_is_the_party_that_is_not_the_page(
    payload: dict[str, Any], contact: str, event_type: str
) -> None:
    [one] = parse(envelope(payload))
    assert (one.page_id, one.contact_id) == (PAGE, contact)
    assert [event["event_type"] for event in one.events] == [event_type]


@pytest.mark.parametrize(
    ("payload", "page"),
    [(item(message=TEXT), PAGE), (by_page(message={**TEXT, "is_echo": True}), PAGE)],
)
def test_without_an_entry_id_the_page_is_the_sender_of_an_echo_else_the_recipient(
    payload: dict[str, Any], page: str
) -> None:
    no_ids: list[Any] = [None, "", 1.5, {}, "x" * 501, "1\0"]
    for no_id in no_ids:
        [one] = parse(envelope(payload, id=no_id))
        assert (one.page_id, one.contact_id) == (page, CONTACT)


@pytest.mark.parametrize(
    "payload",
    [
        {"optin": {"ref": "r", "user_ref": "u"}, "recipient": {"id": PAGE}, "timestamp": MS},
        item(message=TEXT, sender={"user_ref": "u"}),
        {"message": TEXT, "sender": {"id": PAGE}, "recipient": {"user_ref": "u"}},
    ],
)
def test_a_user_ref_without_a_sender_is_ignored(payload: dict[str, Any]) -> None:
    [one] = parse(envelope(payload))
    assert (result_of(one), one.ignored) == ("ignored", "it has a user_ref and no sender")


@pytest.mark.parametrize(
    ("payload", "entry", "reason"),
    [
        ("x", {}, "the item is not an object"),
        (5, {}, "the item is not an object"),
        (item(message="x"), {}, "message is not an object"),
        (item(message=TEXT, read=5), {}, "read is not an object"),
        (item(message=TEXT, sender={"id": PAGE}), {}, "it names no contact"),
        (item(message=TEXT, sender=None), {}, "it names no contact"),
        (item(message=TEXT, sender={"id": "x" * 501}), {}, "it names no contact"),
        (item(message=TEXT, sender={"id": 10**500}), {}, "it names no contact"),
        (item(message=TEXT, sender={"id": "2\0"}), {}, "it names no contact"),
        (item(message=TEXT, sender={"id": True}), {}, "it names no contact"),
        (item(message=TEXT, recipient=None), {"id": None}, "it names no page"),
    ],
)
def test_an_unusable_item_has_the_same_reason_when_it_is_parsed_again(
    payload: Any, entry: dict[str, Any], reason: str
) -> None:
    [one] = parse(envelope(payload, **entry))
    assert one.unusable == reason
    assert one.raw["item"] == payload
    kept = json.loads(json.dumps({"delivery": 1, **one.raw}))
    again = parse_item(kept, NOW)
    assert (again.unusable, again.page_id) == (reason, one.page_id)


def test_an_item_that_became_usable_has_the_events_of_its_delivery() -> None:
    [refused] = parse(envelope(item(message=TEXT, sender=None)))
    kept = {**refused.raw, "item": item(message=TEXT)}
    [whole] = parse(envelope(item(message=TEXT)))
    assert parse_item(kept, NOW).events == whole.events
    aside = parse_item({**kept, "channel": "standby"}, NOW).events[0]
    assert aside["metadata"]["standby"] is True


@given(values)
def test_any_record_is_parsed_again_without_an_error(raw: Any) -> None:
    result_of(parse_item(raw, NOW))
    result_of(parse_item({"entry": raw, "channel": raw, "item": raw}, NOW))
    result_of(
        parse_item({"entry": {"id": raw}, "channel": "messaging", "item": item(message=raw)}, NOW)
    )


@pytest.mark.parametrize("name", ["app_roles", "pass_thread_control", "policy-enforcement"])
def test_a_handover_or_policy_without_a_contact_is_ignored(name: str) -> None:
    [one] = parse(envelope({"recipient": {"id": PAGE}, "timestamp": MS, name: {"a": 1}}))
    assert result_of(one) == "ignored"


# -- The envelope -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (envelope(item(message=TEXT), item(read={"watermark": 1})),
         {"entry.0.messaging.0": "events", "entry.0.messaging.1": "events"}),
        ({**envelope(item(message=TEXT)), "object": "instagram"},
         {"entry.0.messaging.0": "events"}),
        ({"entry": envelope(item(message=TEXT))["entry"]}, {"entry.0.messaging.0": "events"}),
        ({"object": "page", "entry": envelope(item(message=TEXT))["entry"][0]},
         {"entry.0.messaging.0": "events"}),
        (envelope(messaging=item(message=TEXT)), {"entry.0.messaging.0": "events"}),
        ([envelope(item(message=TEXT))], {"0.entry.0.messaging.0": "events"}),
        ({"id": PAGE, "messaging": [item(message=TEXT)]}, {"entry.0.messaging.0": "events"}),
        (envelope(item(message=TEXT), standby=[item(message=TEXT)], changes=[{"field": "feed"}]),
         {"entry.0.messaging.0": "events", "entry.0.standby.0": "events",
          "entry.0.changes.0": "ignored"}),
        ({"object": "page", "entry": [*envelope(item(message=TEXT))["entry"],
                                      {"id": "101", "changes": {"field": "feed"}}, 5]},
         {"entry.0.messaging.0": "events", "entry.1.changes.0": "ignored", "entry.2": "unusable"}),
        (envelope(), {"entry.0": "ignored"}),
        (envelope({}), {"entry.0.messaging.0": "ignored"}),
        (envelope(item(message=None)), {"entry.0.messaging.0": "ignored"}),
        ({"object": "page", "entry": []}, {"entry": "ignored"}),
        ({"object": "page", "entry": None}, {"entry": "ignored"}),
        ({"object": "user", "entry": [{"id": "1"}]}, {"object": "ignored"}),
        ({"object": {"a": 1}}, {"object": "ignored"}),
        ({"object": "page"}, {"body": "unusable"}),
        ({}, {"body": "unusable"}),
        ([], {"body": "ignored"}),
        ([5, {}], {"0.body": "unusable", "1.body": "unusable"}),
        (5, {"body": "unusable"}),
        ("text", {"body": "unusable"}),
        (None, {"body": "unusable"}),
    ],
)  # fmt: skip
def test_every_form_of_envelope_is_parsed(body: Any, expected: dict[str, str]) -> None:
    assert {one.path: result_of(one) for one in check(encoded(body))} == expected


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not JSON"),
        (b"\xff", "not JSON"),
        (b"{", "not JSON"),
        (b"a=1&b=2", "not JSON"),
        (delivery(item(message=TEXT)) + b"x", "not JSON"),
        (b'{"entry": 1' + b"0" * 5000 + b"}", "not JSON"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "nested deeper than 64 levels"),
        (b"[" * 1_000_000, "nested deeper than 64 levels"),
        (b'[{"a":' * 100_000, "nested deeper than 64 levels"),
        # Another encoding, in which brackets are not where they seem to be.
        (('["\u0122", ' + "[" * 100_000).encode("utf-16-le"), "not JSON"),
        (delivery(item(message=TEXT)).decode().encode("utf-16"), "not JSON"),
        (b"true", "neither an object nor a list"),
    ],
)
def test_a_body_that_is_not_a_delivery_is_one_unusable_item(body: bytes, reason: str) -> None:
    [one] = check(body)
    assert (one.path, one.unusable) == ("body", reason)


def test_brackets_in_a_string_do_not_count_as_nesting() -> None:
    text = '[{"\\' * 200
    [one] = parse(envelope(item(message={"mid": "m_1", "text": text})))
    assert one.events[0]["metadata"]["text"] == text


def test_a_byte_order_mark_and_escapes_are_read() -> None:
    body = rb'{"object":"page","entry":[{"id":"100","messaging":[{"sender":{"id":"200"},'
    body += rb'"message":{"mid":"m_1","text":"\u00e4\/\ud83d\ude0d \ud83d!"}}]}]}'
    for given_body in (body, b"\xef\xbb\xbf" + body):
        [one] = check(given_body)
        assert one.events[0]["metadata"]["text"] == "ä/😍 \ufffd!"


def test_two_parts_of_one_message_in_one_delivery_have_the_same_metadata() -> None:
    image = [{"type": "image", "payload": {"url": "https://x/1.jpg"}}]
    parts = (
        item(message={"mid": "m_1", "text": "hi"}),
        item(message={"mid": "m_1", "attachments": image}),
    )
    for order in (parts, parts[::-1]):
        one, other = parse(envelope(*order))
        assert one.events[0]["metadata"] == other.events[0]["metadata"]
        assert one.events[0]["metadata"] == {
            "source": "webhook", "message_id": "m_1", "text": "hi", "attachments": image,
        }  # fmt: skip


# -- Anything -----------------------------------------------------------------------------------


@given(st.binary())
def test_any_bytes_are_accounted_for(body: bytes) -> None:
    check(body)


@given(values)
@example(envelope(item(message={"mid": 10**4299, "app_id": -(10**4299)}, sender={"id": 10**4299})))
def test_any_json_is_accounted_for(body: Any) -> None:
    check(encoded(body))


@given(st.dictionaries(names, values, max_size=6), st.dictionaries(names, values, max_size=4))
def test_any_item_of_an_entry_is_accounted_for(
    fields: dict[str, Any], entry: dict[str, Any]
) -> None:
    check(encoded({"object": "page", "entry": [{"messaging": [item(**fields)], **entry}]}))


@given(mutations(st.sampled_from(SAMPLES)))
def test_any_mutation_of_a_delivery_is_accounted_for(body: Any) -> None:
    check(encoded(body))


@given(st.sampled_from(SAMPLES).map(encoded), st.data())
def test_any_damage_to_the_bytes_is_accounted_for(body: bytes, data: st.DataObject) -> None:
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(body))] * 2)))
    check(body[:start] + data.draw(st.binary(max_size=4)) + body[end:])


@given(mutations(st.sampled_from(SAMPLES), most=2))
def test_every_value_of_an_item_is_in_its_events(body: Any) -> None:
    """Except empty values and false flags, the parties and the time."""
    for path, given_item in places(body):
        [one] = (
            parse_delivery(delivery(given_item), NOW) if isinstance(given_item, dict) else [None]
        )
        if one is None or not one.events or path.endswith(("object", "body")):
            continue
        fields = {key: value for key, value in given_item.items() if key not in _ENVELOPE}
        if one.events[0]["event_type"] == "unsend":
            continue
        kept = [*_leaves([event["metadata"] for event in one.events])]
        kept += [str(event["message_id"]) for event in one.events]
        missing = [leaf for leaf in _leaves(fields) if leaf not in kept]
        assert missing == [], one.events


_ENVELOPE = {"sender", "recipient", "timestamp"}


def _leaves(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [leaf for one in value.values() for leaf in _leaves(one)]
    if isinstance(value, list):
        return [leaf for one in value for leaf in _leaves(one)]
    if value is None or value is False or value == "":
        return []
    # Half of a surrogate pair cannot be stored; 1 and "1" are one value.
    return [str(value).encode("utf-16", "surrogatepass").decode("utf-16", "replace")]


# -- Real ones ----------------------------------------------------------------------------------


def test_every_real_delivery_is_accounted_for() -> None:
    found = [one for body in real_bodies().values() for one in check(body)]
    assert sum(result_of(one) == "events" for one in found) > len(found) / 2


def test_any_mutation_of_a_real_delivery_is_accounted_for() -> None:
    bodies = [parse_json(body) for body in real_bodies().values()]

    @given(mutations(st.sampled_from([one for one in bodies if one is not None])))
    def accounted_for(mutated: Any) -> None:
        check(encoded(mutated))

    accounted_for()
