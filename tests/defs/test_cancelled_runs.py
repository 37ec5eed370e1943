"""A sync that a person cancels is parked; one that is ended otherwise is continued."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from messenger_pipeline.db import pages
from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.sync_requests import claim_requests, request_sync
from messenger_pipeline.definitions import defs
from messenger_pipeline.defs import launch
from messenger_pipeline.defs.runs import is_cancelled_by_person
from messenger_pipeline.defs.sensors import continue_open_syncs, reap_dead_runs
from messenger_pipeline.defs.tags import PARTITION, SESSION
from tests.conftest import Simulated
from tests.db.test_load import query
from tests.defs.test_definitions import sync, tick_sensor

RUN_ID = "00000000-0000-4000-8000-000000000001"


@contextmanager
def once_loading(
    instance: dg.DagsterInstance,
    database: Database,
    which: signal.Signals,
    report: Callable[[dg.DagsterRun], object] = lambda _run: None,
) -> Iterator[None]:
    """Signal this process when the first response is loaded; `report` the run to Dagster before."""

    def end() -> None:
        while not query(database, "select 1 from sync_state where total_synced > 0"):
            time.sleep(0.01)
        [run] = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
        report(run)
        os.kill(os.getpid(), which)

    thread = threading.Thread(target=end)
    thread.start()
    yield
    thread.join()


def state(database: Database) -> list[tuple[Any, ...]]:
    """The state of the only session, and whether the page is due within its sync interval."""
    return query(
        database,
        "select a.state, p.next_sync_at > now() + p.sync_interval - interval '1 minute'"
        " from active_syncs a join facebook_pages p on p.facebook_page_id = a.page_id",
    )


def make_due(database: Database) -> None:
    query(database, "update sync_state set not_before = now() - interval '1 second' returning 1")


@pytest.fixture
def slow(registered: Simulated, monkeypatch: pytest.MonkeyPatch) -> Simulated:
    """A page whose walk takes long enough to be cancelled."""
    monkeypatch.setenv("MESSENGER_CALLS_PER_SECOND", "2")
    return registered


def test_a_run_that_a_person_cancels_is_parked_until_a_person_goes_on(
    instance: dg.DagsterInstance,
    slow: Simulated,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page_id = slow.page.id
    with once_loading(instance, database, signal.SIGINT, instance.report_run_canceling):
        result = sync(instance, page_id)
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.status == dg.DagsterRunStatus.CANCELED
    assert state(database) == [("parked", True)]

    make_due(database)
    assert tick_sensor(continue_open_syncs, instance).run_requests == []
    monkeypatch.setenv("MESSENGER_CALLS_PER_SECOND", "1000")
    assert sync(instance, page_id).success
    assert query(database, "select outcome, parked_at, total_synced from sync_state") == [
        ("completed", None, 150)
    ]


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_ended_otherwise_is_partial_and_continued(
    instance: dg.DagsterInstance,
    slow: Simulated,
    database: Database,
    which: signal.Signals,
) -> None:
    """By a deployment, or the end of Dagster itself."""
    with once_loading(instance, database, which):
        result = sync(instance, slow.page.id)
    assert result.success
    [check] = result.get_asset_check_evaluations()
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert check.description == ("The sync is partial (stop requested). A continuation follows.")
    assert state(database)[0][0] == "resumable"
    assert len(tick_sensor(continue_open_syncs, instance).run_requests) == 1


def test_a_run_that_reaches_its_maximum_runtime_stays_failed_and_is_continued(
    instance: dg.DagsterInstance, slow: Simulated, database: Database
) -> None:
    """As Dagster's run monitoring ends it: it does not wait for the process."""

    def end(run: dg.DagsterRun) -> None:
        instance.report_run_canceling(run)
        instance.report_run_failed(run, "Exceeded maximum runtime of 3600 seconds.")

    with once_loading(instance, database, signal.SIGINT, end):
        result = sync(instance, slow.page.id)
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.status == dg.DagsterRunStatus.FAILURE
    assert state(database)[0][0] == "resumable"
    assert len(tick_sensor(continue_open_syncs, instance).run_requests) == 1


@pytest.mark.parametrize(
    ("which", "stopped", "expected"),
    [
        (signal.SIGINT, "cancelled; it is not continued automatically", "parked"),
        (signal.SIGTERM, "stop requested", "resumable"),
    ],
)
def test_ctrl_c_of_the_command_parks_the_sync_and_sigterm_does_not(
    instance: dg.DagsterInstance,
    slow: Simulated,
    database: Database,
    which: signal.Signals,
    stopped: str,
    expected: str,
) -> None:
    with once_loading(instance, database, which):
        figures = launch.run_sync(
            slow.page.id, mode="auto", max_conversations=None, max_seconds=None, run_id=RUN_ID
        )
    assert (figures["outcome"], figures["stopped"]) == ("partial", stopped)
    assert state(database)[0][0] == expected


def cancelled(
    instance: dg.DagsterInstance, page_id: str, run_id: str, **tags: str
) -> dg.DagsterRun:
    """A run that Dagster has cancelled, and whose process could record nothing."""
    run = instance.create_run_for_job(
        defs.resolve_job_def("sync_page"), run_id=run_id, tags={PARTITION: page_id, **tags}
    )
    instance.report_run_canceling(run)
    instance.report_run_canceled(run)
    return run


def test_the_sync_of_a_cancelled_run_whose_process_is_gone_is_parked(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    page_id = registered.page.id
    result = sync(instance, page_id, max_conversations=40)
    query(database, "update facebook_pages set next_sync_at = now() returning 1")
    query(database, "update sync_state set run_id = %s returning 1", RUN_ID)
    assert result.success
    cancelled(instance, page_id, RUN_ID)
    make_due(database)
    assert tick_sensor(continue_open_syncs, instance).run_requests == []
    assert state(database) == [("parked", True)]


def test_a_run_that_dies_while_a_person_cancels_it_is_cancelled_not_failed(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    page_id = registered.page.id
    sync(instance, page_id, max_conversations=40)
    query(database, "update sync_state set run_id = %s returning 1", RUN_ID)
    run = instance.create_run_for_job(
        defs.resolve_job_def("sync_page"), run_id=RUN_ID, tags={PARTITION: page_id}
    )
    instance.report_run_canceling(run)
    database.call("acquire_sync_lock", page_id=page_id, locked_by=RUN_ID)
    query(database, "update sync_locks set expires_at = now() - interval '31 s' returning 1")
    tick_sensor(reap_dead_runs, instance)
    found = instance.get_run_by_id(RUN_ID)
    assert found is not None
    assert found.status == dg.DagsterRunStatus.CANCELED
    make_due(database)
    assert tick_sensor(continue_open_syncs, instance).run_requests == []
    assert state(database)[0][0] == "parked"


def test_a_queued_continuation_or_request_that_a_person_cancels_does_not_come_back(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    page_id = registered.page.id
    requested = request_sync(
        database, page_id, mode="auto", session=None, max_conversations=None, requested_by="test"
    )
    session = str(requested.sync_session_id)
    [_claimed] = claim_requests(database, [])
    cancelled(instance, page_id, RUN_ID, **{SESSION: session})
    make_due(database)
    assert tick_sensor(continue_open_syncs, instance).run_requests == []
    assert query(database, "select error from sync_requests where ended_at is not null") == [
        ("The run of the requested sync was cancelled in Dagster.",)
    ]
    assert state(database) == [("parked", True)]
    # A new request is a person's decision, too.
    again = request_sync(
        database, page_id, mode="auto", session=None, max_conversations=None, requested_by="test"
    )
    assert str(again.sync_session_id) == session
    assert query(database, "select state from active_syncs") == [("requested",)]


def test_a_cancelled_run_is_judged_once(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    """A sync that a person has resumed since is not parked again by the same cancellation."""
    page_id = registered.page.id
    sync(instance, page_id, max_conversations=40)
    [(session,)] = query(database, "select sync_session_id::text from sync_state")
    cancelled(instance, page_id, RUN_ID, **{SESSION: session})
    sync(instance, page_id, max_conversations=40)
    make_due(database)
    assert len(tick_sensor(continue_open_syncs, instance).run_requests) == 1


def test_a_cancelled_run_with_a_tag_that_names_no_session_stops_no_continuation(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    page_id = registered.page.id
    cancelled(instance, "another", RUN_ID, **{SESSION: "nonsense"})
    sync(instance, page_id, max_conversations=40)
    make_due(database)
    assert len(tick_sensor(continue_open_syncs, instance).run_requests) == 1


def test_a_parked_full_sync_does_not_keep_the_weekly_one_away(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    page_id = registered.page.id
    sync(instance, page_id, max_conversations=40)
    assert page_id not in pages.list_pages_for_full_sync(database)
    query(database, "update sync_state set parked_at = now() returning 1")
    assert page_id in pages.list_pages_for_full_sync(database)


@pytest.mark.parametrize(
    ("minutes", "tags", "by_person"),
    [
        (59, {}, True),
        (61, {}, False),
        (61, {"dagster/max_runtime": "0"}, True),
        (2, {"dagster/max_runtime": "60"}, False),
        (2, {"dagster/max_runtime": "soon"}, True),
    ],
)
def test_dagster_cancels_runs_only_after_their_maximum_runtime(
    minutes: int, tags: dict[str, str], by_person: bool
) -> None:
    start, length = datetime(2026, 5, 1, tzinfo=UTC), timedelta(minutes=minutes)
    for status, end in (
        (dg.DagsterRunStatus.CANCELING, None),
        (dg.DagsterRunStatus.CANCELED, (start + length).timestamp()),
    ):
        record = dg.RunRecord(
            storage_id=1,
            dagster_run=dg.DagsterRun(job_name="sync_page", status=status, tags=tags),
            create_timestamp=start,
            update_timestamp=start,
            start_time=start.timestamp(),
            end_time=end,
        )
        assert is_cancelled_by_person(record, start + length, 3_600) == by_person
