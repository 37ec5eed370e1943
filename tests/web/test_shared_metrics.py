"""The metrics that all processes share, after real syncs and deliveries."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from messenger_pipeline.db import inbox, pages
from messenger_pipeline.db.pool import Database
from messenger_pipeline.webhook.drain import drain_batch
from tests.conftest import Simulated
from tests.db.test_load import query
from tests.walking import Connect, Simulate, walk, walk_until_switched_off
from tests.web.conftest import Receiver, serve_receiver
from tests.web.scraping import scrape
from tests.webhook.bodies import body, item, text


@pytest.fixture
def receiver(url: str) -> Iterator[Receiver]:
    with serve_receiver(url) as receiver:
        yield receiver


def deliver(receiver: Receiver, *bodies: bytes) -> None:
    for one in bodies:
        assert receiver.post(one).status_code == 200


def faulty(simulate: Simulate) -> Simulated:
    """A simulator that refuses five calls, one of them for two seconds."""
    simulated = simulate(conversations=150)
    simulated.fault("code_2", times=3, edge="conversations")
    simulated.fault("html", times=1, after=4)
    simulated.fault("app_limit", times=1, seconds=2.0, hint="retry_after", after=6)
    return simulated


def test_calls_errors_and_waits_match_the_simulators_counts(
    receiver: Receiver, simulate: Simulate, connect: Connect
) -> None:
    simulated = faulty(simulate)
    result = walk(connect(simulated), simulated.page.id, mode="full")
    counted = simulated.admin("GET", "calls")
    scraped = scrape(receiver)
    assert scraped.value("messenger_graph_api_calls_total") == len(counted["log"]) > 8
    assert scraped.values("messenger_graph_api_errors_total") == {
        ("2",): 3,
        ("HTTP 502",): 1,
        ("4",): 1,
    }
    # The one pause of the walk is the longest time between two of its calls.
    times = counted["times"][simulated.page.id]
    pause = max(later - former for former, later in pairwise(times))
    waited = scraped.value("messenger_graph_api_waited_seconds_total")
    assert waited == pytest.approx(result.waited_seconds, abs=0.01)
    assert 1.5 < waited <= pause + 0.1
    assert counted["violations"] == 0


def test_a_sync_is_counted_by_outcome_and_changes(
    receiver: Receiver, simulate: Simulate, connect: Connect, database: Database
) -> None:
    simulated = simulate(conversations=150)
    engine, page = connect(simulated), simulated.page.id
    first = walk(engine, page, mode="full", max_conversations=1)
    scraped = scrape(receiver)
    assert first.stopped
    assert scraped.values("messenger_sync_open_sessions")[("resumable",)] == 1
    assert scraped.values("messenger_pages") == {
        ("active",): 1, ("paused",): 0, ("needs_reauthorization",): 0, ("removed",): 0,
    }  # fmt: skip
    done = [first, walk(engine, page), walk(engine, page)]
    simulated.admin("POST", f"pages/{page}/token", {"state": "expired"})
    walk_until_switched_off(engine, page)
    scraped = scrape(receiver)
    assert scraped.values("messenger_sync_runs_ended_total") == {
        ("partial",): 1, ("completed",): 2, ("failed",): 2,
    }  # fmt: skip
    ended = scraped.values("messenger_sync_sessions_ended_total")
    assert {labels for labels, value in ended.items() if value} == {
        ("full", "completed"), ("incremental", "completed"),
    }  # fmt: skip
    assert scraped.values("messenger_sync_conversations_total") == {
        ("inserted",): sum(one.inserted for one in done),
        ("updated",): sum(one.updated for one in done),
        ("unchanged",): sum(one.unchanged for one in done),
    }
    stored = query(database, "select count(*) from contact_interaction_events")
    assert [(scraped.value("messenger_sync_events_created_total"),)] == stored
    assert scraped.values("messenger_pages")[("needs_reauthorization",)] == 1
    assert scraped.values("messenger_graph_api_errors_total") == {("190",): 4}


def test_deliveries_are_counted_by_their_outcome(
    receiver: Receiver, simulate: Simulate, connect: Connect, database: Database
) -> None:
    page = simulate(conversations=1)
    connect(page)
    own = page.page.id
    nobody = item(1, sender=own, page=own, recipient={"id": own}, message={"mid": "m", "text": "?"})
    deliver(
        receiver,
        body(text(1, "m1", "a", page=own), page=own),
        body(text(2, "m2", "b", page=own), page=own),
        b'{"object":"page","entry":[{"id":"1","changes":[{}]}]}',
        body(nobody, page=own),
        body(text(3, "m3", "c", page="99"), page="99"),
    )
    drain_batch(database)
    scraped = scrape(receiver)
    settled = scraped.values("messenger_webhook_deliveries_settled_total")
    assert settled == {("done",): 2, ("ignored",): 1, ("failed",): 1}
    assert scraped.value("messenger_webhook_deliveries_put_off_total") == 1
    assert scraped.values("messenger_webhook_inbox_deliveries") == {
        ("due",): 0, ("backing_off",): 0, ("unregistered_page",): 1,
    }  # fmt: skip
    median = scraped.value("messenger_webhook_apply_lag_median_seconds")
    assert 0 < median <= scraped.value("messenger_webhook_apply_lag_max_seconds") < 30
    assert scraped.value("messenger_quarantined_records") == 1

    # A replay counts again, and deleted deliveries stay counted.
    list(inbox.reopen(database, state="done"))
    drain_batch(database)
    query(database, "delete from webhook_inbox returning id")
    settled = scrape(receiver).values("messenger_webhook_deliveries_settled_total")
    assert settled == {("done",): 4, ("ignored",): 1, ("failed",): 1}


def test_concurrent_drains_lose_no_count(url: str, database: Database) -> None:
    kinds = [b'{"object":"user","entry":[{}]}', b"no JSON", body(text(1, "m", "x", page="99"))]
    inbox.receive(database, [kinds[number % 3] for number in range(300)])

    def drain(_: int) -> None:
        with Database(url, timeout=10) as own:
            while drain_batch(own, limit=7).deliveries:
                pass

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(drain, range(4)))
    found = query(database, "select state, deliveries from webhook_totals order by state")
    assert found == query(
        database, "select state, count(*) from webhook_inbox group by state order by state"
    )
    assert sum(count for _, count in found) == 300


def test_counters_outlive_syncs_removed_pages_and_deleted_sessions(
    receiver: Receiver, simulate: Simulate, connect: Connect, database: Database
) -> None:
    simulated = faulty(simulate)
    engine, page = connect(simulated), simulated.page.id
    walk(engine, page, mode="full")
    deliver(receiver, body(text(1, "m1", "a", page=page), page=page))
    drain_batch(database)
    seen = [scrape(receiver)]

    simulated.admin("POST", "messages", {"page": page})
    walk(engine, page)
    seen.append(scrape(receiver))
    pages.set_page_status(database, page, "removed")
    query(database, "delete from thread_gaps returning id")
    query(database, "delete from sync_state returning page_id")
    seen.append(scrape(receiver))

    for before, after in pairwise(seen):
        counters = after.counters()
        for series, value in before.counters().items():
            assert counters[series] >= value, series
    name = "messenger_sync_events_created_total"
    assert seen[1].value(name) == seen[0].value(name) + 1
    assert seen[2].value(name) == seen[1].value(name)
    assert seen[2].values("messenger_pages")[("removed",)] == 1


def test_two_receivers_report_the_same_shared_metrics(
    receiver: Receiver, simulate: Simulate, connect: Connect, database: Database, url: str
) -> None:
    simulated = faulty(simulate)
    walk(connect(simulated), simulated.page.id, mode="full")
    own = simulated.page.id
    with serve_receiver(url) as other:
        deliver(receiver, body(text(1, "m1", "a", page=own), page=own), b"no JSON")
        deliver(other, b"no JSON either")
        drain_batch(database)
        one, two = scrape(receiver), scrape(other)
    assert one.shared() == two.shared()
    assert len(one.shared()) > 35
    received = "messenger_webhook_deliveries_received_total"
    assert (one.value(received, status="200"), two.value(received, status="200")) == (2, 1)
    assert one.value("messenger_webhook_deliveries_settled_total", state="failed") == 2


def test_no_label_has_a_page_id(
    receiver: Receiver, simulate: Simulate, connect: Connect, database: Database
) -> None:
    simulated = simulate(conversations=3, pages=3)
    engine = connect(simulated)
    for page in simulated.pages:
        walk(engine, page.id)
    query(database, "select from pause_graph_api(%s, 60)", f"page:{simulated.page.id}")
    scraped = scrape(receiver)
    labels = {value for _, labels in scraped.samples for _, value in labels}
    assert not labels & {page.id for page in simulated.pages}
    assert scraped.values("messenger_graph_api_paused_scopes") == {
        ("app",): 0,
        ("page",): 1,
        ("token",): 0,
    }
    assert 50 < scraped.value("messenger_graph_api_pause_left_seconds") <= 60
