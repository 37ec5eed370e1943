"""The logs of a run: in its record, and as JSON lines on standard error."""

import json
import logging
from typing import Any

import dagster as dg

from messenger_pipeline.definitions import defs
from messenger_pipeline.defs import launch
from messenger_pipeline.defs.jobs import sync_config
from messenger_pipeline.defs.tags import CAUSE
from messenger_pipeline.redaction import kept_secret
from tests.conftest import Simulated

CANARY = "EAABcanary0123"


def printed(instance: dg.DagsterInstance, run_id: str) -> str:
    """What a run's step wrote on standard error. Dagster redirects it to a file, and ends the
    process that copies the file to our own standard error without waiting for its last lines."""
    [captured] = instance.get_records_for_run(
        run_id, of_type=dg.DagsterEventType.LOGS_CAPTURED
    ).records
    files = instance.compute_log_manager
    file_key = captured.event_log_entry.get_dagster_event().logs_captured_data.file_key
    found = files.get_log_data(files.build_log_key_for_run(run_id, file_key))
    return (found.stderr or b"").decode()


def lines(instance: dg.DagsterInstance, run_id: str) -> list[dict[str, Any]]:
    """The lines of a run's step on standard error; each must be JSON."""
    return [json.loads(line) for line in printed(instance, run_id).splitlines()]


def logged(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    """The messages in a run's record, without Dagster's own events."""
    records = instance.get_records_for_run(run_id, limit=1_000).records
    entries = [record.event_log_entry for record in records]
    return [entry.user_message for entry in entries if entry.dagster_event is None]


def run_page(instance: dg.DagsterInstance, page_id: str) -> dg.ExecuteInProcessResult:
    instance.add_dynamic_partitions("facebook_pages", [page_id])
    return defs.resolve_job_def("sync_page").execute_in_process(
        instance=instance,
        partition_key=page_id,
        run_config=sync_config(mode="auto"),
        tags={CAUSE: "schedule"},
        raise_on_error=False,
    )


def test_a_runs_lines_are_json_with_the_run_and_the_page(
    instance: dg.DagsterInstance, registered: Simulated
) -> None:
    result = run_page(instance, registered.page.id)
    found = lines(instance, result.run_id)
    assert found
    assert {(line["process"], line["run_id"], line["page_id"], line["job"], line["cause"])
            for line in found} == {
        ("run", result.run_id, registered.page.id, "sync_page", "schedule")
    }  # fmt: skip
    started = next(line for line in found if "starting a full sync" in line["event"])
    assert started["logger"].startswith("messenger_pipeline.")
    assert started["level"] == "info"
    assert any("full sync complete" in line["event"] for line in found)


def test_the_runs_record_has_the_lines_of_our_modules_from_every_thread(
    instance: dg.DagsterInstance, registered: Simulated
) -> None:
    # Answers are fetched in another thread.
    registered.fault("code_2", times=1)
    result = run_page(instance, registered.page.id)
    found = logged(instance, result.run_id)
    assert any("starting a full sync" in one for one in found)
    assert any("retrying in" in one for one in found)
    again = [line for line in lines(instance, result.run_id) if "retrying in" in line["event"]]
    assert {(line["logger"], line["run_id"]) for line in again} == {
        ("messenger_pipeline.graph.client", result.run_id)
    }


def test_a_failed_run_logs_its_error_in_one_line(
    instance: dg.DagsterInstance, registered: Simulated
) -> None:
    registered.page.access = "expired"
    result = run_page(instance, registered.page.id)
    found = lines(instance, result.run_id)
    [failed] = [line for line in found if line.get("dagster_event") == "STEP_FAILURE"]
    assert failed["level"] == "error"
    assert "Error validating access token" in failed["exception"]


def test_the_command_line_logs_to_the_record_only(
    instance: dg.DagsterInstance, registered: Simulated
) -> None:
    run_id = "00000000-0000-4000-8000-000000000001"
    launch.run_sync(
        registered.page.id, mode="auto", max_conversations=None, max_seconds=None, run_id=run_id
    )
    assert printed(instance, run_id) == ""
    assert any("starting a full sync" in one for one in logged(instance, run_id))


def test_a_secret_reaches_neither_the_record_nor_standard_error(
    instance: dg.DagsterInstance,
) -> None:
    @dg.op
    def leak() -> None:
        ours = logging.getLogger("messenger_pipeline.canary")
        ours.info("token %s and access_token=%s", CANARY, "other-canary", extra={"one": CANARY})
        try:
            raise RuntimeError(CANARY)
        except RuntimeError:
            ours.exception("it failed with %s", CANARY)

    @dg.job(logger_defs=dict(defs.loggers or {}), config={"loggers": {"console": {"config": {}}}})
    def leaking() -> None:
        leak()

    with kept_secret(CANARY):
        result = leaking.execute_in_process(instance=instance)
    found = lines(instance, result.run_id)
    ours = [line for line in found if line["logger"] == "messenger_pipeline.canary"]
    messages = logged(instance, result.run_id)
    assert [line["event"] for line in ours] == messages
    assert messages == ["token *** and access_token=***", "it failed with ***"]
    assert "canary0" not in json.dumps(ours)
    assert "RuntimeError: ***" in ours[1]["exception"]


def test_jobs_without_a_page_print_json_lines_too(
    instance: dg.DagsterInstance, registered: Simulated
) -> None:
    result = defs.resolve_job_def("housekeeping").execute_in_process(instance=instance)
    assert result.success
    found = lines(instance, result.run_id)
    assert any("sync sessions that ended" in line["event"] for line in found)
    assert {line["job"] for line in found} == {"housekeeping"}
