"""Asset checks of Meta's data: is it usable, is it complete, has it unknown fields."""

from datetime import timedelta

import dagster as dg

from messenger_pipeline.db import checks
from messenger_pipeline.defs.all_pages import ALL_PAGES
from messenger_pipeline.defs.checks.findings import finding
from messenger_pipeline.defs.resources import Pipeline

_SPAN = timedelta(hours=2)  # the check runs hourly, so each session is covered
_MIN_QUARANTINED = 5  # records; fewer prove no rate
_MAX_RATE = 0.01
_ERROR_RATE = 0.2
_MIN_SHARE = 0.9  # of the messages that Meta counts
_MIN_MISSING = 10  # messages
_UNKNOWN_SPAN = timedelta(days=1)


@dg.asset_check(
    asset=ALL_PAGES,
    name="sync_quarantine_rate",
    description=(
        "Almost all records that the syncs of the last two hours read are usable. WARN if over 1 %"
        " are quarantined (of one page or of all together, and at least 5), ERROR if over 20 %:"
        " then Meta's answers have changed. `messenger-pipeline quarantine list` shows the records"
        " and reasons."
    ),
)
def sync_quarantine_rate(pipeline: Pipeline) -> dg.AssetCheckResult:
    with pipeline.database() as database:
        pages = checks.list_quarantine_rates(database, _SPAN)
    read, quarantined = (pages[0].all_read, pages[0].all_quarantined) if pages else (0, 0)
    unusable = [one for one in pages if one.quarantined]
    rates = [quarantined / max(read, 1)] if quarantined >= _MIN_QUARANTINED else []
    rates += [one.quarantined / one.read for one in unusable if one.quarantined >= _MIN_QUARANTINED]
    worst = max(rates, default=0.0)
    return finding(
        passed=worst <= _MAX_RATE,
        error=worst > _ERROR_RATE,
        summary=f"{quarantined:,} of {read:,} records of the last two hours are quarantined.",
        rows=[
            {
                "page": one.page_id, "quarantined": one.quarantined, "read": one.read,
                "rate": one.quarantined / one.read,
            }
            for one in unusable
        ],
        rate=quarantined / max(read, 1),
        worst_rate=worst,
        quarantined=quarantined,
        records_read=read,
    )  # fmt: skip


@dg.asset_check(
    asset=ALL_PAGES,
    name="message_counts_against_meta",
    description=(
        "As many messages are stored as Meta counts. WARN if a conversation has fewer than 90 % of"
        " them and lacks at least 10: Meta's counts are estimates. Threads that have open or"
        " unreadable gaps, or that Meta no longer lists, are excluded. A full sync of the page"
        " (`messenger-pipeline sync PAGE_ID --full`) fetches the missing messages."
    ),
)
def message_counts_against_meta(pipeline: Pipeline) -> dg.AssetCheckResult:
    with pipeline.database() as database:
        pages = checks.list_short_conversations(database, _MIN_SHARE, _MIN_MISSING)
    short, compared = (pages[0].all_short, pages[0].all_compared) if pages else (0, 0)
    return finding(
        passed=not short,
        error=False,
        summary=f"{short:,} of {compared:,} conversations lack messages.",
        rows=[
            {
                "page": one.page_id, "conversations": one.conversations, "stored": one.stored,
                "Meta counts": one.of_meta, "example contact": one.example,
            }
            for one in pages
            if one.conversations
        ],
        short_conversations=short,
        compared=compared,
    )  # fmt: skip


@dg.asset_check(
    asset=ALL_PAGES,
    name="unknown_fields",
    description=(
        "Meta sends only fields that this version knows. WARN if the syncs of the last day received"
        " another one: no known field is affected, but the new one is not stored."
    ),
)
def unknown_fields(pipeline: Pipeline) -> dg.AssetCheckResult:
    with pipeline.database() as database:
        fields = checks.list_unknown_fields(database, _UNKNOWN_SPAN)
    count = fields[0].all_fields if fields else 0
    return finding(
        passed=not count,
        error=False,
        summary=f"{count:,} unknown fields." if count else "No unknown field.",
        rows=[
            {
                "field": one.field, "seen": one.seen, "pages": one.pages,
                "example page": one.example,
            }
            for one in fields
        ],
        unknown_fields=count,
    )  # fmt: skip
