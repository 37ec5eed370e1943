"""The last check of each page's token and webhook subscription."""

from dataclasses import asdict, dataclass
from datetime import datetime

from messenger_pipeline.db.load import encode
from messenger_pipeline.db.pages import PageRecord
from messenger_pipeline.db.pool import Database


@dataclass(frozen=True)
class PageCheck:
    """What Meta reported, or None. A valid token with an expiry of None never expires."""

    token_valid: bool | None = None
    token_expires_at: datetime | None = None
    data_access_expires_at: datetime | None = None
    scopes: list[str] | None = None
    subscribed: bool | None = None
    subscribed_fields: list[str] | None = None
    error: str | None = None


def list_pages_to_check(
    database: Database, page_id: str | None = None, limit: int = 200
) -> list[str]:
    """Return the active pages that are due for a check, or this one, due or not. Pages that were
    never checked come first."""
    rows = database.call("list_pages_to_check", page_id=page_id, limit=limit)
    return [found for (found,) in rows]


def record_page_check(
    database: Database, page: PageRecord, check: PageCheck, dead: str | None = None
) -> bool:
    """Record a check. Returns False if the page has another token by now, or is not active.

    `dead` is the reason for which Meta rejects the token for good: it marks the page as needing
    re-authorization.
    """
    return bool(
        database.value(
            "record_page_check",
            page_id=page.facebook_page_id,
            token_encrypted=page.token_encrypted,
            check=encode(asdict(check)),
            dead=dead,
        )
    )
