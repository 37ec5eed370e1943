"""Live traffic in webhooks, in the Graph API and in the truth agrees."""

import hashlib
import hmac
import json
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from tests.conftest import Simulated
from tests.graph_simulator.graph_calls import get
from tests.graph_simulator.live.control import SECRET, configure, run, status
from tests.graph_simulator.webhook_sink import Item, Sink, wait_until

Simulate = Callable[..., Simulated]
Receive = Callable[..., Sink]
Row = dict[str, Any]

ONLY_WEBHOOKS = {
    "reaction": "reaction", "message_edit": "edit", "postback": "postback", "read": "read",
    "delivery": "delivery", "referral": "referral", "optin": "optin",
}  # fmt: skip
"""The key of an item, and the type of its event."""


@pytest.fixture
def simulated(simulate: Simulate) -> Simulated:
    return simulate(conversations=30, pages=2, app_secret=SECRET)


def truth(simulated: Simulated, **query: str) -> list[Row]:
    found = []
    for page in simulated.pages:
        parameters = {"page": page.id, **query}
        response = requests.get(f"{simulated.url}/_simulator/truth", parameters, timeout=30)
        found += [json.loads(line) for line in response.text.splitlines()]
    return found


def live_truth(simulated: Simulated, seeded: list[Row]) -> dict[str, Row]:
    """The rows of messages since `seeded`, by id. Fails if a seeded row has changed."""
    rows = truth(simulated)
    assert [row for row in rows if row in seeded] == seeded
    live = {row["message_id"]: row for row in rows if row not in seeded}
    assert len(live) == len(rows) - len(seeded)
    return live


def listed(simulated: Simulated) -> dict[str, Row]:
    """Every message that the Graph API lists, by id."""
    found: dict[str, Row] = {}
    for index, page in enumerate(simulated.pages):
        for number in range(len(page.lengths)):
            path = f"{simulated.world.thread_id(page, number)}/messages"
            fields = "id,created_time,from,message,attachments,shares,sticker,reply_to"
            made = str(int(time.time()))
            proof = hmac.new(SECRET.encode(), f"{page.token}|{made}".encode(), hashlib.sha256)
            proven: dict[str, Any] = {"appsecret_time": made, "appsecret_proof": proof.hexdigest()}
            response = get(simulated, path, index, fields=fields, limit=100, **proven)
            found |= {message["id"]: message for message in response.json()["data"]}
    return found


def exact_time(item: Item) -> str:
    """The time of an item in the format of the truth."""
    at = datetime.fromtimestamp(item["timestamp"] // 1000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{item['timestamp'] % 1000:03d}+0000"


def new_messages(sink: Sink) -> dict[str, Item]:
    return {
        item["message"]["mid"]: item
        for item in sink.items()
        if "message" in item and "is_deleted" not in item["message"]
    }


def test_live_messages_agree_in_the_truth_the_webhooks_and_the_api(
    simulated: Simulated, receive: Receive
) -> None:
    seeded, sink = truth(simulated), receive()
    run(simulated, sink, 600)
    rows, api, items = live_truth(simulated, seeded), listed(simulated), new_messages(sink)
    assert rows.keys() == items.keys()
    changed = {i["message_edit"]["mid"] for i in sink.items() if "message_edit" in i}
    for mid, row in rows.items():
        item = items[mid]
        by_page = item["message"].get("is_echo", False)
        parties = [item["recipient"]["id"], item["sender"]["id"]]
        contact, page = parties if by_page else reversed(parties)
        assert row["page_id"] == page
        assert row["sender_id"] == contact
        assert row["event_type"] == ("message_sent" if by_page else "message_received")
        assert row["created_time"] == exact_time(item)
        if mid in api:  # truncated to whole seconds
            assert api[mid]["created_time"] == f"{row['created_time'][:19]}+0000"
            assert api[mid]["from"]["id"] == item["sender"]["id"]
            assert api[mid]["message"] == row["text"]
            assert mid in changed or row["text"] == item["message"].get("text", "")
            assert api[mid].get("reply_to") == item["message"].get("reply_to")
            assert ("attachments" in item["message"]) == bool(
                {"attachments", "shares", "sticker"} & api[mid].keys()
            )


def test_edits_and_unsends_change_the_api_and_the_truth(
    simulated: Simulated, receive: Receive
) -> None:
    seeded, sink = truth(simulated), receive()
    run(simulated, sink, 600)
    rows, api, items = live_truth(simulated, seeded), listed(simulated), new_messages(sink)
    edits: dict[str, dict[int, str]] = {}
    counted_as = set()
    for edit in (item["message_edit"] for item in sink.items() if "message_edit" in item):
        counted_as.add(type(edit["num_edit"]))
        edits.setdefault(edit["mid"], {})[int(edit["num_edit"])] = edit["text"]
    unsent = {i["message"]["mid"] for i in sink.items() if i.get("message", {}).get("is_deleted")}
    assert counted_as == {int, str}
    assert len(unsent) > 5
    assert {max(texts) for texts in edits.values()} >= {1, 2}
    for mid, texts in edits.items():
        assert [*sorted(texts)] == [*range(1, len(texts) + 1)]
        assert rows[mid]["text"] == (None if mid in unsent else texts[len(texts)])
    assert {mid for mid, row in rows.items() if row["text"] is None} == unsent
    assert rows.keys() - api.keys() == unsent
    assert not any("is_echo" in items[mid]["message"] for mid in unsent | edits.keys())


def test_the_truth_has_the_events_that_only_webhooks_report(
    simulated: Simulated, receive: Receive
) -> None:
    sink = receive()
    run(simulated, sink, 1000)
    expected = {}
    for item in sink.items():
        [kind] = item.keys() - {"sender", "recipient", "timestamp"}
        unsend = item.get("message", {}).get("is_deleted")
        if kind == "message" and not unsend:
            continue
        content = item[kind]
        row = {
            "page_id": item["recipient"]["id"],
            "sender_id": item["sender"]["id"],
            "message_id": content.get("mid") or next(iter(content.get("mids", [])), None),
            "event_timestamp": exact_time(item),
            "event_type": "unsend" if unsend else ONLY_WEBHOOKS[kind],
        }
        expected[tuple(row.items())] = row
    rows = truth(simulated, events="other")
    assert {tuple(row.items()) for row in rows} == expected.keys()
    assert len(rows) == len(expected), "no two events of a thread share a millisecond"
    assert {row["event_type"] for row in rows} == {*ONLY_WEBHOOKS.values(), "unsend"}
    postbacks = [row["message_id"] for row in rows if row["event_type"] == "postback"]
    assert None in postbacks
    assert len({*postbacks} - {None}) == len([mid for mid in postbacks if mid])


def test_messages_are_of_every_kind_and_most_are_on_the_first_page(
    simulated: Simulated, receive: Receive
) -> None:
    sink = receive()
    run(simulated, sink, 1500)
    messages = [item["message"] for item in new_messages(sink).values()]
    attachments = [one for message in messages for one in message.get("attachments", [])]
    assert {one["type"] for one in attachments} == {
        "image", "video", "audio", "file", "sticker", "location", "fallback",
        "share", "ig_post",
    }  # fmt: skip
    assert all((one["payload"] is None) == (one["type"] == "fallback") for one in attachments)
    assert all("app_id" in message for message in messages if "is_echo" in message)
    for name in ("quick_reply", "reply_to", "is_echo"):
        assert 0 < sum(name in message for message in messages) < len(messages) / 2
    texts = "".join(message.get("text", "") for message in messages)
    assert all(letter in texts for letter in "öب好नสСす¿송ạ🙏")
    pages = Counter(entry["id"] for one in sink.delivered for entry in one.entries)
    assert [page for page, _ in pages.most_common()] == [page.id for page in simulated.pages]
    reactions = [item["reaction"] for item in sink.items() if "reaction" in item]
    assert {one["action"] for one in reactions} == {"react", "unreact"}
    assert {one.get("emoji") is None for one in reactions if one["action"] == "react"} == {False}


def test_threads_with_live_messages_are_at_the_head_and_some_are_new(
    simulated: Simulated, receive: Receive
) -> None:
    before = len(simulated.page.lengths)
    run(simulated, receive(), 400)
    page = simulated.page
    assert len(page.lengths) > before
    touched = {number for number, messages in page.injected.items() if messages}
    heads = [key.number for key in page.order[: len(page.injected)]]
    assert touched <= {*heads} == page.injected.keys()


def test_a_rate_of_0_stops_the_events(simulated: Simulated, receive: Receive) -> None:
    sink = receive()
    counts = run(simulated, sink, 100)
    bodies = {one.body: one for one in sink.delivered}
    assert sum(len(one.items) for one in bodies.values()) == counts["events"]
    rows = truth(simulated)
    assert status(simulated) == counts
    assert counts["per_second"] == 0
    assert truth(simulated) == rows


def test_a_new_rate_keeps_the_other_settings(simulated: Simulated, receive: Receive) -> None:
    sink = receive()
    assert configure(simulated, per_second=0.001, webhook_url=sink.url)["per_second"] == 0.001
    wait_until(lambda: status(simulated)["events"] >= 1)
    configure(simulated, per_second=500)
    wait_until(lambda: len(sink.delivered) > 50)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, ["per_second", "webhook_url"]),
        ([], ["dictionary"]),
        ({"per_second": -1}, ["per_second: ", "greater than or equal to 0"]),
        ({"per_second": 1}, ["webhook_url"]),
        ({"per_second": 1, "webhook_url": "ftp://there"}, ["'ftp://there'", "http"]),
        ({"per_second": 1, "webhook_url": "http://there:port"}, ["webhook_url", "port"]),
        ({"per_second": 1, "repeats": 2}, ["repeats", "less than or equal to 1"]),
        ({"per_second": 1, "url": "http://there"}, ["url", "delays"]),
    ],
)
def test_invalid_settings_are_refused_with_the_reason(
    simulated: Simulated, settings: Any, words: list[str]
) -> None:
    response = requests.post(f"{simulated.url}/_simulator/live", json=settings, timeout=30)
    assert response.status_code == 400
    for word in words:
        assert word in response.json()["error"]["message"]
    assert status(simulated)["events"] == 0


def test_live_traffic_needs_an_app_secret(simulate: Simulate) -> None:
    settings = {"per_second": 1, "webhook_url": "http://127.0.0.1:1/"}
    response = requests.post(f"{simulate().url}/_simulator/live", json=settings, timeout=30)
    assert (response.status_code, "--app-secret" in response.text) == (400, True)
