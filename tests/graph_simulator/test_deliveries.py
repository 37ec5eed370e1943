"""How live traffic is delivered by webhooks."""

import hashlib
import hmac
import json
import re
from collections import Counter
from collections.abc import Callable

import pytest

from tests.conftest import Simulated
from tests.graph_simulator.living import SECRET, order, run, told
from tests.graph_simulator.receiving import Delivered, Sink, free_port, wait_until

Simulate = Callable[..., Simulated]
Receive = Callable[..., Sink]


@pytest.fixture
def simulated(simulate: Simulate) -> Simulated:
    return simulate(conversations=30, pages=2, app_secret=SECRET)


def signature(body: bytes) -> str:
    return f"sha256={hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()}"


def signed_as_sent(one: Delivered) -> bool:
    return hmac.compare_digest(signature(one.body), one.headers["X-Hub-Signature-256"])


def test_the_signature_is_of_the_raw_bytes_and_of_them_alone(
    simulated: Simulated, receive: Receive
) -> None:
    sink = receive()
    run(simulated, sink, 300)
    assert all(signed_as_sent(one) for one in sink.delivered)
    assert {one.path for one in sink.delivered} == {"/api/webhook"}
    assert {one.headers["Content-Type"] for one in sink.delivered} == {"application/json"}
    # Parsing and writing again is noticed, however it is written.
    escaped = [one for one in sink.delivered if b"\\u" in one.body and b"\\/" in one.body]
    assert escaped
    for one in escaped:
        again = json.dumps(json.loads(one.body), separators=(",", ":")).encode()
        assert signature(again) != one.headers["X-Hub-Signature-256"]


def test_deliveries_come_over_few_connections_and_tell_one_or_more_things(
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


def test_what_is_not_answered_with_200_comes_again_until_it_is(
    simulated: Simulated, receive: Receive
) -> None:
    sink = receive(answers=[500, 404, 202, 302, 503] * 4)
    counts = run(simulated, sink, 60, repeats=0)
    assert counts["refused"] == 20
    answers: dict[bytes, list[int]] = {}
    for one in sink.delivered:
        answers.setdefault(one.body, []).append(one.status)
    assert all(statuses.index(200) == len(statuses) - 1 for statuses in answers.values())
    assert len(answers) == counts["deliveries"] == counts["acknowledged"]
    assert counts["sent"] == len(sink.delivered) == counts["acknowledged"] + 20


def test_what_nobody_listens_to_waits_even_at_a_rate_of_0(
    simulated: Simulated, receive: Receive
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/api/webhook"
    order(simulated, per_second=200, webhook_url=url, repeats=0, disorder=0)
    wait_until(lambda: told(simulated)["refused"] >= 10)
    counts = order(simulated, per_second=0)
    assert counts["acknowledged"] == 0
    assert counts["waiting"] == counts["deliveries"] > 0
    sink = receive(port)
    wait_until(lambda: told(simulated)["waiting"] == 0)
    assert len({one.body for one in sink.delivered}) == counts["deliveries"]


def test_some_come_twice_and_some_late_as_often_as_ordered(
    simulated: Simulated, receive: Receive
) -> None:
    sink = receive()
    counts = run(simulated, sink, 1500, seed=5, repeats=0.2, disorder=0.1)
    made = counts["deliveries"]
    assert made > 500
    times = Counter(one.body for one in sink.delivered)
    assert len(times) == made
    assert sum(count == 2 for count in times.values()) == counts["repeated"]
    assert sum(times.values()) == made + counts["repeated"] == counts["acknowledged"]
    assert 0.15 < counts["repeated"] / made < 0.25
    assert 0.06 < counts["late"] / made < 0.14


def test_what_is_late_lets_edits_and_unsends_come_before_their_messages(
    simulated: Simulated, receive: Receive
) -> None:
    sink = receive()
    run(simulated, sink, 1000, seed=5, repeats=0, disorder=0.3)
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


def test_a_seed_chooses_the_same_to_come_twice_or_late(
    simulate: Simulate, receive: Receive
) -> None:
    chosen = []
    for _ in range(2):
        simulated, sink = simulate(app_secret=SECRET), receive()
        run(simulated, sink, 300, seed=3, repeats=0.3)
        # Those with a message or an edit are different also without their times.
        bodies = Counter(one.body for one in sink.delivered if b'"text"' in one.body)
        chosen.append({text_of(body): count for body, count in bodies.items()})
    one, other = chosen
    # How much happened until it was ended depends on the clock.
    both = one.keys() & other.keys()
    assert len(both) > 80
    assert {text: one[text] for text in both} == {text: other[text] for text in both}
    assert {one[text] for text in both} == {1, 2}


def text_of(body: bytes) -> str:
    """A body without its times, and the ids, which hold them."""
    return re.sub(r'"(timestamp|time|watermark|mid)":("[^"]*"|\d+)', "", body.decode())
