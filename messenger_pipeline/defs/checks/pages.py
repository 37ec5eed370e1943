"""Asset checks of syncs: is each page on time, is one stuck, was everything read."""

from datetime import timedelta

import dagster as dg

from messenger_pipeline.db import checks
from messenger_pipeline.defs.all_pages import ALL_PAGES
from messenger_pipeline.defs.checks.findings import duration, finding
from messenger_pipeline.defs.resources import Pipeline

_INTERVALS = 4.0
_MIN_LAG = timedelta(minutes=30)
_ERROR_LAG = timedelta(days=1)
_ERROR_SHARE = 0.1  # of the active pages: then the syncs as such are behind, not single pages
_EXPIRED_FOR = timedelta(minutes=5)
_IDLE_FOR = timedelta(minutes=15)
_OLD_GAP = timedelta(days=1)
_VERY_OLD_GAP = timedelta(days=7)


@dg.asset_check(
    asset=ALL_PAGES,
    name="no_stale_page",
    description=(
        "Every active page was synced within four of its sync intervals, at least half an hour."
        " WARN if one was not, ERROR if one was not for a day or a tenth of the pages were not:"
        " check that Dagster's daemon runs, and look at the run queue. The table shows the pages"
        " with the longest lag, late or not."
    ),
)
def no_stale_page(pipeline: Pipeline) -> dg.AssetCheckResult:
    with pipeline.database() as database:
        lags = checks.list_page_lags(database, _INTERVALS, _MIN_LAG)
    stale, pages = (lags[0].all_stale, lags[0].pages) if lags else (0, 0)
    worst = max((lag.lag_seconds for lag in lags if lag.stale), default=0.0)
    return finding(
        passed=not stale,
        error=worst > _ERROR_LAG.total_seconds() or (stale > 1 and stale > _ERROR_SHARE * pages),
        summary=(
            f"{stale:,} of {pages:,} active pages are late, the latest by {duration(worst)}."
            if stale
            else f"All {pages:,} active pages are on time."
        ),
        rows=[
            {
                "page": lag.page_id, "name": lag.name, "lag": duration(lag.lag_seconds),
                "interval": duration(lag.interval_seconds), "late": lag.stale,
                "last error": lag.last_error,
            }
            for lag in lags
        ],
        stale_pages=stale,
        active_pages=pages,
        most_lag_seconds=max((lag.lag_seconds for lag in lags), default=0.0),
    )  # fmt: skip


@dg.asset_check(
    asset=ALL_PAGES,
    name="no_stuck_lease",
    description=(
        "No page is blocked by the lease of a stuck run. ERROR if a lease expired over 5 minutes"
        " ago without a release (its run died, and the sensor reap_dead_runs missed it), or if a"
        " run renews it but has loaded nothing for 15 minutes and does not wait for Meta: cancel"
        " the run in the table."
    ),
)
def no_stuck_lease(pipeline: Pipeline) -> dg.AssetCheckResult:
    with pipeline.database() as database:
        stuck = checks.list_stuck_leases(database, _EXPIRED_FOR, _IDLE_FOR)
    count = stuck[0].all_stuck if stuck else 0
    return finding(
        passed=not count,
        error=True,
        summary=f"{count:,} leases are stuck." if count else "No lease is stuck.",
        rows=[
            {
                "page": one.page_id, "reason": one.reason, "run": one.locked_by,
                "since": one.locked_at, "valid until": one.expires_at,
            }
            for one in stuck
        ],
        stuck_leases=count,
    )  # fmt: skip


@dg.asset_check(
    asset=ALL_PAGES,
    name="sync_not_truncated",
    description=(
        "The last complete sync of every page, full and incremental, read Meta's list to its end."
        " ERROR if one was truncated: new messages still arrive, but older threads may be missing"
        " until a full sync completes. WARN if one has another warning."
    ),
)
def sync_not_truncated(pipeline: Pipeline) -> dg.AssetCheckResult:
    with pipeline.database() as database:
        found = checks.list_session_warnings(database)
    truncated, warned = (found[0].all_truncated, found[0].all_warned) if found else (0, 0)
    return finding(
        passed=not found,
        error=truncated > 0,
        summary=(
            f"{truncated:,} syncs were truncated; {warned:,} more have a warning."
            if found
            else "The last sync of every page read its whole list."
        ),
        rows=[
            {
                "page": one.page_id, "sync": one.mode,
                "outcome": "truncated" if one.truncated else "completed",
                "reason": one.warning, "ended": one.ended_at,
            }
            for one in found
        ],
        truncated=truncated,
        warnings=warned,
    )  # fmt: skip


@dg.asset_check(
    asset=ALL_PAGES,
    name="open_gaps",
    description=(
        "Gaps, the parts of threads' history that a sync left for later, are read within a day."
        " WARN if one is open for longer, ERROR after a week. Gaps that Meta permanently refuses"
        " (unreadable) are counted, but do not fail the check."
    ),
)
def open_gaps(pipeline: Pipeline) -> dg.AssetCheckResult:
    with pipeline.database() as database:
        gaps = checks.list_page_gaps(database, _OLD_GAP)
        very_old = checks.list_page_gaps(database, _VERY_OLD_GAP)
    old, left, refused = (
        (gaps[0].all_old, gaps[0].all_open, gaps[0].all_unreadable) if gaps else (0, 0, 0)
    )
    return finding(
        passed=not old,
        error=bool(very_old and very_old[0].all_old),
        summary=f"{old:,} of {left:,} gaps are older than a day; {refused:,} are unreadable.",
        rows=[
            {
                "page": one.page_id, "over a day": one.old, "open": one.open,
                "unreadable": one.unreadable, "oldest": one.oldest, "attempts": one.attempts,
            }
            for one in gaps
        ],
        old_gaps=old,
        open_gaps=left,
        unreadable=refused,
    )  # fmt: skip
