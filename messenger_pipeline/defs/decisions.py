"""The decisions of schedules and sensors, as pure functions."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import dagster as dg

from messenger_pipeline.db.sessions import Lease
from messenger_pipeline.defs.tags import CAUSE, MODE, PARTITION

# A run renews its lease three times before it expires; this also covers a database restart.
_EXPIRED_FOR = timedelta(seconds=30)
_WITHOUT_LEASE_FOR = timedelta(minutes=5)


def pages_in_progress(unfinished: Iterable[dg.DagsterRun]) -> set[str]:
    """The pages whose runs a requested sync must wait for. It overtakes queued runs, which may wait
    behind those of a thousand pages."""
    return {
        run.tags[PARTITION]
        for run in unfinished
        if PARTITION in run.tags
        and (run.status != dg.DagsterRunStatus.QUEUED or run.tags.get(CAUSE) == "request")
    }


def reason_dead(lease: Lease | None, started: datetime, now: datetime) -> str | None:
    """Why a started run of a page is dead; None if it may be alive."""
    if lease is None:
        # A live run acquires its lease within seconds of its start, and ends within seconds of
        # releasing it.
        if now - started < _WITHOUT_LEASE_FOR:
            return None
        return "The run is dead: it holds no lease on its page, and has not ended."
    if now - lease.expires_at < _EXPIRED_FOR:
        return None
    return f"The run is dead: its lease on page {lease.page_id} expired at {lease.expires_at}."


def partition_changes(
    registered: Iterable[str], partitions: Sequence[str]
) -> tuple[list[str], list[str]]:
    """The partitions to add and to delete, so that they equal the registered pages."""
    wanted, present = set(registered), set(partitions)
    return sorted(wanted - present), sorted(present - wanted)


def without_own_run(
    due: Iterable[str], partitions: Iterable[str], unfinished: Iterable[dg.DagsterRun]
) -> list[str]:
    """The due pages that are partitions and have no unfinished run. Continuations do not count:
    fetching what is new must not wait for the end of a long walk."""
    busy = {run.tags.get(PARTITION) for run in unfinished if run.tags.get(MODE) != "continuation"}
    known = set(partitions)
    return [page_id for page_id in due if page_id in known and page_id not in busy]
