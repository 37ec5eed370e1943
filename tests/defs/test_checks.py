"""Each check fails on its condition, with the documented severity, and passes otherwise."""

import os
from typing import Any

import dagster as dg
import pytest

from messenger_pipeline.db import pages
from messenger_pipeline.db.pool import Database
from messenger_pipeline.definitions import defs
from messenger_pipeline.engine import Engine
from messenger_pipeline.graph.client import GraphApi
from messenger_pipeline.vault import TokenVault
from tests.conftest import Simulated
from tests.db.test_load import query
from tests.defs.test_definitions import KEYS, sync
from tests.walking import walk

NEW = {
    "no_stale_page", "no_stuck_lease", "sync_not_truncated", "open_gaps", "sync_quarantine_rate",
    "message_counts_against_meta", "unknown_fields",
}  # fmt: skip


@pytest.fixture
def synced(database: Database, registered: Simulated) -> Simulated:
    """Both pages, each with one complete full sync: without Dagster, of which no check asks."""
    vault = TokenVault([os.environ["MESSENGER_TOKEN_KEY"]])
    engine = Engine(database, GraphApi(registered.url, "v26.0"), vault, 10_000)
    for page in registered.pages:
        walk(engine, page.id)
    return registered


def change(database: Database, statement: str, **values: Any) -> None:
    """Run a statement and assert that it changed a row."""
    with database.transaction() as connection:
        assert connection.execute(statement, values).rowcount > 0


def run_checks(instance: dg.DagsterInstance) -> dict[str, Any]:
    result = defs.resolve_job_def("check_tables").execute_in_process(instance=instance)
    assert result.success, "a failed check does not fail the run"
    return {one.check_name: one for one in result.get_asset_check_evaluations()}


def worst(evaluation: Any) -> list[dict[str, Any]]:
    return [record.data for record in evaluation.metadata["worst"].records]


def failing(evaluations: dict[str, Any]) -> dict[str, str]:
    return {name: one.severity.value for name, one in evaluations.items() if not one.passed}


def test_pages_that_were_just_synced_pass_every_check(
    instance: dg.DagsterInstance, synced: Simulated
) -> None:
    found = run_checks(instance)
    assert set(found) >= NEW
    assert failing(found) == {}
    assert found["message_counts_against_meta"].metadata["compared"].value == 168
    lags = worst(found["no_stale_page"])
    assert {row["page"] for row in lags} == {page.id for page in synced.pages}
    assert {row["late"] for row in lags} == {False}


def test_without_a_page_every_check_passes(
    instance: dg.DagsterInstance, database: Database, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MESSENGER_DATABASE_URL", url)
    assert failing(run_checks(instance)) == {}


@pytest.mark.parametrize(
    ("interval", "ago", "severity"),
    [
        ("15 minutes", "50 minutes", None),
        ("15 minutes", "70 minutes", "WARN"),
        ("1 minute", "20 minutes", None),  # many intervals, but under half an hour
        ("1 day", "3 days", None),
        ("15 minutes", "25 hours", "ERROR"),
    ],
)
def test_a_page_is_stale_by_its_own_interval(
    instance: dg.DagsterInstance, synced: Simulated, database: Database,
    interval: str, ago: str, severity: str | None,
) -> None:  # fmt: skip
    page = synced.page.id
    values = {"page": page, "interval": interval, "ago": ago}
    change(
        database,
        "update facebook_pages set sync_interval = %(interval)s::interval,"
        " last_synced_at = now() - %(ago)s::interval where facebook_page_id = %(page)s",
        **values,
    )
    change(
        database,
        "update sync_state set started_at = now() - %(ago)s::interval where page_id = %(page)s",
        **values,
    )
    found = run_checks(instance)["no_stale_page"]
    assert found.passed is (severity is None)
    assert severity in (None, found.severity.value)
    first = worst(found)[0]
    assert (first["page"], first["late"]) == (page, severity is not None)


def test_a_paused_page_and_one_in_its_first_walk_are_not_stale(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    new, paused = (page.id for page in registered.pages)
    change(database, "update facebook_pages set created_at = now() - interval '2 hours'")
    pages.set_page_status(database, paused, "paused")
    sync(instance, new, max_conversations=40)
    assert run_checks(instance)["no_stale_page"].passed
    change(database, "update sync_state set updated_at = now() - interval '1 hour'")
    found = run_checks(instance)["no_stale_page"]
    assert not found.passed, "it has loaded nothing for an hour"
    assert [row["page"] for row in worst(found)] == [new]


def test_incremental_syncs_during_a_long_full_walk_count_for_the_lag(
    instance: dg.DagsterInstance, synced: Simulated, database: Database
) -> None:
    change(database, "update facebook_pages set last_synced_at = now() - interval '3 hours'")
    assert run_checks(instance)["no_stale_page"].passed


@pytest.mark.parametrize(
    ("lease", "stuck"),
    [
        ("locked_at = now() - interval '1 hour', expires_at = now() + interval '1 minute'", False),
        ("locked_at = now() - interval '1 hour', expires_at = now() - interval '1 minute'", False),
        ("locked_at = now() - interval '1 hour', expires_at = now() - interval '6 minutes'", True),
    ],
)
def test_a_lease_that_expired_without_a_release_is_stuck(
    instance: dg.DagsterInstance, synced: Simulated, database: Database, lease: str, stuck: bool
) -> None:
    hold(database, synced.page.id)
    change(database, f"update sync_locks set {lease}")
    found = run_checks(instance)["no_stuck_lease"]
    assert found.passed is not stuck
    if stuck:
        assert found.severity.value == "ERROR"
        assert worst(found)[0]["run"] == "run-1"


@pytest.mark.parametrize(
    ("idle", "waits", "stuck"),
    [("14 minutes", None, False), ("16 minutes", None, True), ("16 minutes", "5 minutes", False)],
)
def test_a_lease_that_its_run_renews_without_loading_is_stuck(
    instance: dg.DagsterInstance, synced: Simulated, database: Database,
    idle: str, waits: str | None, stuck: bool,
) -> None:  # fmt: skip
    hold(database, synced.page.id)
    change(database, "update sync_locks set locked_at = now() - interval '1 hour'")
    change(
        database,
        "update sync_state set updated_at = now() - %(idle)s::interval,"
        " waiting_until = now() + %(waits)s::interval where run_id = 'run-1'",
        idle=idle,
        waits=waits,
    )
    assert run_checks(instance)["no_stuck_lease"].passed is not stuck


def hold(database: Database, page_id: str) -> None:
    """Let a run hold the page's lease and walk a session."""
    database.call("acquire_sync_lock", page_id=page_id, locked_by="run-1")
    change(
        database,
        "insert into sync_state (page_id, mode, run_id) values (%(page)s, 'incremental', 'run-1')",
        page=page_id,
    )


def test_a_truncated_sync_is_an_error_and_a_warning_lasts_until_the_next_sync_of_its_mode(
    instance: dg.DagsterInstance, synced: Simulated, database: Database
) -> None:
    change(database, "update sync_state set warning = 'too many are gone' where mode = 'full'")
    sync(instance, synced.page.id)  # an incremental one, which does not clear the warning
    found = run_checks(instance)["sync_not_truncated"]
    assert (found.passed, found.severity.value) == (False, "WARN")
    assert {(row["page"], row["reason"]) for row in worst(found)} == {
        (page.id, "too many are gone") for page in synced.pages
    }
    change(
        database,
        "update sync_state set outcome = 'truncated', truncated = 'dead cursor'"
        " where mode = 'full' and page_id = %(page)s",
        page=synced.page.id,
    )
    found = run_checks(instance)["sync_not_truncated"]
    assert found.severity.value == "ERROR"
    assert worst(found)[0]["reason"] == "dead cursor"
    for page in synced.pages:
        assert sync(instance, page.id, mode="full").success
    assert run_checks(instance)["sync_not_truncated"].passed


@pytest.mark.parametrize(("days", "severity"), [(0.9, None), (1.1, "WARN"), (7.1, "ERROR")])
def test_a_gap_that_is_open_for_over_a_day_fails_its_check(
    instance: dg.DagsterInstance, synced: Simulated, database: Database,
    days: float, severity: str | None,
) -> None:  # fmt: skip
    add_gap(database, days)
    found = run_checks(instance)["open_gaps"]
    assert found.passed is (severity is None)
    assert severity in (None, found.severity.value)
    change(database, "update thread_gaps set unreadable = true")
    found = run_checks(instance)["open_gaps"]
    assert found.passed
    assert found.metadata["unreadable"].value == 1


def add_gap(database: Database, days: float) -> None:
    change(
        database,
        "insert into thread_gaps (page_id, thread_id, sync_session_id, newest_time, opened_at)"
        " select t.page_id, t.thread_id, s.sync_session_id, now(),"
        " now() - %(days)s * interval '1 day' from messenger_threads t"
        " join sync_state s on s.page_id = t.page_id order by t.page_id, t.thread_id limit 1",
        days=days,
    )


@pytest.mark.parametrize(
    ("quarantined", "severity"), [(4, None), (20, None), (60, "WARN"), (2_000, "ERROR")]
)
def test_the_quarantine_rate_is_that_of_the_worst_page(
    instance: dg.DagsterInstance, synced: Simulated, database: Database,
    quarantined: int, severity: str | None,
) -> None:  # fmt: skip
    """Each page has about 2,700 records."""
    page = synced.page.id
    change(
        database,
        "update sync_state set quarantined = %(n)s where page_id = %(page)s",
        n=quarantined,
        page=page,
    )
    found = run_checks(instance)["sync_quarantine_rate"]
    assert found.passed is (severity is None)
    assert severity in (None, found.severity.value)
    assert [(row["page"], row["quarantined"]) for row in worst(found)] == [(page, quarantined)]
    change(database, "update sync_state set ended_at = now() - interval '3 hours'")
    assert run_checks(instance)["sync_quarantine_rate"].passed, "older than two hours"


def test_a_conversation_with_clearly_fewer_messages_than_meta_counts_is_a_warning(
    instance: dg.DagsterInstance, synced: Simulated, database: Database
) -> None:
    page = synced.page.id
    [(thread, contact, stored)] = query(
        database,
        "select t.thread_id, c.sender_id, c.message_count from messenger_threads t"
        " join messenger_conversations c on c.id = t.conversation_id where c.page_id = %s"
        " order by c.message_count desc limit 1",
        page,
    )
    assert stored > 90

    def let_meta_count(count: int) -> Any:
        change(
            database,
            "update messenger_threads set message_count = %(count)s where thread_id = %(thread)s",
            count=count,
            thread=thread,
        )
        return run_checks(instance)["message_counts_against_meta"]

    assert let_meta_count(stored + 9).passed, "Meta's count is an estimate"
    found = let_meta_count(stored * 2)
    assert (found.passed, found.severity.value) == (False, "WARN")
    assert worst(found) == [
        {"page": page, "conversations": 1, "stored": stored, "Meta counts": stored * 2,
         "example contact": contact}
    ]  # fmt: skip
    change(
        database,
        "insert into thread_gaps (page_id, thread_id, sync_session_id, newest_time, unreadable)"
        " select page_id, %(thread)s, sync_session_id, now(), true from sync_state"
        " where page_id = %(page)s limit 1",
        thread=thread,
        page=page,
    )
    assert run_checks(instance)["message_counts_against_meta"].passed, (
        "the gap explains what is missing"
    )


def test_an_unknown_field_is_a_warning(instance: dg.DagsterInstance, registered: Simulated) -> None:
    registered.fault("unknown_fields")
    sync(instance, registered.page.id)
    found = run_checks(instance)["unknown_fields"]
    assert (found.passed, found.severity.value) == (False, "WARN")
    assert {row["example page"] for row in worst(found)} == {registered.page.id}
    assert all(row["seen"] > 0 for row in worst(found))


def test_the_run_of_one_page_neither_runs_the_checks_of_all_nor_hides_their_results(
    instance: dg.DagsterInstance, synced: Simulated, database: Database
) -> None:
    """As in a backfill of thousands of pages, which selects the checks of its assets, too."""
    change(database, "update facebook_pages set last_synced_at = now() - interval '3 hours'")
    change(database, "update sync_state set started_at = now() - interval '3 hours'")
    assert failing(run_checks(instance)) == {"no_stale_page": "ERROR"}
    job = defs.resolve_implicit_global_asset_job_def()
    instance.add_dynamic_partitions("facebook_pages", [synced.page.id])
    result = job.execute_in_process(
        instance=instance, partition_key=synced.page.id, asset_selection=[*KEYS]
    )
    assert result.success
    assert [one.check_name for one in result.get_asset_check_evaluations()] == ["sync_complete"]


def test_every_check_documents_when_it_is_a_warning_or_an_error() -> None:
    specs = [spec for check in defs.asset_checks or [] for spec in check.check_specs]
    assert len(specs) == 12
    for spec in specs:
        assert "WARN" in (spec.description or "") or "ERROR" in (spec.description or ""), spec.name
