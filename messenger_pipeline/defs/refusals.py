"""Launches that are wrong: each fails at its start with one sentence, and is not retried."""

import dagster as dg

from messenger_pipeline.db.pages import PageRecord, get_page
from messenger_pipeline.db.pool import Database
from messenger_pipeline.errors import UnknownPage, UsageError


def refused(sentence: str) -> dg.Failure:
    """The failure of a launch that is wrong."""
    return dg.Failure(
        sentence,
        metadata={"error": UsageError.__name__, "exit_code": UsageError.exit_code},
        allow_retries=False,
    )


def require_time(max_seconds: float) -> None:
    """Raise dg.Failure for a run that would have no time, and end as if nothing was to do."""
    if not max_seconds > 0:
        raise refused(f"max_seconds is {max_seconds:g}: give more than 0.")


def get_page_by_meta_id(database: Database, page_id: str) -> PageRecord:
    """The page with this id. Raises UnknownPage, also for another id of a page: no
    partition and no lease has that name."""
    page = get_page(database, page_id)
    if page.facebook_page_id != page_id:
        raise UnknownPage(
            f"{page_id} is another id of page {page.facebook_page_id}: use the latter."
        )
    return page
