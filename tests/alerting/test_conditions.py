"""Each kind of alert opens and closes: on stored rows, and through syncs for faults that the
simulator offers."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from messenger_pipeline.alerting.page_checks import check_pages
from messenger_pipeline.db import inbox, pages
from messenger_pipeline.db.alerts import list_alerts, record_heartbeat, update_alerts
from messenger_pipeline.db.lease import held_lease
from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.quarantine import discard_quarantined
from messenger_pipeline.db.sessions import open_session
from messenger_pipeline.engine import Engine
from messenger_pipeline.errors import PipelineError
from messenger_pipeline.vault import TokenVault, new_key
from messenger_pipeline.webhook.drain import drain_batch
from tests.alerting.evaluation import (
    alert,
    change,
    expire_tokens,
    kinds,
    kinds_once_closed,
)
from tests.conftest import Simulated
from tests.db.test_load import query
from tests.walking import Connect, Simulate, walk, walk_until_switched_off
from tests.webhook.bodies import body, text

AddPages = Callable[..., list[str]]


@pytest.fixture
def simulated(simulate: Simulate) -> Simulated:
    return simulate(conversations=60)


@pytest.fixture
def engine(connect: Connect, simulated: Simulated) -> Engine:
    return connect(simulated)


def check(engine: Engine, *page_ids: str) -> None:
    check_pages(engine, list(page_ids), threading.Event())


def session(database: Database, page_id: str, **columns: Any) -> None:
    """Store a row of sync_state."""
    named = {"page_id": page_id, "mode": "incremental", **columns}
    change(
        database,
        f"insert into sync_state ({', '.join(named)}) values ({', '.join(['%s'] * len(named))})",
        *named.values(),
    )


def ago(**span: float) -> datetime:
    return datetime.now(UTC) - timedelta(**span)


def test_a_page_without_problems_has_no_alert(engine: Engine, simulated: Simulated) -> None:
    walk(engine, simulated.page.id)
    check(engine, simulated.page.id)
    assert kinds(engine.database) == []


def test_a_token_that_expires_opens_an_alert_and_a_new_one_closes_it(
    engine: Engine, simulated: Simulated
) -> None:
    page, database = simulated.page, engine.database
    simulated.admin("POST", f"pages/{page.id}/token", {"state": "expired"})
    walk_until_switched_off(engine, page.id)
    opened = alert(database, "page_needs_reauthorization")
    assert opened.severity == "error"
    assert "Session has expired" in opened.summary
    assert f"pages add {page.id}" in opened.summary
    assert page.token not in str(opened)

    simulated.admin("POST", f"pages/{page.id}/token", {"state": "valid"})
    pages.register_page(
        database, page.id, name=None, user_id=None, platform=None,
        token_encrypted=engine.vault.encrypt(page.token),
    )  # fmt: skip
    walk(engine, page.id)
    assert kinds(database) == [("page_needs_reauthorization", page.id)], (
        "one evaluation does not close it"
    )
    assert kinds_once_closed(database) == []

    simulated.admin("POST", f"pages/{page.id}/token", {"state": "expired"})
    walk_until_switched_off(engine, page.id)
    assert alert(database, "page_needs_reauthorization").id > opened.id, (
        "the second time is a new row"
    )


def test_paused_and_removed_pages_have_no_alerts(
    engine: Engine, simulated: Simulated, add_pages: AddPages
) -> None:
    page, database = simulated.page, engine.database
    change(database, "update facebook_pages set last_synced_at = now() - interval '9 hours',"
                     " updated_at = now() - interval '9 hours'")  # fmt: skip
    assert kinds(database) == [("page_stale", page.id)]
    for status in ("paused", "removed"):
        pages.set_page_status(database, page.id, status)
        change(database, "update facebook_pages set updated_at = now() - interval '9 hours'")
        assert kinds_once_closed(database) == []


def test_a_sync_without_progress_is_failing_until_it_progresses(
    engine: Engine, simulated: Simulated
) -> None:
    page, database = simulated.page, engine.database
    simulated.fault("bad_proof", page=page.id)
    for _ in range(4):
        with pytest.raises(PipelineError):
            walk(engine, page.id)
        assert kinds(database) == []
        change(database, "update sync_state set not_before = now()")
        assert len(database.call("request_continuations", busy=[])) == 1
        if query(database, "select idle_attempts from sync_state") == [(3,)]:
            break
    failing = alert(database, "sync_failing")
    assert "Invalid appsecret_proof" in failing.summary
    assert "3 attempts" in failing.summary

    simulated.clear_faults()
    walk(engine, page.id)
    assert kinds_once_closed(database) == []


def test_syncs_that_fail_before_their_session_starts_are_failing(
    engine: Engine, simulated: Simulated
) -> None:
    """Such as those whose token was encrypted with a lost key."""
    page, database = simulated.page, engine.database
    walk(engine, page.id)
    other = Engine(database, engine.graph, TokenVault([new_key()]), 1_000)
    for _ in range(3):
        assert kinds(database) == []
        with pytest.raises(PipelineError):
            walk(other, page.id)
        # The next attempt comes later than this one.
        change(database, "update facebook_pages set next_sync_at = next_sync_at + interval '1 s'")
    assert kinds(database) == [("sync_failing", page.id)]
    assert "MESSENGER_TOKEN_KEY" in alert(database, "sync_failing").summary
    walk(engine, page.id)
    assert kinds_once_closed(database) == []


def test_a_sync_whose_runs_fail_has_an_alert_whoever_started_them(
    engine: Engine, simulated: Simulated
) -> None:
    page, database = simulated.page, engine.database
    simulated.fault("bad_proof", page=page.id)
    for _ in range(4):
        assert kinds(database) == []
        with pytest.raises(PipelineError):
            walk(engine, page.id)
    assert kinds(database) == [("sync_failing", page.id)]
    simulated.clear_faults()
    walk(engine, page.id)
    assert kinds_once_closed(database) == []


def test_a_truncated_sync_has_an_alert_until_a_sync_completes(
    engine: Engine, simulated: Simulated
) -> None:
    page, database = simulated.page, engine.database
    simulated.fault("list_refused", page=page.id)
    assert walk(engine, page.id).outcome == "truncated"
    assert alert(database, "sync_truncated").severity == "warning"
    simulated.clear_faults()
    change(database, "update facebook_pages set last_synced_at = null")
    assert walk(engine, page.id).outcome == "completed"
    assert kinds_once_closed(database) == []


def test_the_warning_of_a_full_sync_lasts_until_the_next_full_sync(
    database: Database, add_pages: AddPages
) -> None:
    [page] = add_pages()
    ended = {"outcome": "completed", "started_at": ago(hours=1)}
    session(
        database, page, mode="full", warning="half of it is gone", ended_at=ago(minutes=50), **ended
    )
    session(database, page, ended_at=ago(minutes=40), **ended)
    assert alert(database, "sync_warning").summary.endswith("warning: half of it is gone")
    session(database, page, mode="full", ended_at=ago(minutes=30), **ended)
    assert kinds_once_closed(database) == []
    session(database, page, warning="odd", ended_at=ago(minutes=20), **ended)
    assert kinds(database) == [("sync_warning", page)]


def test_a_run_that_holds_its_lease_without_loading_is_stuck(
    database: Database, add_pages: AddPages
) -> None:
    [page] = add_pages()
    session(database, page, run_id="r1", step=3, updated_at=ago(minutes=16))
    change(database, "insert into sync_locks values (%s, 'r1', now() - interval '20 minutes',"
                     " now() + interval '1 minute', 1)", page)  # fmt: skip
    assert "Run r1 has held" in alert(database, "sync_stuck").summary
    # It waits for Meta's rate limit.
    change(database, "update sync_state set waiting_until = now() + interval '1 minute'")
    assert kinds_once_closed(database) == []
    change(database, "update sync_state set waiting_until = null")
    assert kinds(database) == [("sync_stuck", page)]
    change(database, "update sync_state set updated_at = now()")
    assert kinds_once_closed(database) == []


def test_an_open_session_that_no_run_continues_is_stuck(
    database: Database, add_pages: AddPages
) -> None:
    [page] = add_pages()
    old = ago(minutes=61)
    session(database, page, not_before=old, updated_at=old)
    assert "no run has resumed it" in alert(database, "sync_stuck").summary
    change(database, "update sync_state set not_before = now() + interval '1 minute'")
    assert kinds_once_closed(database) == []


@pytest.mark.parametrize(
    ("interval", "synced_before", "stale"),
    [
        ("1 minute", 29, False),
        ("1 minute", 31, True),
        ("15 minutes", 59, False),
        ("15 minutes", 61, True),
        ("6 hours", 23 * 60, False),
        ("6 hours", 25 * 60, True),
    ],
)
def test_a_page_is_stale_by_its_own_interval(
    database: Database, add_pages: AddPages, interval: str, synced_before: int, stale: bool
) -> None:
    [page] = add_pages()
    at = ago(minutes=synced_before)
    change(database, "update facebook_pages set sync_interval = %s::interval, last_synced_at = %s,"
                     " updated_at = %s", interval, at, at)  # fmt: skip
    assert kinds(database) == ([("page_stale", page)] if stale else [])


def test_the_alert_of_a_stale_page_reports_whether_dagster_is_down(
    database: Database, add_pages: AddPages
) -> None:
    add_pages()
    old = ago(hours=5)
    change(database, "update facebook_pages set last_synced_at = %s, updated_at = %s", old, old)
    assert "Is Dagster running?" in alert(database, "page_stale").summary
    record_heartbeat(database, "dagster")
    # After an outage of Dagster all pages are stale; their time counts from its return.
    assert kinds_once_closed(database) == []
    change(database, "update heartbeats set since = now() - interval '2 hours'")
    assert "Dagster is running:" in alert(database, "page_stale").summary
    change(database, "update heartbeats set at = now() - interval '2 hours'")
    assert "Dagster seems to be down" in alert(database, "page_stale").summary
    change(database, "update facebook_pages set last_synced_at = now()")
    assert kinds_once_closed(database) == [("dagster_down", None)]


def test_a_long_full_walk_does_not_make_its_page_stale(
    database: Database, add_pages: AddPages
) -> None:
    [page] = add_pages()
    old = ago(hours=5)
    change(database, "update facebook_pages set last_synced_at = %s, updated_at = %s", old, old)
    session(database, page, mode="full", step=500, updated_at=ago(minutes=5))
    assert kinds(database) == []


def test_a_page_that_waits_hours_for_meta_has_a_warning_only(
    engine: Engine, simulated: Simulated
) -> None:
    page, database = simulated.page, engine.database
    walk(engine, page.id)
    simulated.fault("messenger_limit", page=page.id, seconds=4 * 3600)
    assert walk(engine, page.id).has_more
    old = ago(hours=3)
    change(database, "update facebook_pages set last_synced_at = %s, updated_at = %s", old, old)
    change(database, "update sync_state set ended_at = %s where ended_at is not null", old)
    record_heartbeat(database, "dagster")
    change(database, "update heartbeats set since = now() - interval '9 hours'")
    waiting = alert(database, "page_stale")
    assert waiting.severity == "warning"
    assert "No action is needed" in waiting.summary
    change(database, "update alerts set sent_at = now()")
    # A scheduled run starts meanwhile, and is rate-limited again.
    with held_lease(database, page.id, "scheduled") as fence:
        open_session(database, page.id, fence, "incremental", "scheduled", None)
        assert alert(database, "page_stale").severity == "warning"
    change(database, "update sync_state set not_before = now()")
    late = alert(database, "page_stale")
    assert (late.severity, late.sent_at) == ("error", None), "it is sent again"
    assert {one.kind for one in list_alerts(database)} == {"page_stale"}


def test_a_page_with_a_new_token_is_not_stuck_at_once_for_its_old_session(
    engine: Engine, simulated: Simulated
) -> None:
    page, database = simulated.page, engine.database
    walk(engine, page.id, max_conversations=30)
    old = ago(days=2)
    change(database, "update sync_state set not_before = %s, updated_at = %s", old, old)
    pages.set_page_status(database, page.id, "needs_reauthorization")
    pages.register_page(
        database, page.id, name=None, user_id=None, platform=None,
        token_encrypted=engine.vault.encrypt(page.token),
    )  # fmt: skip
    assert kinds(database) == []
    change(database, "update sync_state set not_before = now() - interval '61 minutes'")
    assert kinds(database) == [("sync_stuck", page.id)]


def test_dagster_is_down_only_after_its_first_heartbeat(database: Database) -> None:
    assert kinds(database) == []
    record_heartbeat(database, "dagster")
    assert kinds(database) == []
    change(database, "update heartbeats set at = now() - interval '181 s'")
    assert alert(database, "dagster_down").severity == "error"
    record_heartbeat(database, "dagster")
    assert kinds_once_closed(database) == []


def test_deliveries_that_wait_for_two_minutes_open_an_alert(
    database: Database, add_pages: AddPages
) -> None:
    [page] = add_pages()
    inbox.receive(database, [body(text(0, "m", "hi", page=page), page=page)])
    assert kinds(database) == []
    change(database, "update webhook_inbox set not_before = now() - interval '121 s'")
    assert alert(database, "inbox_lag").page_id is None
    drain_batch(database)
    assert kinds_once_closed(database) == []


def quarantined(
    database: Database, page: str, count: int, first: str, last: str, seen: int
) -> None:
    change(
        database,
        "insert into quarantined_records (page_id, source, identity, reason, record,"
        " first_seen_at, last_seen_at, seen_count) select %s, 'sync', %s || n, 'no time', '{}',"
        " now() - %s::interval, now() - %s::interval, %s from generate_series(1, %s) n",
        page, first + last, first, last, seen, count,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "alerted"),
    [
        ([(9, "5 min", "5 min", 1)], False),
        ([(10, "5 min", "5 min", 1)], True),
        ([(10, "2 hours", "5 min", 2)], True),  # seen again, but rarely before
        ([(50, "9 days", "5 min", 900)], False),  # each sync finds them again
        ([(50, "9 days", "5 min", 900), (300, "5 min", "5 min", 1)], True),
        ([(20, "5 min", "5 min", 1), (240, "5 hours", "5 hours", 1)], False),  # ten an hour
        ([(51, "5 min", "5 min", 1), (240, "5 hours", "5 hours", 1)], True),
        ([(500, "2 hours", "2 hours", 1)], False),
    ],
)
def test_a_spike_of_quarantined_records_opens_an_alert(
    database: Database, add_pages: AddPages, rows: list[tuple[int, str, str, int]], alerted: bool
) -> None:
    [page] = add_pages()
    for row in rows:
        quarantined(database, page, *row)
    lasting = ("records_quarantined", page)
    assert kinds(database) == ([("quarantine_spike", page)] if alerted else []) + [lasting]
    change(database, "update quarantined_records set last_seen_at = now() - interval '2 hours',"
                     " first_seen_at = first_seen_at - interval '2 hours'")  # fmt: skip
    assert kinds_once_closed(database) == [lasting]


def test_few_quarantined_records_on_each_of_many_pages_are_one_alert(
    database: Database, add_pages: AddPages
) -> None:
    for page in add_pages(12):
        quarantined(database, page, 2, "5 min", "5 min", 1)
    found = alert(database, "quarantine_spike")
    assert found.page_id is None
    assert found.summary.startswith("All pages together: 24 records")


def test_quarantined_records_have_an_alert_until_they_are_resolved_or_discarded(
    database: Database, add_pages: AddPages
) -> None:
    [page] = add_pages()
    quarantined(database, page, 12, "5 min", "5 min", 1)
    quarantined(database, "", 1, "5 min", "5 min", 1)
    assert kinds(database) == [
        ("quarantine_spike", page),
        ("records_quarantined", None),
        ("records_quarantined", page),
    ]
    ids = [one for (one,) in query(database, "select id from quarantined_records order by id")]
    assert discard_quarantined(database, ids[:11], "ann", "known") == 11
    assert kinds_once_closed(database) == [
        ("records_quarantined", None),
        ("records_quarantined", page),
    ], "one is left, and discarded ones are no spike"
    found = [one.summary for one in list_alerts(database)]
    assert any(f"Page {page}: 1 record is in quarantine since" in one for one in found)
    assert discard_quarantined(database, ids, "ann", "known") == 2
    assert kinds_once_closed(database) == []


def test_a_drain_that_fails_three_times_in_a_row_has_an_alert_until_it_works(
    database: Database,
) -> None:
    for _ in range(2):
        inbox.record_drain_failure(database, "the receiver's drain on a", "KeyError")
    assert kinds(database) == []
    inbox.record_drain_failure(database, "the receiver's drain on a", "the schema is old")
    found = alert(database, "drain_failing")
    assert (found.page_id, found.severity) == (None, "error")
    assert "by the receiver's drain on a since" in found.summary
    assert "3 times in a row" in found.summary
    assert found.summary.endswith("The last error: the schema is old")
    inbox.record_drain_success(database, "the receiver's drain on a")
    assert kinds_once_closed(database) == []


def test_the_failures_of_a_receiver_that_was_removed_are_no_alert_after_a_while(
    database: Database,
) -> None:
    inbox.record_drain_failure(database, "the receiver's drain on a", "KeyError", 8)
    assert kinds(database) == [("drain_failing", None)]
    change(database, "update drain_failures set at = now() - interval '16 minutes'")
    assert kinds_once_closed(database) == []


def test_a_check_that_fails_neither_opens_nor_closes_its_alerts_and_stops_no_other(
    database: Database, add_pages: AddPages
) -> None:
    [page, *_] = add_pages(2)
    expire_tokens(database)
    quarantined(database, "", 1, "5 min", "5 min", 1)
    before = kinds(database)
    with database.transaction() as connection:
        connection.execute(
            "create or replace function find_page_conditions() returns table (kind text,"
            " page_id text, severity text, summary text, details jsonb) language plpgsql as"
            " $$ begin raise exception 'broken'; end $$"
        )
    renew = "update facebook_pages set status = 'active' where facebook_page_id = %s"
    change(database, renew, page)
    change(database, "update quarantined_records set resolved_at = now()")
    inbox.record_drain_failure(database, "a drain", "KeyError", 3)
    assert kinds_once_closed(database) == sorted(
        [
            *(one for one in before if one[0] == "page_needs_reauthorization"),
            ("alert_check_failing", None),
            ("drain_failing", None),
        ]
    )
    assert "find_page_conditions" in alert(database, "alert_check_failing").summary


@pytest.mark.parametrize("which", ["expires_at", "data_access_expires_at"])
def test_an_expiring_token_is_a_warning_and_an_error_on_its_last_day(
    engine: Engine, simulated: Simulated, which: str
) -> None:
    page, database = simulated.page, engine.database

    def expire_in(**span: float) -> None:
        at = int((datetime.now(UTC) + timedelta(**span)).timestamp())
        simulated.admin("POST", f"pages/{page.id}/token", {which: at})
        check(engine, page.id)

    expire_in(days=8)
    assert kinds(database) == []
    expire_in(days=6.9)
    opened = alert(database, "token_expiring")
    assert opened.severity == "warning"
    change(database, "update alerts set sent_at = now()")
    expire_in(hours=23)
    last = alert(database, "token_expiring")
    assert (last.id, last.severity, last.sent_at) == (opened.id, "error", None), "it is sent again"
    # A new token closes the alert, even before it is checked.
    pages.register_page(
        database, page.id, name=None, user_id=None, platform=None,
        token_encrypted=engine.vault.encrypt(page.token),
    )  # fmt: skip
    assert kinds_once_closed(database) == []
    simulated.admin("POST", f"pages/{page.id}/token", {which: 0})
    check(engine, page.id)
    assert kinds_once_closed(database) == []


@pytest.mark.parametrize(
    ("subscription", "alerted"),
    [
        ({"subscribed": True}, False),
        ({"subscribed": False}, True),
        ({"subscribed": True, "fields": ["messages"]}, False),
        ({"subscribed": True, "fields": ["message_reads"]}, True),
        ({"subscribed": True, "fields": []}, True),
    ],
)
def test_a_lost_subscription_opens_an_alert(
    engine: Engine, simulated: Simulated, subscription: dict[str, Any], alerted: bool
) -> None:
    page, database = simulated.page, engine.database
    check(engine, page.id)
    simulated.admin("POST", f"pages/{page.id}/subscription", subscription)
    check(engine, page.id)
    assert kinds(database) == ([("page_not_subscribed", page.id)] if alerted else [])
    simulated.admin("POST", f"pages/{page.id}/subscription", {"subscribed": True})
    check(engine, page.id)
    assert kinds_once_closed(database) == []


def test_a_page_counts_as_unsubscribed_only_after_a_first_webhook(
    engine: Engine, simulated: Simulated
) -> None:
    page, database = simulated.page, engine.database
    simulated.admin("POST", f"pages/{page.id}/subscription", {"subscribed": False})
    check(engine, page.id)
    assert kinds(database) == []
    inbox.receive(database, [body(text(0, "m", "hi", page=page.id), page=page.id)])
    drain_batch(database)
    assert kinds(database) == [("page_not_subscribed", page.id)]


def test_a_subscription_that_no_check_has_seen_opens_no_alert(
    engine: Engine, simulated: Simulated
) -> None:
    page, database = simulated.page, engine.database
    inbox.receive(database, [body(text(0, "m", "hi", page=page.id), page=page.id)])
    drain_batch(database)
    simulated.admin("POST", f"pages/{page.id}/token", {"state": "expired"})
    check(engine, page.id)
    assert kinds(database) == []


def test_a_condition_that_flaps_is_one_alert(database: Database) -> None:
    for _ in range(5):
        change(
            database,
            "insert into heartbeats values ('dagster', now() - interval '1 h', now())"
            " on conflict (name) do update set at = excluded.at",
        )
        assert kinds(database) == [("dagster_down", None)]
        record_heartbeat(database, "dagster")
        for _ in range(3):
            assert kinds(database) == [("dagster_down", None)]
    assert query(database, "select count(*), max(gone_at) is not null from alerts") == [(1, True)]
    assert kinds_once_closed(database) == []
    assert list_alerts(database) == []


def test_alerts_are_listed_with_errors_first_and_closed_ones_last(
    database: Database, add_pages: AddPages
) -> None:
    add_pages(2)
    rows = [
        ("a", "warning", "1 hour", None), ("b", "error", "2 hours", None),
        ("c", "error", "1 hour", None), ("d", "error", "9 hours", "1 hour"),
        ("e", "error", "9 hours", "30 minutes"),
    ]  # fmt: skip
    for kind, severity, opened, closed in rows:
        change(
            database,
            "insert into alerts (kind, page_id, severity, summary, opened_at, closed_at) values"
            " (%s, '100', %s, '', now() - %s::interval, now() - %s::interval)",
            kind, severity, opened, closed,
        )  # fmt: skip
    assert [one.kind for one in list_alerts(database)] == ["c", "b", "a"]
    everything = [one.kind for one in list_alerts(database, open_only=False)]
    assert everything == ["c", "b", "a", "e", "d"]
    assert [one.kind for one in list_alerts(database, open_only=False, limit=4)] == everything[:4]


def test_concurrent_evaluations_open_each_alert_once(
    url: str, database: Database, add_pages: AddPages
) -> None:
    add_pages(200)
    change(database, "update facebook_pages set status = 'needs_reauthorization'")
    together = threading.Barrier(5)
    found: list[Any] = []

    def evaluate() -> None:
        with Database(url, timeout=10, size=1) as own:
            together.wait()
            found.append(update_alerts(own))

    threads = [threading.Thread(target=evaluate) for _ in range(5)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(found) == 5
    assert sum(one.opened for one in found if one) == 200
    assert query(database, "select count(*) from alerts") == [(200,)]
