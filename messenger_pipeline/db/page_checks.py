"""What Meta said of each page's token and webhook subscription, as last asked."""

from dataclasses import asdict, dataclass
from datetime import datetime

from messenger_pipeline.db.load import encoded
from messenger_pipeline.db.pages import PageRecord
from messenger_pipeline.db.pool import Database


@dataclass(frozen=True)
class PageCheck:
    """What was told; None where it was not. An expiry of None is none, where the token is valid."""

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
    """The active pages that are to be asked about now, never asked first; or this one alone."""
    rows = database.call("list_pages_to_check", page_id=page_id, limit=limit)
    return [found for (found,) in rows]


def record_page_check(
    database: Database, page: PageRecord, check: PageCheck, dead: str | None = None
) -> bool:
    """Note what was told. `dead` is why Meta does not take the token any more: the page is then
    marked for re-authorization. False if the page has another token by now."""
    return bool(
        database.value(
            "record_page_check",
            page_id=page.facebook_page_id,
            token_encrypted=page.token_encrypted,
            check=encoded(asdict(check)),
            dead=dead,
        )
    )
