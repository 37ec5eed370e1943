"""Launches that are wrong, or that ask for what is done already."""

import logging
from typing import Any

import dagster as dg
import pytest

from messenger_pipeline.db import pages
from messenger_pipeline.db.pool import Database
from messenger_pipeline.definitions import defs
from messenger_pipeline.errors import UsageError
from messenger_pipeline.sync.request import SyncRequest
from tests.conftest import Simulated
from tests.db.test_load import query
from tests.defs.test_definitions import KEYS, sync

UNKNOWN = "00000000-0000-4000-8000-000000000009"


def failure_of(result: dg.ExecuteInProcessResult) -> str | None:
    """The description of a run's only failure."""
    assert not result.success
    [failed] = result.get_step_failure_events()
    details = failed.step_failure_data.user_failure_data
    assert details is not None, failed.step_failure_data.error
    return details.description


def warnings_of(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    """The warnings in a run's log."""
    entries = [one.event_log_entry for one in instance.get_records_for_run(run_id).records]
    return [
        one.user_message
        for one in entries
        if one.dagster_event is None and one.level == logging.WARNING
    ]


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"max_conversations": 0}, "max_conversations is 0: give at least 1."),
        ({"max_conversations": -5}, "max_conversations is -5: give at least 1."),
        ({"max_seconds": 0.0}, "max_seconds is 0: give more than 0."),
        ({"max_seconds": float("nan")}, "max_seconds is nan: give more than 0."),
        ({"session": "nonsense"}, "The config's session is no session id, such as"),
        ({"session": UNKNOWN}, f"has no sync session {UNKNOWN}"),
    ],
)
def test_a_wrong_config_fails_the_run_with_one_sentence_and_walks_nothing(
    instance: dg.DagsterInstance,
    registered: Simulated,
    database: Database,
    config: dict[str, Any],
    sentence: str,
) -> None:
    result = sync(instance, registered.page.id, **config)
    assert sentence in (failure_of(result) or "")
    assert result.asset_materializations_for_node("sync_facebook_page") == []
    assert registered.calls() == []
    assert query(database, "select * from sync_state") == []
    assert query(database, "select * from sync_locks") == []


def test_an_unknown_mode_is_an_error_of_the_launchpad(
    instance: dg.DagsterInstance, registered: Simulated
) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError, match="mode not in enum type"):
        sync(instance, registered.page.id, mode="everything")
    assert instance.get_runs() == []


def test_a_run_without_a_page_or_with_several_fails_with_one_sentence(
    instance: dg.DagsterInstance, registered: Simulated
) -> None:
    job = defs.resolve_job_def("sync_page")
    one, other = (page.id for page in registered.pages)
    instance.add_dynamic_partitions("facebook_pages", [one, other])
    span = {
        "dagster/asset_partition_range_start": one,
        "dagster/asset_partition_range_end": other,
    }
    for tags in ({}, span):
        result = job.execute_in_process(instance=instance, tags=tags, raise_on_error=False)
        assert "launch a backfill" in (failure_of(result) or "")
    assert registered.calls() == []


def test_the_registrys_id_of_a_page_is_no_partition(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    page_id = registered.page.id
    [(registry_id,)] = query(
        database, "select id::text from facebook_pages where facebook_page_id = %s", page_id
    )
    assert failure_of(sync(instance, registry_id)) == (
        f"{registry_id} is another id of page {page_id}: use the latter."
    )


def test_one_of_the_two_assets_cannot_be_launched() -> None:
    job = defs.resolve_job_def("sync_page")
    with pytest.raises(dg.DagsterInvalidSubsetError, match="Please select all asset and check"):
        job.get_subset(asset_selection={dg.AssetKey("messenger_conversations")})
    assert job.get_subset(asset_selection=KEYS)


@pytest.mark.parametrize(
    "bounds", [{"max_conversations": 0}, {"max_seconds": 0}, {"max_seconds": float("nan")}]
)
def test_a_sync_refuses_bounds_that_no_walk_can_reach(bounds: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"is (0|nan): give"):
        SyncRequest("1", "run", **bounds)


def test_a_run_of_an_ended_session_says_that_it_did_nothing_and_materializes_nothing(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    """A continuation whose session was completed by another run meanwhile."""
    page_id = registered.page.id
    sync(instance, page_id)
    [(session, synced_at)] = query(
        database,
        "select sync_session_id::text, last_synced_at from sync_state join facebook_pages"
        " on facebook_page_id = page_id",
    )
    calls = len(registered.calls())

    result = sync(instance, page_id, session=session)
    assert result.success
    assert result.asset_materializations_for_node("sync_facebook_page") == []
    assert result.get_asset_check_evaluations() == []
    assert len(registered.calls()) == calls
    assert query(
        database, "select last_synced_at from facebook_pages where facebook_page_id = %s", page_id
    ) == [(synced_at,)]
    assert warnings_of(instance, result.run_id) == [
        f"Nothing was done: sync session {session} had already ended (completed). Without a"
        " session, a run fetches what is new."
    ]


def test_a_session_of_another_page_is_unknown(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    one, other = (page.id for page in registered.pages)
    sync(instance, other, max_conversations=1)
    [(session,)] = query(database, "select sync_session_id::text from sync_state")
    assert f"Page {one} has no sync session" in (
        failure_of(sync(instance, one, session=session)) or ""
    )


def test_re_executing_the_run_of_an_ended_session_starts_a_sync(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    page_id = registered.page.id
    first = sync(instance, page_id)
    [(session,)] = query(database, "select sync_session_id::text from sync_state")
    again = defs.resolve_job_def("sync_page").execute_in_process(
        instance=instance,
        partition_key=page_id,
        run_config={"ops": {"sync_facebook_page": {"config": {"session": session}}}},
        tags={"dagster/parent_run_id": first.run_id, "dagster/root_run_id": first.run_id},
    )
    assert {one.asset_key for one in again.asset_materializations_for_node("sync_facebook_page")}
    assert query(database, "select mode, outcome, run_id from sync_state order by started_at") == [
        ("full", "completed", first.run_id),
        ("incremental", "completed", again.run_id),
    ]
    run = instance.get_run_by_id(again.run_id)
    assert run is not None
    assert run.tags["messenger/session"] != session


@pytest.mark.parametrize(
    ("job", "op", "config", "sentence"),
    [
        ("drain_webhooks", "webhook_deliveries", {"max_seconds": 0.0}, "max_seconds is 0"),
        ("check_pages", "check_pages_due", {"max_seconds": -1.0}, "max_seconds is -1"),
        ("check_pages", "check_pages_due", {"page_id": "77"}, "Page 77 is not in"),
        ("check_pages", "check_pages_due", {"page_id": "1"}, "its status is paused"),
    ],
)  # fmt: skip
def test_no_other_run_succeeds_because_it_was_asked_for_nothing(
    instance: dg.DagsterInstance,
    registered: Simulated,
    database: Database,
    job: str,
    op: str,
    config: dict[str, Any],
    sentence: str,
) -> None:
    pages.register_page(
        database, "1", name=None, user_id=None, platform="messenger", token_encrypted="x"
    )
    pages.set_page_status(database, "1", "paused")
    result = defs.resolve_job_def(job).execute_in_process(
        instance=instance, run_config={"ops": {op: {"config": config}}}, raise_on_error=False
    )
    assert sentence in (failure_of(result) or "")
