"""A delivery that kills the process of its drain is set aside, and the others are applied."""

import subprocess
import sys
import threading

import psycopg
import pytest

from messenger_pipeline.db import inbox
from messenger_pipeline.db.inbox import MAX_CLAIMS
from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.quarantine import list_quarantined
from messenger_pipeline.project import PROJECT
from messenger_pipeline.webhook.drain import drain_batch, drain_deliveries
from tests.db.test_load import query
from tests.webhook.bodies import body, text
from tests.webhook.test_drain import page
from tests.webhook.test_drain_failures import claims, states, texts

__all__ = ["page"]  # a fixture


def run_drain(url: str, how: str) -> int:
    """Drain in a process of its own. Returns its exit code."""
    return subprocess.run(
        [sys.executable, "-m", "tests.webhook.killed_drain", url, how],
        cwd=PROJECT, timeout=60, check=False,
    ).returncode  # fmt: skip


@pytest.mark.parametrize(("kill", "how"), [("kill", "exit"), ("kill later", "signal")])
def test_a_delivery_that_kills_its_process_is_taken_alone_and_then_set_aside(
    page: Database, url: str, kill: str, how: str
) -> None:
    bodies = [body(text(n, f"m{n}", f"t{n}", sender=str(30 + n))) for n in range(5)]
    bodies[2] = body(text(2, "m2", kill, sender="32"))
    [_, _, killer, *_] = inbox.receive(page, bodies)

    assert run_drain(url, how) in (137, -9)
    assert texts(page) == [], "the batch was rolled back"
    assert claims(page) == [([1, 2, 3, 4, 5],)], "what the process left"
    deaths = 1
    while (code := run_drain(url, how)) != 0:
        assert code in (137, -9)
        deaths += 1
    assert deaths == MAX_CLAIMS
    assert texts(page) == ["t0", "t1", "t3", "t4"]
    assert states(page) == ["done", "done", "failed", "done", "done"]
    assert claims(page) == []
    [settled] = inbox.get_deliveries(page, [killer])
    assert "3 processes were killed while they applied it" in (settled.last_error or "")
    [record] = list_quarantined(page)
    assert (record.kind, record.record) == ("delivery", {"delivery": killer})
    assert record.reason == settled.last_error

    # Nothing kills it any more.
    for portion in inbox.reopen(page, ids=[killer]):
        assert [one.state for one in drain_deliveries(page, portion)] == ["done"]
        assert inbox.resolve_replayed(page, portion) == 1
    assert texts(page) == ["t0", "t1", kill, "t3", "t4"]


def test_new_deliveries_are_applied_before_what_killed_a_process(page: Database, url: str) -> None:
    inbox.receive(page, [body(text(1, "m1", "kill"))])
    assert run_drain(url, "exit") == 137
    inbox.receive(page, [body(text(2, "m2", "new", sender="22"))])
    assert run_drain(url, "exit") == 137
    assert texts(page) == ["new"]
    assert states(page) == ["pending", "done"]


def test_a_stream_of_new_deliveries_does_not_hold_up_what_was_in_a_killed_batch(
    page: Database,
) -> None:
    """An innocent delivery of a killed batch waits for half a minute of others at most."""
    [old] = inbox.receive(page, [body(text(1, "m1", "innocent"))])
    inbox.count_claim(page, [old])
    query(
        page,
        "update webhook_inbox set not_before = not_before - interval '31 s' returning id",
    )
    inbox.receive(page, [body(text(2, "m2", "new", sender="22"))])
    assert drain_batch(page, limit=1).deliveries == 1
    assert texts(page) == ["innocent"]
    assert claims(page) == []


def test_a_drain_that_was_killed_in_an_upgrade_harms_no_drain_of_the_release_before(
    page: Database, url: str
) -> None:
    """That release claims without counting, and calls the functions without the new arguments."""
    lost, other = inbox.receive(page, [body(text(1, "m1", "a")), body(text(2, "m2", "b"))])
    for _ in range(MAX_CLAIMS):
        inbox.count_claim(page, [lost])
    with psycopg.connect(url) as connection:
        connection.execute("set search_path to messenger_pipeline, public")
        found = connection.execute(
            "select id, body, received_at, attempts"
            " from claim_webhook_deliveries(p_limit => 200, p_ids => null)"
        ).fetchall()
        assert [row[0] for row in found] == [other], "it cannot set the other aside"
        connection.execute(
            """select settle_webhook_deliveries(p_settled => '[{"id": 2, "state": "done"}]')"""
        )
    assert states(page) == ["pending", "done"]
    assert drain_batch(page).states == {"failed": 1}


def test_many_drains_at_once_count_no_claim_against_a_delivery(page: Database, url: str) -> None:
    """A batch that is in progress in one drain is not taken for the rest of a killed one."""
    inbox.receive(page, [body(text(n, f"m{n}", "x", sender=str(n % 7 + 30))) for n in range(300)])
    failures: list[BaseException] = []

    def drain() -> None:
        try:
            with Database(url, timeout=30) as own:
                while drain_batch(own, limit=5).deliveries:
                    pass
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=drain) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    while drain_batch(page).deliveries:
        pass
    assert set(states(page)) == {"done"}
    assert claims(page) == []


def test_claims_without_a_pending_delivery_are_deleted_after_a_day(page: Database) -> None:
    [gone, left] = inbox.receive(page, [b"{}", b"{}"])
    inbox.count_claim(page, [gone])
    inbox.count_claim(page, [gone, left])
    query(page, "delete from webhook_inbox where id = %s returning id", gone)
    query(page, "update webhook_claims set claimed_at = now() - interval '25 hours' returning id")
    assert page.value("delete_settled_deliveries", keep="7 days") == 0
    assert claims(page) == [([gone, left],)]
