"""What follows on an interrupted run: its lease ends, and others go on until the walk is done."""

import itertools
import time
from typing import Any

from messenger_pipeline.db.pool import Database
from tests.crash.databases import ask
from tests.crash.effort import note
from tests.crash.job import Job
from tests.crash.outcome import (
    VARY,
    faults_of_content,
    faults_of_figures,
    faults_of_state,
    figures_of,
)
from tests.crash.stages import Stage
from tests.crash.zygote import PATIENCE, Child, Zygote

_runs = itertools.count(1)


def next_job(stage: Stage, url: str) -> Job:
    """The run that follows: it goes on with the open session, else does what was asked for."""
    job = stage.job(url, f"run-{next(_runs)}")
    found = ask(
        url, "select sync_session_id::text from sync_state where outcome is null and mode = %s",
        stage.figures["mode"],
    )  # fmt: skip
    return Job(**{**vars(job), "session": found[0][0] if found else None})


def expire_lease(url: str) -> None:
    """What time would do."""
    ask(url, "update sync_locks set expires_at = clock_timestamp() - interval '1 second'")


def kill(child: Child, kind: str) -> None:
    if child.kill():
        note(kind)


def go_on(zygote: Zygote, stage: Stage, url: str) -> dict[str, Any]:
    """Walk on until the walk is complete. The dead run's last statement may still be under way in
    the server: its lease can be taken a moment after its death."""
    deadline = time.monotonic() + PATIENCE
    while True:
        expire_lease(url)
        told = zygote.run(next_job(stage, url))
        if told.get("error") != "SyncInProgress":
            break
        assert time.monotonic() < deadline, told
    assert told.get("result"), f"the run after an interruption failed: {told}"
    result: dict[str, Any] = told["result"]
    assert result["outcome"] == "completed", result
    return result


def faults_after(stage: Stage, url: str, *, exact: bool = False) -> list[str]:
    """In what the tables are not those of a walk that nobody disturbed; `exact`: of one run."""
    with Database(url) as database:
        faults = faults_of_content(database, stage.simulated)
    found = figures_of(url, stage.sessions)
    vary = () if exact else VARY[stage.name]
    faults += faults_of_state(url) + faults_of_figures(found, stage.figures, vary)
    if exact and len(found) > 1:
        faults.append(f"one run had several sessions: {found}")
    if stage.name == "incremental" and found[0]["total_synced"] > len(stage.simulated.page.lengths):
        faults.append(f"a thread was counted twice: {found[0]}")
    return faults
