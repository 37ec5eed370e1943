"""What Meta refuses a page, and what it refuses the app: the same of several pages at once."""

from messenger_pipeline.db.pool import Database


def record_page_refusal(
    database: Database, page_id: str, app_id: str, error: str, reason: str
) -> float | None:
    """Record that Meta refuses a page. `error` names the kind: Meta's code and subcode, or terms,
    sending, unsupported.

    Returns None if it concerns this page. If several pages meet the same error it is the app's:
    returns the seconds for which all of its calls pause.
    """
    seconds: float | None = database.value(
        "record_page_refusal", page_id=page_id, app_id=app_id, error=error, reason=reason
    )
    return seconds


def record_page_answer(database: Database, page_id: str, app_id: str) -> None:
    """Record that Meta answers for a page: what it refused the page, or the app, is over."""
    database.call("record_page_answer", page_id=page_id, app_id=app_id)
