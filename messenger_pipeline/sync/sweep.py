"""What a full walk did not see: which threads Meta no longer lists.

An error, an empty answer, a lost permission or a walk with unidentified records proves nothing.
What is missing is looked for at the head of the list, where it may have jumped, then asked for by
its id.
"""

from datetime import UTC, datetime

from messenger_pipeline.db import sessions
from messenger_pipeline.errors import CursorRefused, ListRefused, ObjectRefused
from messenger_pipeline.sync.gaps import walk_gaps
from messenger_pipeline.sync.plan import Plan
from messenger_pipeline.sync.thread_list import walk_head
from messenger_pipeline.sync.walk import Walk, check_limits, load, prepare

_BATCH = 50


def sweep(walk: Walk) -> None:
    """Mark what is gone after a full walk whose list was read to its end. Raises Stopped."""
    session = walk.session.sync_session_id
    if not sessions.list_missing_threads(walk.database, session, walk.fence, final=False):
        return
    began = walk.session.next_watermark
    if began is not None:
        try:
            walk_head(walk, began)
        except (CursorRefused, ListRefused) as error:
            _warn(walk, f"Nothing is marked deleted: {error}")
            return
        walk_gaps(walk)
    missing = sessions.list_missing_threads(walk.database, session, walk.fence, final=True)
    for start in range(0, len(missing), _BATCH):
        batch = missing[start : start + _BATCH]
        if not _confirm(walk, [one.thread_id for one in batch], batch[0].living):
            _warn(
                walk,
                "Nothing more is marked deleted: Meta refuses threads that it lists, too."
                " Is a permission missing?",
            )
            return


def _confirm(walk: Walk, missing: list[str], living: str | None) -> bool:
    """Ask for each thread by its id. False, and nothing marked, if one that lives is refused."""
    gone: dict[str, datetime] = {}
    found = []
    for thread_id in missing:
        try:
            walk.client.fetch_thread(thread_id, messages=0)
            found.append(thread_id)
        except ObjectRefused as error:
            gone[thread_id] = error.date or datetime.now(UTC)
        check_limits(walk)
    if gone:
        try:
            assert living is not None, "a walk that saw nothing has no candidates"
            walk.client.fetch_thread(living, messages=0)
        except ObjectRefused:
            return False
        sessions.mark_threads_gone(walk.database, walk.session.sync_session_id, walk.fence, gone)
    if found:
        load(walk, prepare(walk, Plan(), [], asked_for=found))
    return True


def _warn(walk: Walk, warning: str) -> None:
    sessions.warn_session(walk.database, walk.session.sync_session_id, walk.fence, warning)
