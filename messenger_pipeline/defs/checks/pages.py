"""Asset checks of how the syncs go: is each page on time, does one hang, was all read."""

from datetime import timedelta

import dagster as dg

from messenger_pipeline.db import checks
from messenger_pipeline.defs.all_pages import ALL_PAGES
from messenger_pipeline.defs.checks.findings import duration, finding
from messenger_pipeline.defs.resources import Pipeline

_INTERVALS = 4.0
_LEAST = timedelta(minutes=30)
_LONG = timedelta(days=1)
_MANY = 0.1  # of the active pages: then it is no page that is behind, but all that syncs them
_EXPIRED = timedelta(minutes=5)
_IDLE = timedelta(minutes=15)
_OLD_GAP = timedelta(days=1)
_VERY_OLD_GAP = timedelta(days=7)


@dg.asset_check(
    asset=ALL_PAGES,
    name="no_stale_page",
    description=(
        "Every active page was synced within four of its own intervals, or half an hour."
        " WARN where one was not; ERROR where that is a day ago, or so it is with a tenth of the"
        " pages: look whether Dagster's daemon runs, and at the queue of runs. The table shows"
        " the pages that are furthest behind, late or not."
    ),
)
def no_stale_page(pipeline: Pipeline) -> dg.AssetCheckResult:
    with pipeline.database() as database:
        lags = checks.list_page_lags(database, _INTERVALS, _LEAST)
    stale, pages = (lags[0].all_stale, lags[0].pages) if lags else (0, 0)
    worst = max((lag.lag_seconds for lag in lags if lag.stale), default=0.0)
    return finding(
        passed=not stale,
        error=worst > _LONG.total_seconds() or (stale > 1 and stale > _MANY * pages),
        said=(
            f"{stale} of {pages} active pages were not synced in time, one for {duration(worst)}."
            if stale
            else f"All {pages} active pages are on time."
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
        "No lease keeps a page from being synced for nothing. ERROR where one ran out 5 minutes"
        " ago unreleased (its run died, and the sensor reap_dead_runs did not see it), or where a"
        " run renews it but loaded nothing for 15 minutes and does not wait for Meta: cancel the"
        " run that the table names."
    ),
)
def no_stuck_lease(pipeline: Pipeline) -> dg.AssetCheckResult:
    with pipeline.database() as database:
        stuck = checks.list_stuck_leases(database, _EXPIRED, _IDLE)
    count = stuck[0].all_stuck if stuck else 0
    return finding(
        passed=not count,
        error=True,
        said=f"{count} leases are stuck." if count else "No lease is stuck.",
        rows=[
            {
                "page": one.page_id, "what": one.reason, "run": one.locked_by,
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
        "The last complete sync of every page, full or incremental, read Meta's list to its end."
        " ERROR where it did not (truncated: what is new goes on, older threads may be missing"
        " until a full sync completes); WARN where it has something else to say."
    ),
)
def sync_not_truncated(pipeline: Pipeline) -> dg.AssetCheckResult:
    with pipeline.database() as database:
        found = checks.list_session_warnings(database)
    truncated, warned = (found[0].all_truncated, found[0].all_warned) if found else (0, 0)
    return finding(
        passed=not found,
        error=truncated > 0,
        said=(
            f"{truncated} syncs were truncated, {warned} more have a warning."
            if found
            else "Every page's last sync read all."
        ),
        rows=[
            {
                "page": one.page_id, "sync": one.mode,
                "outcome": "truncated" if one.truncated else "completed",
                "why": one.warning, "ended": one.ended_at,
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
        "Stretches of threads' history that a sync left for later are read within a day. WARN"
        " where one is open for longer, ERROR after a week. What Meta refuses for good"
        " (unreadable) is counted and fails nothing."
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
        said=f"{old} of {left} gaps are open for over a day; {refused} are unreadable.",
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
