"""Alerts in Dagster: the sensor, the daily page checks and their schedule, and retention."""

from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from messenger_pipeline.db import pages
from messenger_pipeline.db.alerts import list_alerts
from messenger_pipeline.db.pool import Database
from messenger_pipeline.definitions import defs
from messenger_pipeline.defs.alerts import alerts
from messenger_pipeline.defs.page_checks import check_pages_schedule
from messenger_pipeline.defs.resources import Pipeline
from messenger_pipeline.errors import ConfigurationError
from tests.alerting.notifier_stub import NotifierStub
from tests.conftest import Simulated
from tests.db.test_load import query
from tests.walking import let_a_minute_pass


def tick(instance: dg.DagsterInstance) -> str:
    context = dg.build_sensor_context(
        instance=instance, resources={"pipeline": Pipeline()}, definitions=defs
    )
    return alerts.evaluate_tick(context).skip_message or ""


def tick_schedule(instance: dg.DagsterInstance) -> Any:
    context = dg.build_schedule_context(
        instance=instance,
        resources={"pipeline": Pipeline()},
        repository_def=defs.get_repository_def(),
        scheduled_execution_time=datetime(2026, 5, 3, 3, tzinfo=UTC),
    )
    return check_pages_schedule.evaluate_tick(context).run_requests


def check_pages(instance: dg.DagsterInstance, **config: Any) -> dg.ExecuteInProcessResult:
    return defs.resolve_job_def("check_pages").execute_in_process(
        instance=instance, run_config={"ops": {"check_pages_due": {"config": config}}}
    )


def test_the_sensor_records_a_heartbeat_and_sends_new_alerts(
    instance: dg.DagsterInstance,
    registered: Simulated,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert tick(instance) == "0 open, 0 new, 0 closed. 0 messages sent."
    assert query(database, "select name from heartbeats") == [("dagster",)]
    pages.set_page_status(database, registered.page.id, "needs_reauthorization", "it expired")
    with NotifierStub().serving() as notifier:
        monkeypatch.setenv("MESSENGER_ALERT_URL", notifier.url)
        assert tick(instance) == "1 open, 1 new, 0 closed. 1 message sent."
        assert tick(instance) == "1 open, 0 new, 0 closed. 0 messages sent."
        assert len(notifier.messages) == 1


def test_an_unreachable_notifier_fails_no_tick(
    instance: dg.DagsterInstance,
    registered: Simulated,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MESSENGER_ALERT_URL", "http://127.0.0.1:1/services/secret")
    pages.set_page_status(database, registered.page.id, "needs_reauthorization", "it expired")
    summary = tick(instance)
    assert summary.startswith("1 open, 1 new")
    assert "could not be sent: the notifier cannot be reached" in summary
    assert "services" not in summary


def test_an_invalid_url_fails_the_tick_by_its_settings_name(
    instance: dg.DagsterInstance, registered: Simulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MESSENGER_ALERT_URL", "no-address/secret")
    with pytest.raises(Exception, match="MESSENGER_ALERT_URL") as raised:
        tick(instance)
    cause = raised.value.__cause__ or raised.value
    assert isinstance(cause, ConfigurationError)
    assert "no-address" not in str(cause)


def test_new_pages_are_checked_at_once_and_then_daily(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    first = registered.page
    registered.admin("POST", f"pages/{first.id}/token", {"state": "expired"})
    assert len(tick_schedule(instance)) == 1
    result = check_pages(instance)
    assert result.success
    [output] = [one for one in result.all_node_events if one.is_successful_output]
    metadata = {name: one.value for name, one in output.step_output_data.metadata.items()}
    assert (metadata["pages"], metadata["dead"], metadata["left"]) == (2, 1, 0)
    assert tick_schedule(instance) == []
    # The refusal is confirmed an hour later.
    let_a_minute_pass(database)
    query(database, "update page_checks set checked_at = now() - interval '61 minutes' returning 1")
    assert len(tick_schedule(instance)) == 1
    assert check_pages(instance).success
    assert pages.get_page(database, first.id).status == "needs_reauthorization"
    assert tick_schedule(instance) == []
    tick(instance)
    assert [one.kind for one in list_alerts(database)] == ["page_needs_reauthorization"]

    query(database, "update page_checks set checked_at = now() - interval '25 hours' returning 1")
    assert len(tick_schedule(instance)) == 1
    instance.add_run(dg.DagsterRun(job_name="check_pages", status=dg.DagsterRunStatus.STARTED))
    assert tick_schedule(instance) == [], "a run is unfinished"


def test_one_page_can_be_checked_on_demand(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    page = registered.pages[1]
    for _ in range(2):
        assert check_pages(instance, page_id=page.id).success
    assert query(database, "select page_id from page_checks") == [(page.id,)]


def test_housekeeping_deletes_old_webhook_counts_and_alerts(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    now = datetime.now(UTC)
    for days in (29, 31):
        at = now - timedelta(days=days)
        query(
            database,
            "insert into webhook_hourly_counts values ('1', %s, 1, %s, %s) returning 1", at, at, at,
        )  # fmt: skip
    closed: tuple[int | None, ...] = (89, 91, None)
    for ended in closed:
        query(
            database,
            "insert into alerts (kind, page_id, severity, summary, opened_at, closed_at) values"
            " ('a', %s, 'error', '', now() - interval '1 year', %s) returning 1",
            str(ended), now - timedelta(days=ended) if ended else None,
        )  # fmt: skip
    result = defs.resolve_job_def("housekeeping").execute_in_process(instance=instance)
    assert result.success
    assert query(database, "select count(*) from webhook_hourly_counts") == [(1,)]
    assert query(database, "select page_id from alerts order by 1") == [("89",), ("None",)]
