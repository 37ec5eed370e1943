"""Recovery from an interrupted run: its lease expires, and later runs finish the walk."""

import itertools
import time
from typing import Any

from messenger_pipeline.db.pool import Database
from tests.crash.databases import query
from tests.crash.final_state import (
    MAY_DIFFER,
    content_differences,
    counter_differences,
    session_counters,
    state_leftovers,
)
from tests.crash.fork_server import TIMEOUT, Child, ForkServer
from tests.crash.interruption_counts import record
from tests.crash.run_job import Job
from tests.crash.scenarios import Scenario

_runs = itertools.count(1)


def next_job(scenario: Scenario, url: str) -> Job:
    """The next run: it resumes the open session, or else does the scenario's walk."""
    job = scenario.job(url, f"run-{next(_runs)}")
    found = query(
        url, "select sync_session_id::text from sync_state where outcome is null and mode = %s",
        scenario.counters["mode"],
    )  # fmt: skip
    return Job(**{**vars(job), "session": found[0][0] if found else None})


def expire_lease(url: str) -> None:
    """Expire the lease, as the passage of time would."""
    query(url, "update sync_locks set expires_at = clock_timestamp() - interval '1 second'")


def kill(child: Child, kind: str) -> None:
    if child.kill():
        record(kind)


def finish_walk(fork_server: ForkServer, scenario: Scenario, url: str) -> dict[str, Any]:
    """Run until the walk is complete. The dead run's last statement may still be running in the
    server, so that the lease is free only a moment after its death."""
    deadline = time.monotonic() + TIMEOUT
    while True:
        expire_lease(url)
        report = fork_server.run(next_job(scenario, url))
        if report.get("error") != "SyncInProgress":
            break
        assert time.monotonic() < deadline, report
    assert report.get("result"), f"the run after an interruption failed: {report}"
    result: dict[str, Any] = report["result"]
    assert result["outcome"] == "completed", result
    return result


def differences_after(scenario: Scenario, url: str, *, exact: bool = False) -> list[str]:
    """How the tables differ from those of an uninterrupted walk; with `exact`, of a single run."""
    with Database(url) as database:
        differences = content_differences(database, scenario.simulated)
    found = session_counters(url, scenario.sessions)
    may_differ = () if exact else MAY_DIFFER[scenario.name]
    differences += state_leftovers(url) + counter_differences(found, scenario.counters, may_differ)
    if exact and len(found) > 1:
        differences.append(f"one run had several sessions: {found}")
    if scenario.name == "incremental" and found[0]["total_synced"] > len(
        scenario.simulated.page.lengths
    ):
        differences.append(f"a thread was counted twice: {found[0]}")
    return differences
