"""Jobs, and the run requests that sensors and schedules make of them."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import dagster as dg

from messenger_pipeline.db.sessions import Continuation, Lease
from messenger_pipeline.db.sync_requests import SyncRequested
from messenger_pipeline.defs.console import CONSOLE

PARTITION = "dagster/partition"
MODE = "messenger/mode"
SESSION = "messenger/session"
CAUSE = "messenger/cause"

# A lease is renewed three times in its life; this also covers a restart of the database.
_GRACE = timedelta(seconds=30)
_LEASELESS = timedelta(minutes=5)

# Retrying is the continuation's business: a second layer would only repeat it.
_TAGS = {"dagster/max_retries": "0"}
_ASSETS = dg.AssetSelection.assets(
    "messenger_conversations", "contact_interaction_events"
).without_checks()

sync_page_job = dg.define_asset_job(
    "sync_page",
    selection=_ASSETS,
    description="Fetch what is new on one page, or go on with a sync that is not complete.",
    tags=_TAGS,
    config={"loggers": CONSOLE},
)

full_sync_page_job = dg.define_asset_job(
    "full_sync_page",
    selection=_ASSETS,
    description="Walk all threads of one page from the newest to the last.",
    tags=_TAGS,
    config={"ops": {"sync_facebook_page": {"config": {"mode": "full"}}}, "loggers": CONSOLE},
)

check_job = dg.define_asset_job(
    "check_tables",
    selection=dg.AssetSelection.all_asset_checks(),
    description="Look at all pages: for what must never be, and for what somebody must know.",
    config={"loggers": CONSOLE},
)


def config_of(**fields: object) -> dict[str, object]:
    """The run config of a sync job."""
    return {"ops": {"sync_facebook_page": {"config": fields}}, "loggers": CONSOLE}


def incremental_request(page_id: str, run_key: str) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=run_key,
        partition_key=page_id,
        run_config=config_of(mode="incremental"),
        tags={MODE: "incremental", CAUSE: "schedule"},
    )


def continuation_request(continuation: Continuation) -> dg.RunRequest:
    """A run that goes on with an open session, behind the runs that fetch what is new."""
    session = str(continuation.sync_session_id)
    return dg.RunRequest(
        run_key=f"{session}:{continuation.attempt}",
        partition_key=continuation.page_id,
        run_config=config_of(session=session),
        tags={
            MODE: "continuation",
            CAUSE: "continuation",
            SESSION: session,
            "dagster/priority": "-1",
        },
    )


def requested_run(request: SyncRequested) -> dg.RunRequest:
    """A run for a sync that somebody asked for and waits for."""
    session = str(request.sync_session_id)
    return dg.RunRequest(
        run_key=f"request:{request.id}:{request.attempt}",
        partition_key=request.page_id,
        run_config=config_of(session=session, max_conversations=request.max_conversations),
        tags={MODE: "request", CAUSE: "request", SESSION: session, "dagster/priority": "5"},
    )


def pages_at_work(unfinished: Iterable[dg.DagsterRun]) -> set[str]:
    """The pages whose runs a request has to wait for. A run that is still queued, behind those of
    a thousand pages maybe, is none: what somebody asked for overtakes it."""
    return {
        run.tags[PARTITION]
        for run in unfinished
        if PARTITION in run.tags
        and (run.status != dg.DagsterRunStatus.QUEUED or run.tags.get(CAUSE) == "request")
    }


def death_of(lease: Lease | None, started: datetime, now: datetime) -> str | None:
    """Why a run that is said to walk a page is dead; None while it may live."""
    if lease is None:
        # It has one within seconds of its start, and ends within seconds of giving it back.
        if now - started < _LEASELESS:
            return None
        return "It holds no lease on its page, and has not ended: it is dead."
    if now - lease.expires_at < _GRACE:
        return None
    return f"Its lease on page {lease.page_id} ran out at {lease.expires_at}: it is dead."


def partition_changes(
    registered: Iterable[str], partitions: Sequence[str]
) -> tuple[list[str], list[str]]:
    """The partitions to add and to delete so that they are the registered pages."""
    wanted, present = set(registered), set(partitions)
    return sorted(wanted - present), sorted(present - wanted)


def without_own_run(
    due: Iterable[str], partitions: Iterable[str], unfinished: Iterable[dg.DagsterRun]
) -> list[str]:
    """The due pages that are partitions and have no run of their own queued or at work. The
    continuation of a long walk is none: what is new must not wait for its end."""
    busy = {run.tags.get(PARTITION) for run in unfinished if run.tags.get(MODE) != "continuation"}
    known = set(partitions)
    return [page_id for page_id in due if page_id in known and page_id not in busy]
