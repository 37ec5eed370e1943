"""Asset checks of what Meta sends: can it be used, is it all there, is there more than we ask."""

from datetime import timedelta

import dagster as dg

from messenger_pipeline.db import checks
from messenger_pipeline.defs.all_pages import ALL_PAGES
from messenger_pipeline.defs.checks.findings import finding
from messenger_pipeline.defs.resources import Pipeline

_SPAN = timedelta(hours=2)  # the check runs hourly: no session is passed by
_FEW = 5  # records that say nothing of a rate yet
_HARDLY_ANY = 0.01
_TOO_MANY = 0.2
_SHARE = 0.9
_FEWER = 10
_UNKNOWN_SPAN = timedelta(days=1)


@dg.asset_check(
    asset=ALL_PAGES,
    name="sync_quarantine_rate",
    description=(
        "Of what the syncs of the last two hours read hardly any record was unusable. WARN above"
        " 1 % (of all pages together or of one, and at least 5 records), ERROR above 20 %: Meta"
        " changed something. `messenger-pipeline quarantine list` shows the records and why."
    ),
)
def sync_quarantine_rate(pipeline: Pipeline) -> dg.AssetCheckResult:
    with pipeline.database() as database:
        pages = checks.list_quarantine_rates(database, _SPAN)
    read, quarantined = (pages[0].all_read, pages[0].all_quarantined) if pages else (0, 0)
    unusable = [one for one in pages if one.quarantined]
    rates = [quarantined / max(read, 1)] if quarantined >= _FEW else []
    rates += [one.quarantined / one.read for one in unusable if one.quarantined >= _FEW]
    worst = max(rates, default=0.0)
    return finding(
        passed=worst <= _HARDLY_ANY,
        error=worst > _TOO_MANY,
        said=f"{quarantined:,} of {read:,} records read in the last two hours are quarantined.",
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
        "As many messages are stored as Meta counts. WARN where of a conversation fewer than 90 %"
        " are, and at least 10 too few: Meta's counts are estimates. Threads with open or"
        " unreadable gaps, and those that are gone, are left out. A full sync of the page"
        " (`messenger-pipeline sync PAGE_ID --full`) reads what is missing."
    ),
)
def message_counts_against_meta(pipeline: Pipeline) -> dg.AssetCheckResult:
    with pipeline.database() as database:
        pages = checks.list_short_conversations(database, _SHARE, _FEWER)
    short, compared = (pages[0].all_short, pages[0].all_compared) if pages else (0, 0)
    return finding(
        passed=not short,
        error=False,
        said=f"Of {short:,} of {compared:,} conversations clearly fewer messages are stored.",
        rows=[
            {
                "page": one.page_id, "conversations": one.conversations, "stored": one.stored,
                "Meta counts": one.of_meta, "such as the contact": one.example,
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
        "Meta sends no field that nobody asked for. WARN where the syncs of the last day met one:"
        " nothing is lost by it, but Meta changed something, and it may be worth reading."
    ),
)
def unknown_fields(pipeline: Pipeline) -> dg.AssetCheckResult:
    with pipeline.database() as database:
        fields = checks.list_unknown_fields(database, _UNKNOWN_SPAN)
    count = fields[0].all_fields if fields else 0
    return finding(
        passed=not count,
        error=False,
        said=f"{count} fields that nobody asked for." if count else "No unknown field.",
        rows=[
            {
                "field": one.field, "seen": one.seen, "pages": one.pages,
                "such as page": one.example,
            }
            for one in fields
        ],
        unknown_fields=count,
    )  # fmt: skip
