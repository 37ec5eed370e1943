"""What a run records when it ends: why the session is suspended, and the effort it took."""

from collections.abc import Callable
from contextlib import suppress

from messenger_pipeline.db.pages import mark_for_reauthorization
from messenger_pipeline.db.progress import add_effort
from messenger_pipeline.db.sessions import suspend_session
from messenger_pipeline.errors import (
    DatabaseError,
    DatabaseUnavailable,
    PageOwnerMustAct,
    PipelineError,
    RateLimited,
    Stopped,
    TokenDead,
)
from messenger_pipeline.sync.blame import describe
from messenger_pipeline.sync.sync_run import SyncRun

_RETRY_SECONDS = 30
"""How long a session waits at least after an error: longer if it makes no progress."""
_CONFIRM_SECONDS = 60
"""A page is switched off once Meta refuses it again after this time."""


def record_ending(run: SyncRun, walk: Callable[[SyncRun], None]) -> str | None:
    """Run `walk` and record how it ended, for the run that resumes the session.

    Returns why there is more to do, or None if the session is complete. Errors are raised again.
    """
    outcome = "failed"
    try:
        stopped = _suspend_if_stopped(run, walk)
        outcome = "partial" if stopped else "completed"
        return stopped
    finally:
        # Missing counts are no reason to fail, and must not hide the error.
        with suppress(DatabaseError):
            session_id = run.session.sync_session_id
            add_effort(run.database, session_id, run.take_effort(), outcome)


def _suspend_if_stopped(run: SyncRun, walk: Callable[[SyncRun], None]) -> str | None:
    database, session_id, fence = run.database, run.session.sync_session_id, run.fence
    try:
        walk(run)
    except Stopped as stopped:
        suspend_session(database, session_id, fence, 0)
        return str(stopped)
    except RateLimited as limited:
        # Raised by Meta's answer or the shared budget, always with how long.
        seconds = limited.seconds or 0
        suspend_session(database, session_id, fence, seconds, waiting_for=str(limited))
        return f"rate limited, can be resumed in {seconds:.0f} s: {limited}"
    except PageOwnerMustAct as error:
        # Both are refused if another run has the lease: that run finds out by itself.
        with suppress(DatabaseError):
            is_marked = mark_for_reauthorization(
                database, run.page, fence, str(error),
                refused="token" if isinstance(error, TokenDead) else "permission",
                seconds=_CONFIRM_SECONDS,
            )  # fmt: skip
            suspend_session(
                database, session_id, fence, 0 if is_marked else _CONFIRM_SECONDS, str(error)
            )
        raise
    except DatabaseUnavailable:
        raise  # the pool has waited for it; the session is open, as the last load left it
    except PipelineError as error:
        # The error matters more than its record, which the database may refuse now.
        with suppress(DatabaseError):
            suspend_session(database, session_id, fence, _RETRY_SECONDS, str(error))
        raise
    except Exception as error:
        with suppress(DatabaseError):
            reason = run.client.redact(describe(error))
            suspend_session(database, session_id, fence, _RETRY_SECONDS, reason)
        raise
    return None
