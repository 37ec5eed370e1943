"""The drain in Dagster: asset, sensor, checks and retention on a real instance."""

from datetime import timedelta
from typing import Any

import dagster as dg
import pytest

from messenger_pipeline.db import inbox
from messenger_pipeline.db.pool import Database
from messenger_pipeline.definitions import defs
from messenger_pipeline.defs.resources import Pipeline
from messenger_pipeline.defs.webhooks import pause_after_failures, webhook_inbox
from tests.conftest import Simulated
from tests.db.test_load import query
from tests.webhook.bodies import body, item, text


def drain(instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    return defs.resolve_job_def("drain_webhooks").execute_in_process(instance=instance)


def tick(instance: dg.DagsterInstance) -> Any:
    context = dg.build_sensor_context(
        instance=instance, resources={"pipeline": Pipeline()}, definitions=defs
    )
    return webhook_inbox.evaluate_tick(context)


def delivery(page_id: str) -> bytes:
    return body(text(1, "m1", "hi", page=page_id), page=page_id)


def age(database: Database, seconds: float) -> None:
    """Move the receipt of all deliveries into the past."""
    query(
        database,
        "update webhook_inbox set received_at = received_at - %s, not_before = not_before - %s"
        " returning id",
        timedelta(seconds=seconds),
        timedelta(seconds=seconds),
    )


def test_one_run_applies_all_due_deliveries_and_reports_its_figures(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    page, other = (page.id for page in registered.pages)
    bodies = [body(text(n, f"m{n}", "hi", page=page), page=page) for n in range(250)]
    bodies.append(body(text(1, "m1", "hi", page=other), page=other))
    bodies.append(body(text(1, "m1", "hi", page="999"), page="999"))
    bodies.append(b'{"object": "page", "entry": [{"id": "1", "changes": [{"field": "feed"}]}]}')
    bodies.append(b"not JSON")
    inbox.receive(database, bodies)

    assert tick(instance).run_requests == [], "the receiver gets two seconds"
    age(database, 3)
    assert len(tick(instance).run_requests) == 1

    result = drain(instance)
    assert result.success
    [found] = result.asset_materializations_for_node("webhook_deliveries")
    figures: dict[str, Any] = {name: value.value for name, value in found.metadata.items()}
    expected = {
        "deliveries": 254, "done": 251, "ignored": 1, "failed": 1, "waiting_for_pages": 1,
        "retry": 0, "events_created": 251, "conversations_inserted": 2, "quarantined": 1,
        "waiting_deliveries": 0, "oldest_waiting": None,
        "events_by_type": {"message_received": 251},
        "ignored_items": {"the change is of feed, not of messaging": 1},
    }  # fmt: skip
    assert {name: figures[name] for name in expected} == expected
    assert figures["lag_seconds"] >= 3
    assert tick(instance).run_requests == []


def test_no_second_run_is_requested_while_one_is_unfinished(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    inbox.receive(database, [delivery(registered.page.id)])
    age(database, 3)
    run = instance.create_run_for_job(
        defs.resolve_job_def("drain_webhooks"), status=dg.DagsterRunStatus.STARTED
    )
    assert "A run is applying the 1 due" in tick(instance).skip_message
    instance.delete_run(run.run_id)
    assert len(tick(instance).run_requests) == 1


@pytest.mark.parametrize(
    ("failures", "seconds"), [(0, 0), (1, 10), (2, 20), (3, 40), (6, 300), (10, 300)]
)
def test_runs_that_fail_wait_longer_each_time(failures: int, seconds: float) -> None:
    assert pause_after_failures(failures) == seconds


def test_runs_that_fail_are_started_with_pauses_and_open_an_alert_until_one_works(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    """Also a run that fails because its process is killed, which can record nothing itself."""
    inbox.receive(database, [delivery(registered.page.id)])
    age(database, 3)
    job = defs.resolve_job_def("drain_webhooks")
    for failures in range(1, 4):
        run = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
        instance.report_run_failed(run)
        assert f"The last {failures} runs failed." in tick(instance).skip_message
    [failing] = inbox.list_failing_drains(database)
    assert (failing.name, failing.failures) == ("Dagster's job drain_webhooks", 3)
    assert drain(instance).success
    assert inbox.list_failing_drains(database) == []
    assert "No delivery is due" in tick(instance).skip_message


def test_new_contacts_get_the_names_that_meta_returns(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    page, world = registered.page, registered.world
    contacts = {(one := world.contact(page, n))["id"]: one["name"] for n in range(5)}
    inbox.receive(
        database,
        [
            body(
                item(1, sender=one, page=page.id, message={"mid": one, "text": "hi"}), page=page.id
            )
            for one in [*contacts, "404"]
        ],
    )
    assert drain(instance).success
    stored = dict(query(database, "select sender_id, sender_name from messenger_conversations"))
    assert stored.pop("404") is None, "Meta does not know this contact; its message is stored"
    names = {one: name for one, name in stored.items() if name is not None}
    assert names
    assert names.items() <= contacts.items()


@pytest.mark.parametrize(("waited", "severity"), [(0, None), (90, "WARN"), (900, "ERROR")])
def test_the_lag_check_fails_if_deliveries_are_overdue(
    instance: dg.DagsterInstance, registered: Simulated, database: Database,
    waited: int, severity: str | None,
) -> None:  # fmt: skip
    inbox.receive(database, [delivery(registered.page.id)])
    age(database, waited)
    found = check(instance, "webhook_lag")
    assert found.passed is (severity is None)
    assert severity in (None, found.severity.value)
    assert found.metadata["waiting_deliveries"].value == 1


def test_the_quarantine_check_fails_if_many_deliveries_are_unusable(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    inbox.receive(database, [b"not JSON"] * 4)
    drain(instance)
    assert check(instance, "webhook_quarantine_rate").passed, "four prove no rate"
    inbox.receive(database, [b"not JSON"])
    drain(instance)
    found = check(instance, "webhook_quarantine_rate")
    assert not found.passed
    assert found.severity.value == "ERROR"


def check(instance: dg.DagsterInstance, name: str) -> Any:
    result = defs.resolve_job_def("check_tables").execute_in_process(
        instance=instance, raise_on_error=False
    )
    [found] = [one for one in result.get_asset_check_evaluations() if one.check_name == name]
    return found


def test_housekeeping_deletes_deliveries_after_their_retention(
    instance: dg.DagsterInstance,
    registered: Simulated,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inbox.receive(database, [delivery(registered.page.id)] * 2)
    drain(instance)
    query(
        database,
        "update webhook_inbox set settled_at = now() - interval '2 days' where id = 1 returning id",
    )
    monkeypatch.setenv("MESSENGER_WEBHOOK_RETENTION_DAYS", "3")
    job = defs.resolve_job_def("housekeeping")
    job.execute_in_process(instance=instance)
    assert query(database, "select count(*) from webhook_inbox") == [(2,)]
    monkeypatch.setenv("MESSENGER_WEBHOOK_RETENTION_DAYS", "1.5")
    job.execute_in_process(instance=instance)
    assert query(database, "select id from webhook_inbox") == [(2,)]
