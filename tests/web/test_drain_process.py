"""The receiver's drain: a process that is restarted with growing pauses, and says how it fails."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from messenger_pipeline.db import inbox
from messenger_pipeline.db.alerts import list_alerts, update_alerts
from messenger_pipeline.db.load import encode
from messenger_pipeline.db.pool import Database
from messenger_pipeline.web import drain_process
from messenger_pipeline.web.drain_process import DrainProcess
from messenger_pipeline.web.drain_state import DrainState
from tests.crash.receiver import environment as drain_environment
from tests.db.test_load import query
from tests.webhook.bodies import body, text
from tests.webhook.test_commands import until
from tests.webhook.test_drain import register

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The times at which a drain was started. Each exits at once."""
    times: list[float] = []
    popen = subprocess.Popen

    def start(arguments: list[str], **options: Any) -> Any:
        times.append(time.monotonic())
        if len(times) == 2:
            raise OSError("no process is left")
        return popen([sys.executable, "-c", "raise SystemExit(3)"], **options)

    monkeypatch.setattr(subprocess, "Popen", start)
    monkeypatch.setattr(drain_process, "_RESTART_SECONDS", (0.1, 0.4))
    return times


def test_restarts_wait_longer_each_time_up_to_a_limit(started: list[float]) -> None:
    """A process that cannot be started counts, too; so does a failure that cannot be recorded."""
    slept: list[float] = []
    reasons: list[str] = []
    sleep = asyncio.sleep

    loops: list[asyncio.AbstractEventLoop] = []

    async def record(seconds: float) -> None:
        if asyncio.get_running_loop() not in loops:
            await sleep(seconds)  # of a server in another thread
            return
        slept.append(seconds)
        await sleep(0)

    def report(reason: str) -> None:
        reasons.append(reason)
        raise AssertionError("it cannot be recorded")

    async def run() -> None:
        loops.append(asyncio.get_running_loop())
        process = DrainProcess(os.environ, on_failure=report)
        async with process.running():
            while len(slept) < 5:
                process.notify(1)
                await sleep(0.01)

    asyncio.sleep = record  # type: ignore[assignment]
    try:
        asyncio.run(run())
    finally:
        asyncio.sleep = sleep
    assert slept[:5] == [0.1, 0.2, 0.4, 0.4, 0.4]
    assert reasons[0] == "it exited with code 3"
    assert reasons[1].startswith("it could not be started: unforeseen OSError")


def run_worker(url: str, *, patch: str = "") -> "subprocess.Popen[bytes]":
    """The drain as a process; `patch` is code that runs first in it."""
    code = f"{patch}\nfrom messenger_pipeline.web import drain_worker as w\nw.main()"
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        env=drain_environment(url),
    )


@pytest.fixture
def worker(url: str) -> Any:
    processes: list[subprocess.Popen[bytes]] = []

    def start(patch: str = "") -> "subprocess.Popen[bytes]":
        processes.append(run_worker(url, patch=patch))
        return processes[-1]

    yield start
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
        process.kill()
        process.wait()


def test_a_drain_that_cannot_work_goes_on_trying_and_opens_an_alert_until_it_works(
    database: Database, worker: Start
) -> None:
    register(database)
    with database.transaction() as connection:
        connection.execute("alter table webhook_claims rename to moved")
    inbox.receive(database, [body(text(1, "m1", "a"))])
    patch = "import messenger_pipeline.web.drain_worker as w; w._FAILURE_SECONDS = (0.1, 0.2)"
    process = worker(patch)
    until(lambda: bool(inbox.list_failing_drains(database)))
    assert process.poll() is None, "it is the same process"
    update_alerts(database)
    [alert] = list_alerts(database)
    assert alert.kind == "drain_failing"
    assert "webhook_claims" in alert.summary
    with database.transaction() as connection:
        connection.execute("alter table moved rename to webhook_claims")
    until(lambda: query(database, "select state from webhook_inbox") == [("done",)])
    until(lambda: not inbox.list_failing_drains(database))


def test_a_drain_that_ends_by_sigterm_leaves_no_claim(database: Database, worker: Start) -> None:
    register(database)
    with database.transaction() as connection:
        connection.execute(
            "create function slow() returns trigger language plpgsql as"
            " $$ begin perform pg_sleep(30); return new; end $$;"
            "create trigger slow before insert on contact_interaction_events"
            " for each row execute function slow()"
        )
    process = worker()
    inbox.receive(database, [body(text(1, "m1", "a"))])
    sleeping = "select from pg_stat_activity where wait_event = 'PgSleep'"
    until(lambda: bool(query(database, sleeping)))
    assert query(database, "select deliveries from webhook_claims") == [([1],)]
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=30)
    assert query(database, "select deliveries from webhook_claims") == []


def test_a_drain_tries_quarantined_records_again_when_they_are_due(
    database: Database, worker: Start
) -> None:
    register(database)
    event = {
        "event_type": "message_received", "event_timestamp": "2026-05-01T12:00:00Z",
        "message_id": "m1", "metadata": {"source": "webhook", "text": "hi"},
    }  # fmt: skip
    record = {"sender_id": "20", "sender_name": None, "as_of": "2026-05-01T12:00:00Z"}
    one = {"source": "webhook", "kind": "event", "identity": "m1", "reason": "?"}
    database.call(
        "quarantine", page_id="10", records=encode([one | {"record": record | {"events": [event]}}])
    )
    query(database, "update quarantined_records set retry_at = now() returning id")
    worker()
    resolved = "select from quarantined_records where resolved_at is not null"
    until(lambda: bool(query(database, resolved)))
    assert query(database, "select message_id from event_facts") == [("m1",)]


def test_a_drain_with_wrong_settings_says_so_in_one_line(url: str, tmp_path: Path) -> None:
    process = subprocess.run(
        [sys.executable, "-m", "messenger_pipeline.web.drain_worker"],
        stdin=subprocess.DEVNULL,
        env=drain_environment(url) | {"MESSENGER_TOKEN_KEY": "nonsense"},
        capture_output=True, text=True, timeout=60, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert process.returncode == 2, process.stderr
    assert "MESSENGER_TOKEN_KEY" in process.stderr
    assert "Traceback" not in process.stderr


def test_a_drain_that_works_writes_its_state_once(database: Database) -> None:
    state = DrainState(database)
    state.failed("KeyError")
    state.worked()
    assert query(database, "select from drain_failures") == []
    inbox.record_drain_failure(database, "another", "x")
    with database.transaction() as connection:
        connection.execute("drop function record_drain_success")
    state.worked()  # writes nothing
