"""The way of a response into the database: prepared for the load, then loaded in one commit.

Each load commits what the response brought together with what is needed to resume from there.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any
from uuid import uuid4

from pydantic_core import to_json

from messenger_pipeline.db import load
from messenger_pipeline.errors import UnexpectedAnswer
from messenger_pipeline.graph.client import Answer
from messenger_pipeline.graph.models import Listing, Reject, Thread
from messenger_pipeline.rows import ThreadState
from messenger_pipeline.sync.parse import messages_of
from messenger_pipeline.sync.plan import Plan, plan_threads, states_after
from messenger_pipeline.sync.run_log import log_progress, log_quarantined
from messenger_pipeline.sync.sync_run import SyncRun


@dataclass(frozen=True)
class PreparedResponse:
    """A response in the form that the load takes, with what it adds to the run's counts."""

    load_id: str
    encoded: load.EncodedResponse
    fetched: int
    quarantined: int


def prepare_response(
    run: SyncRun,
    plan: Plan,
    rejects: list[Reject],
    *,
    usable: int = 0,
    fetched: int = 0,
    unknown: Mapping[str, int] | None = None,
    **moves: Any,
) -> PreparedResponse:
    """Put a response in the form that the load takes.

    `usable` counts the threads and messages that could be read, `fetched` the threads. `unknown`
    counts the fields that no model names. `moves` is what the load changes in the session or gap.

    Raises UnexpectedAnswer if more than a fifth of the records cannot be used.
    """
    rejects = rejects + plan.rejects
    _check_usable(usable, rejects)
    load_id = str(uuid4())
    run.pending.add(load_id, states_after(plan))
    run.account_ids |= plan.account_ids
    unidentified = [one for one in rejects if one.kind == "thread" and not one.identity]
    identified = {one.identity for one in rejects if one.kind == "thread"} - {""}
    response = {
        "load_id": load_id,
        "conversations": plan.conversations,
        "threads": plan.threads,
        "threads_seen": [*plan.seen, *sorted(identified)],
        "gaps_opened": plan.gaps,
        **({"account_ids": sorted(plan.account_ids)} if plan.account_ids else {}),
        "quarantined": [_quarantined(run, reject) for reject in rejects],
        "unidentified_records": len(unidentified),
        "unknown_fields": unknown or {},
        "fetched": fetched,
        **run.take_effort(),
        **moves,
    }
    return PreparedResponse(load_id, load.encode_response(response), fetched, len(rejects))


def prepare_threads(
    run: SyncRun,
    answer: Answer[Listing[Thread]],
    known: Mapping[str, ThreadState] | None = None,
    *,
    is_repeated: bool = False,
    **moves: Any,
) -> PreparedResponse:
    """Plan an answer's threads and put them in the form that the load takes.

    `known` are the states of those that were read before; None: they are looked up now.
    `is_repeated`: the walk has read this part of the list before, so only new threads count as
    read.
    """
    run.record_answer()
    listing = answer.content
    threads = listing.records
    if known is None:
        known = run.find_known_threads([thread["id"] for thread in threads])
    return prepare_response(
        run,
        plan_threads(threads, known, run.source_page, answer.date, listing.withheld),
        listing.rejects,
        usable=len(threads) + sum(len(messages_of(thread)) for thread in threads),
        fetched=sum(not is_repeated or thread["id"] not in known for thread in threads),
        unknown=listing.unknown,
        **moves,
    )


def load_response(run: SyncRun, prepared: PreparedResponse) -> None:
    """Load a response, all of it or nothing."""
    loaded = load.load_response(
        run.database, run.session.sync_session_id, run.fence, run.step, prepared.encoded
    )
    run.pending.remove(prepared.load_id)
    run.step += 1
    run.fetched += prepared.fetched
    run.loaded += loaded
    refused = prepared.quarantined + loaded.refused
    run.quarantined += refused
    run.failed_batches += bool(refused)
    if refused:
        log_quarantined(refused)
    log_progress(run)


def _check_usable(usable: int, rejects: list[Reject]) -> None:
    # A few bad records in a small answer are no sign of a change.
    if len(rejects) > max(4, (usable + len(rejects)) // 5):
        raise UnexpectedAnswer(
            f"{len(rejects)} of {usable + len(rejects)} records in an answer cannot be used, the"
            f" first because of {rejects[0].reason}. Meta changed something; nothing of the answer"
            " was loaded."
        )


def _quarantined(run: SyncRun, reject: Reject) -> dict[str, Any]:
    """A reject as it is stored: without secrets, its identity short enough for an index."""
    record = json.loads(run.client.redact(to_json(reject.record, inf_nan_mode="strings").decode()))
    identity = reject.identity
    return {
        "source": "sync",
        **asdict(reject),
        # A longer one, and none, is replaced by the record's hash.
        "identity": identity if len(identity.encode(errors="replace")) <= 200 else "",
        "reason": run.client.redact(reject.reason)[:500],
        "record": record,
    }
