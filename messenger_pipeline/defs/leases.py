"""Leases of runs that Dagster has ended: who still holds one, waiting for it, and freeing it."""

import logging
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import dagster as dg

from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.sessions import Lease, free_lease, list_leases
from messenger_pipeline.defs.runs import FINISHED, ended_at
from messenger_pipeline.sync.stop import Stop

RENEWED_AFTER = timedelta(seconds=90)
"""A lease lasts 60 seconds: one that is valid for longer after its run's end is still renewed."""
UNKNOWN_IDLE_FOR = timedelta(minutes=5)
"""A run that this Dagster does not know may belong to another one, and work."""
_WAIT_SECONDS = 120.0
_LOOK_SECONDS = 1.0

_log = logging.getLogger(__name__)


def find_runs(
    instance: dg.DagsterInstance, leases: Iterable[Lease]
) -> dict[str, dg.RunRecord | None]:
    """The run of each lease that a run holds, by its id; None if Dagster does not know it."""
    ids = [lease.locked_by for lease in leases if _is_run_id(lease.locked_by)]
    records = instance.get_run_records(dg.RunsFilter(run_ids=ids)) if ids else []
    found = {record.dagster_run.run_id: record for record in records}
    return {run_id: found.get(run_id) for run_id in ids}


def is_overstayed(lease: Lease, run: dg.RunRecord | None, now: datetime) -> bool:
    """Whether a valid lease is renewed by a process whose run has ended: no other run of the page
    can start until it is freed. An expired lease needs nobody: the next run takes it."""
    if lease.expires_at <= now:
        return False
    if run is None:
        return now - lease.idle_since > UNKNOWN_IDLE_FOR
    return has_ended(run) and now - ended_at(run) > RENEWED_AFTER


def has_ended(run: dg.RunRecord | None) -> bool:
    """Whether Dagster knows the run and has ended it."""
    return run is not None and run.dagster_run.status in FINISHED


def free_overstayed_leases(
    instance: dg.DagsterInstance, database: Database, leases: Iterable[Lease], now: datetime
) -> int:
    """Free the leases that ended runs still hold. Returns how many; an alert opens for each."""
    leases = list(leases)
    runs = find_runs(instance, leases)
    return sum(
        _free(database, lease, runs[lease.locked_by])
        for lease in leases
        if lease.locked_by in runs and is_overstayed(lease, runs[lease.locked_by], now)
    )


def wait_for_ended_holder(
    instance: dg.DagsterInstance, database: Database, page_id: str, stop: Stop
) -> None:
    """Wait up to two minutes while the page's lease is held by a run that Dagster has ended.

    Such a process ends its work, or is dead and its lease expires. If it holds on, its lease is
    freed. Returns at once if nobody or another live run holds the lease.
    """
    until, announced = time.monotonic() + _WAIT_SECONDS, False
    while time.monotonic() < until and not stop.is_set():
        now = datetime.now(UTC)
        lease = _find_lease(database, page_id, now)
        run = None if lease is None else find_runs(instance, [lease]).get(lease.locked_by)
        if lease is None or run is None or not has_ended(run):
            return
        if is_overstayed(lease, run, now):
            _free(database, lease, run)
            return
        if not announced:
            _log.info(
                "waiting for the lease of run %s, which has ended (%s)",
                lease.locked_by, run.dagster_run.status.value,
            )  # fmt: skip
            announced = True
        stop.wait(_LOOK_SECONDS)


def _find_lease(database: Database, page_id: str, now: datetime) -> Lease | None:
    for lease in list_leases(database):
        if lease.page_id == page_id and lease.expires_at > now:
            return lease
    return None


def _free(database: Database, lease: Lease, run: dg.RunRecord | None) -> bool:
    status = run.dagster_run.status.value if run else "UNKNOWN"
    freed = free_lease(database, lease, status, ended_at(run) if run else None)
    if freed:
        _log.warning(
            "freed the lease on page %s that run %s (%s) still held",
            lease.page_id, lease.locked_by, status,
        )  # fmt: skip
    return freed


def _is_run_id(locked_by: str) -> bool:
    """Whether a lease's holder is named like a run of Dagster. Others may take a lease, too."""
    try:
        return bool(UUID(locked_by))
    except ValueError:
        return False
