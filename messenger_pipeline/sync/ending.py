"""What a run records when it ends: why the session is suspended, and the effort it took."""

from collections.abc import Callable
from contextlib import suppress

from messenger_pipeline.db.pages import mark_for_reauthorization
from messenger_pipeline.db.progress import add_effort
from messenger_pipeline.db.sessions import suspend_session
from messenger_pipeline.errors import (
    AppRefused,
    ContactTermsNotAccepted,
    DatabaseError,
    DatabaseUnavailable,
    GraphError,
    PageOwnerMustAct,
    PipelineError,
    RateLimited,
    RequestUnsupported,
    SendingRestricted,
    Stopped,
    TokenDead,
    name_first_refusal,
    reason_of,
)
from messenger_pipeline.sync.result import CANCELLED
from messenger_pipeline.sync.stop import Stop
from messenger_pipeline.sync.sync_run import SyncRun

_RETRY_SECONDS = 30
"""How long a session waits at least after an error: longer if it makes no progress."""
_CONFIRM_SECONDS = 60
"""A page is switched off once Meta refuses it again after this time."""
_TERMS_SECONDS = 3600
"""How long a session waits for an admin of the page who has to accept Meta's terms."""


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
            run.sizes.save()


def _suspend_if_stopped(run: SyncRun, walk: Callable[[SyncRun], None]) -> str | None:
    try:
        walk(run)
    except Stopped as stopped:
        return _suspend(run, 0) or str(stopped)
    except RateLimited as limited:
        # Raised by Meta's answer or the shared budget, always with how long.
        seconds = limited.seconds or 0
        cause = "" if isinstance(limited, AppRefused) else "rate limited, "
        return _suspend(run, seconds, waiting_for=str(limited)) or (
            f"{cause}can be resumed in {seconds:.0f} s: {limited}"
        )
    except (PageOwnerMustAct, RequestUnsupported, SendingRestricted) as error:
        paused = _suspend_refused(run, error)
        if paused is not None:
            return paused
        raise
    except DatabaseUnavailable:
        raise  # the pool has waited for it; the session is open, as the last load left it
    except PipelineError as error:
        # The error matters more than its record, which the database may refuse now.
        with suppress(DatabaseError):
            _suspend(run, _RETRY_SECONDS, str(error))
        raise
    except Exception as error:
        with suppress(DatabaseError):
            _suspend(run, _RETRY_SECONDS, reason_of(error))
        raise
    return None


def _suspend_refused(run: SyncRun, error: GraphError) -> str | None:
    """Suspend the run's session after an error with which Meta refuses the page.

    Returns why there is more to do if it refuses the app instead, which no page's owner can mend.
    Else returns None, marks the page once its owner has to authorize it again, and names the page
    in the error, with what happens next.
    """
    owner_must_act = isinstance(error, ContactTermsNotAccepted)
    # Each is refused if another run has the lease: that run finds out by itself.
    with suppress(DatabaseError):
        seconds = run.record_refusal(error)
        if seconds is not None:
            refused = str(AppRefused.because(str(error)))
            cancelled = _suspend(run, seconds, waiting_for=refused)
            return cancelled or f"can be resumed in {seconds:.0f} s: {refused}"
        pause = _CONFIRM_SECONDS
        if isinstance(error, ContactTermsNotAccepted):
            pause = _TERMS_SECONDS
        elif isinstance(error, PageOwnerMustAct):
            is_marked = mark_for_reauthorization(
                run.database, run.page, run.fence, str(error),
                refused="token" if isinstance(error, TokenDead) else "permission",
                seconds=_CONFIRM_SECONDS,
            )  # fmt: skip
            owner_must_act = is_marked
            pause = 0 if is_marked else _CONFIRM_SECONDS
        _suspend(run, pause, str(error))
    if isinstance(error, PageOwnerMustAct) and owner_must_act:
        error.name_page(run.page.facebook_page_id)
    else:
        name_first_refusal(error, run.page.facebook_page_id)
    return None


def _suspend(
    run: SyncRun, seconds: float, error: str | None = None, waiting_for: str | None = None
) -> str | None:
    """Suspend the run's session; park it if a person cancelled the run. Returns that as the reason
    why there is more to do, else None."""
    stop = run.limits.stop
    parked = isinstance(stop, Stop) and stop.is_cancelled()
    suspend_session(
        run.database, run.session.sync_session_id, run.fence, seconds, error, waiting_for, parked
    )
    return CANCELLED if parked else None
