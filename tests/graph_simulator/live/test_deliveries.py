"""Webhook deliveries of live traffic."""

import hashlib
import hmac
import json
import re
from collections import Counter
from collections.abc import Callable

import pytest

from tests.conftest import Simulated
from tests.graph_simulator.live.control import SECRET, configure, run, status
from tests.graph_simulator.webhook_sink import Delivered, Sink, free_port, wait_until

Simulate = Callable[..., Simulated]
Receive = Callable[..., Sink]


@pytest.fixture
def simulated(simulate: Simulate) -> Simulated:
    return simulate(conversations=30, pages=2, app_secret=SECRET)


def signature(body: bytes) -> str:
    return f"sha256={hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()}"


def has_valid_signature(one: Delivered) -> bool:
    return hmac.compare_digest(signature(one.body), one.headers["X-Hub-Signature-256"])


def test_the_signature_matches_only_the_raw_bytes(simulated: Simulated, receive: Receive) -> None:
    sink = receive()
    run(simulated, sink, 300)
    assert all(has_valid_signature(one) for one in sink.delivered)
    assert {one.path for one in sink.delivered} == {"/api/webhook"}
    assert {one.headers["Content-Type"] for one in sink.delivered} == {"application/json"}
    # JSON that is parsed and serialized again has another signature.
    escaped = [one for one in sink.delivered if b"\\u" in one.body and b"\\/" in one.body]
    assert escaped
    for one in escaped:
        again = json.dumps(json.loads(one.body), separators=(",", ":")).encode()
        assert signature(again) != one.headers["X-Hub-Signature-256"]


def test_deliveries_share_connections_and_have_one_or_more_items(
    simulated: Simulated, receive: Receive
) -> None:
    sink = receive()
    run(simulated, sink, 300)
    assert len(sink.connections) <= 8
    for one in sink.delivered:
        body = json.loads(one.body)
        assert body.keys() == {"object", "entry"}
        assert body["object"] == "page"
        for entry in one.entries:
            assert entry.keys() == {"id", "time", "messaging"}
            parties = [{i["sender"]["id"], i["recipient"]["id"]} for i in entry["messaging"]]
            assert all(entry["id"] in both and len(both) == 2 for both in parties)
            assert entry["time"] == max(item["timestamp"] for item in entry["messaging"])
    assert {len(one.entries) for one in sink.delivered} >= {1, 2}
    assert {len(one.items) for one in sink.delivered} == {1, 2, 3, 5}


def test_a_delivery_is_retried_until_it_is_answered_with_200(
    simulated: Simulated, receive: Receive
) -> None:
    sink = receive(statuses=[500, 404, 202, 302, 503] * 4)
    counts = run(simulated, sink, 60, repeats=0)
    assert counts["failed"] == 20
    by_body: dict[bytes, list[int]] = {}
    for one in sink.delivered:
        by_body.setdefault(one.body, []).append(one.status)
    assert all(statuses.index(200) == len(statuses) - 1 for statuses in by_body.values())
    assert len(by_body) == counts["deliveries"] == counts["acknowledged"]
    assert counts["sent"] == len(sink.delivered) == counts["acknowledged"] + 20


def test_deliveries_without_a_listener_stay_pending_at_a_rate_of_0(
    simulated: Simulated, receive: Receive
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/api/webhook"
    configure(simulated, per_second=200, webhook_url=url, repeats=0, delays=0)
    wait_until(lambda: status(simulated)["failed"] >= 10)
    counts = configure(simulated, per_second=0)
    assert counts["acknowledged"] == 0
    assert counts["pending"] == counts["deliveries"] > 0
    sink = receive(port)
    wait_until(lambda: status(simulated)["pending"] == 0)
    assert len({one.body for one in sink.delivered}) == counts["deliveries"]


def test_the_configured_shares_are_repeated_and_delayed(
    simulated: Simulated, receive: Receive
) -> None:
    sink = receive()
    counts = run(simulated, sink, 1500, seed=5, repeats=0.2, delays=0.1)
    made = counts["deliveries"]
    assert made > 500
    times = Counter(one.body for one in sink.delivered)
    assert len(times) == made
    assert sum(count == 2 for count in times.values()) == counts["repeated"]
    assert sum(times.values()) == made + counts["repeated"] == counts["acknowledged"]
    assert 0.15 < counts["repeated"] / made < 0.25
    assert 0.06 < counts["delayed"] / made < 0.14


def test_delays_let_edits_and_unsends_arrive_before_their_messages(
    simulated: Simulated, receive: Receive
) -> None:
    sink = receive()
    run(simulated, sink, 1000, seed=5, repeats=0, delays=0.3)
    seen: set[str] = set()
    early = Counter[str]()
    for item in sink.items():
        message = item.get("message", {})
        mid = message.get("mid") or item.get("message_edit", {}).get("mid")
        if message and "is_deleted" not in message:
            seen.add(mid)
        elif mid and mid not in seen:
            early["unsend" if message else "edit"] += 1
    assert early["edit"] > 3
    assert early["unsend"] > 3


def test_a_seed_always_repeats_the_same_deliveries(simulate: Simulate, receive: Receive) -> None:
    chosen = []
    for _ in range(2):
        simulated, sink = simulate(app_secret=SECRET), receive()
        run(simulated, sink, 300, seed=3, repeats=0.3)
        # Bodies with a message or an edit differ even without their times.
        bodies = Counter(one.body for one in sink.delivered if b'"text"' in one.body)
        chosen.append({text_of(body): count for body, count in bodies.items()})
    one, other = chosen
    # The number of events depends on the clock.
    both = one.keys() & other.keys()
    assert len(both) > 80
    assert {text: one[text] for text in both} == {text: other[text] for text in both}
    assert {one[text] for text in both} == {1, 2}


def text_of(body: bytes) -> str:
    """A body without its times, and without its ids, which depend on times."""
    return re.sub(r'"(timestamp|time|watermark|mid)":("[^"]*"|\d+)', "", body.decode())


def test_echoes_and_strangers_can_be_left_out(simulated: Simulated, receive: Receive) -> None:
    sink = receive()
    run(simulated, sink, 400, echoes=False, covered_contacts=3)
    covered = {
        simulated.world.contact(page, number)["id"]
        for page in simulated.pages
        for number in range(3)
    }
    items = sink.items()
    assert items
    assert not [one for one in items if one.get("message", {}).get("is_echo")]
    assert {one["sender"]["id"] for one in items} <= covered
    run(simulated, sink, 400, echoes=True, covered_contacts=1000)
    assert [one for one in sink.items() if one.get("message", {}).get("is_echo")]
