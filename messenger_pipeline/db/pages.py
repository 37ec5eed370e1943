"""The registry of pages."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from messenger_pipeline.db.pool import Database
from messenger_pipeline.errors import UnknownPage, UsageError


@dataclass(frozen=True)
class PageRecord:
    """An inbox of the registry, with its encrypted token.

    `facebook_page_id` is the id that the account has in answers and webhooks: an Instagram
    account's own. The Graph API is called with `graph_id`, its Facebook page's. `other_ids` are
    all ids but the first.
    """

    id: str
    facebook_page_id: str
    platform: str
    user_id: str | None
    name: str | None
    time_zone: str | None
    token_encrypted: str | None
    status: str
    status_reason: str | None
    sync_interval: timedelta
    next_sync_at: datetime
    last_synced_at: datetime | None
    watermark: datetime | None
    created_at: datetime
    updated_at: datetime
    failed_starts: int
    graph_id: str
    username: str | None
    other_ids: list[str]

    @property
    def ids(self) -> frozenset[str]:
        """Every id of the account."""
        return frozenset((self.facebook_page_id, *self.other_ids))


def get_page(database: Database, page_id: str) -> PageRecord:
    """Return an inbox by its own id, the registry's, or another id of its account.

    A Facebook page's id stands for the page's own inbox if that is registered, else for its
    Instagram account's. Raises UnknownPage.
    """
    found: list[PageRecord] = database.call("get_page", PageRecord, page_id=page_id)
    if not found:
        raise unknown_page_error(page_id)
    return found[0]


def unknown_page_error(page_id: str) -> UnknownPage:
    """Return the error for a page that is not, or no longer, in the registry."""
    if not re.fullmatch(r"[\d-]{1,40}|[0-9a-fA-F-]{36}", page_id):
        # Not repeated in the error: it may be a token, pasted by mistake.
        return UnknownPage(
            "No such page in the registry. `messenger-pipeline pages list` shows its pages."
        )
    return UnknownPage(
        f"Page {page_id} is not in the registry. `messenger-pipeline pages list` shows which"
        f" are, `messenger-pipeline pages add {page_id}` adds it."
    )


def find_page(database: Database, typed: str, platform: str | None = None) -> PageRecord:
    """Return the registered inbox that a person names by any of its ids, perhaps with a platform.

    Raises UnknownPage, and UsageError if the id stands for two inboxes.
    """
    found = find_pages(database, typed, platform)
    if not found:
        raise unknown_page_error(typed)
    if len(found) > 1:
        inboxes = ", ".join(f"{page.platform} ({page.facebook_page_id})" for page in found)
        raise UsageError(
            f"Page {typed} has several inboxes in the registry: {inboxes}. Choose one with"
            " --platform."
        )
    return found[0]


def find_pages(database: Database, typed: str, platform: str | None = None) -> list[PageRecord]:
    """Return the inboxes that an id stands for, without those that are removed."""
    found = [get_page(database, page_id) for (page_id,) in database.call("find_pages", id=typed)]
    return [
        page for page in found if page.status != "removed" and platform in (None, page.platform)
    ]


def list_pages(database: Database) -> list[PageRecord]:
    """Return the pages that are not removed, ordered by Facebook's id."""
    return database.call("list_pages", PageRecord)


def register_page(
    database: Database,
    page_id: str,
    *,
    name: str | None,
    user_id: str | None,
    platform: str | None,
    token_encrypted: str,
    graph_id: str | None = None,
    username: str | None = None,
) -> PageRecord:
    """Add an inbox, or give a known one a new token, which makes it active again unless it is
    paused. `graph_id` is the id that the Graph API is called with, if it is not `page_id`."""
    database.call(
        "register_page",
        page_id=page_id,
        name=name,
        user_id=user_id,
        platform=platform,
        token_encrypted=token_encrypted,
        graph_id=graph_id,
        username=username,
    )
    return get_page(database, page_id)


def set_page_status(
    database: Database, page_id: str, status: str, reason: str | None = None
) -> None:
    """Set the status of an inbox. `removed` deletes its token.

    Raises UnknownPage.
    """
    page = get_page(database, page_id)
    if page.status == "removed":
        raise unknown_page_error(page_id)
    found = page.facebook_page_id
    database.call("set_page_status", page_id=found, status=status, reason=reason)


def mark_for_reauthorization(
    database: Database, page: PageRecord, fence: int, reason: str, *, refused: str, seconds: float
) -> bool:
    """Record that Meta refuses a page's `token` or a `permission`, as `refused` names it.

    Marks the page as needing re-authorization, and returns True, once a refusal of the same kind
    at least `seconds` ago is confirmed by this one. Raises LeaseLost.
    """
    marked: bool = database.value(
        "mark_for_reauthorization",
        page_id=page.facebook_page_id,
        fence=fence,
        token_encrypted=page.token_encrypted,
        **{"class": refused},
        reason=reason,
        seconds=seconds,
    )
    return marked


def postpone_next_sync(database: Database, page_id: str) -> None:
    """Make a page due again after its sync interval."""
    database.call("postpone_next_sync", page_id=page_id)


def list_pages_for_full_sync(database: Database) -> list[str]:
    """Return the active pages that have no full walk open."""
    return [page_id for (page_id,) in database.call("list_pages_for_full_sync")]


def list_due_pages(database: Database) -> list[str]:
    """Return the active pages that are due for an incremental sync, longest due first."""
    return [page_id for (page_id,) in database.call("list_due_pages")]
