"""After a full walk: which threads Meta no longer lists.

An error, an empty answer, a lost permission or a walk with unidentified records proves nothing. A
missing thread is looked for at the head of the list, where it may have moved during the walk, and
then requested by its id. One that cannot be checked is looked for by the next full walk again.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from messenger_pipeline.db import sessions
from messenger_pipeline.errors import CursorRefused, ListRefused, ObjectRefused, reason_of
from messenger_pipeline.sync.plan import Plan
from messenger_pipeline.sync.response import load_response, prepare_response
from messenger_pipeline.sync.sync_run import SyncRun
from messenger_pipeline.sync.thread_list import walk_head


@dataclass
class _Unchecked:
    """How many threads could not be checked, and the first error."""

    threads: int = 0
    error: Exception | None = None

    def add(self, error: Exception) -> None:
        self.threads += 1
        self.error = self.error or error


def sweep(run: SyncRun) -> None:
    """Mark what is gone after a full walk whose list was read to its end. Raises Stopped."""
    session_id = run.session.sync_session_id
    if not sessions.list_missing_threads(run.database, session_id, run.fence, final=False):
        return
    newest_at_start = run.session.next_watermark
    if newest_at_start is not None:
        try:
            walk_head(run, newest_at_start)
        except (CursorRefused, ListRefused) as error:
            _warn(run, f"Nothing is marked deleted: {error}")
            return
    unchecked, after = _Unchecked(), ""
    # A few at a time, so that memory stays flat.
    while missing := sessions.list_missing_threads(
        run.database, session_id, run.fence, final=True, after=after
    ):
        thread_ids = [one.thread_id for one in missing]
        if not _confirm(run, thread_ids, missing[0].probe_thread_id, unchecked):
            _warn(
                run,
                "Nothing more is marked deleted: Meta also refuses threads that it lists. Check"
                " the token's permissions.",
            )
            return
        after = thread_ids[-1]
    if unchecked.error:
        threads = "1 thread" if unchecked.threads == 1 else f"{unchecked.threads:,} threads"
        _warn(
            run,
            f"{threads} that Meta no longer lists could not be checked; nothing is marked deleted"
            f" of them. The first error: {reason_of(unchecked.error)}",
        )


def _confirm(
    run: SyncRun, missing: list[str], probe_thread_id: str | None, unchecked: _Unchecked
) -> bool:
    """Request each thread by its id, and mark those that Meta refuses as gone.

    Adds those that could not be checked to `unchecked`.

    `probe_thread_id` is a thread that the walk has seen. If Meta refuses that one too, its refusals
    prove nothing: returns False, and nothing is marked.
    """
    gone: dict[str, datetime] = {}
    found = []
    for thread_id in missing:
        try:
            run.client.fetch_thread(thread_id, messages=0)
            found.append(thread_id)
        except ObjectRefused as error:
            gone[thread_id] = error.date or datetime.now(UTC)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next one is checked
            run.blame.require_own_fault(error)
            unchecked.add(error)
        run.check_limits()
    if gone:
        try:
            assert probe_thread_id is not None, "a walk that saw nothing has no candidates"
            run.client.fetch_thread(probe_thread_id, messages=0)
        except Exception as error:  # noqa: BLE001 - without the probe nothing is proved
            run.blame.require_own_fault(error)
            return False
        sessions.mark_threads_gone(run.database, run.session.sync_session_id, run.fence, gone)
    if found:
        load_response(run, prepare_response(run, Plan(), [], asked_for=found))
    return True


def _warn(run: SyncRun, warning: str) -> None:
    sessions.warn_session(run.database, run.session.sync_session_id, run.fence, warning)
