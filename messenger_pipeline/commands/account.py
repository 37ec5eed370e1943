"""Finds the account that a person registers, with its ids, and checks what its token may read."""

from dataclasses import dataclass

from messenger_pipeline import runtime
from messenger_pipeline.errors import (
    ObjectRefused,
    PageOwnerMustAct,
    PipelineError,
    RateLimited,
)
from messenger_pipeline.graph.client import GraphClient
from messenger_pipeline.graph.models import PageProfile
from messenger_pipeline.settings import Settings


@dataclass(frozen=True)
class Account:
    """An account as Meta names it: the id that it has in answers and webhooks, and the one that the
    Graph API is called with."""

    page_id: str
    graph_id: str
    name: str | None
    username: str | None = None


def find_account(settings: Settings, typed: str, platform: str, token: str) -> Account:
    """Return the account that a person means by an id. The token must be able to read its inbox.

    Of an Instagram account people type its Facebook page's id, or its own. Raises PageOwnerMustAct
    if the token may not read the conversations, or the page has no Instagram account.
    """
    with runtime.graph_api(settings).client(token) as client:
        try:
            account = _find(client, typed, platform)
            client.fetch_conversations(account.graph_id, platform, limit=1, messages=0)
        except RateLimited as error:
            raise PipelineError(
                "The token was not stored, because Meta's rate limit is reached and it cannot be"
                f" checked. Try again later. Meta's answer: {error}"
            ) from error
        except ObjectRefused as error:
            raise PageOwnerMustAct(
                f"The token gives no access to page {typed}. Check that it is this page's token."
                f" Meta's answer: {error}"
            ) from error
    return account


def _find(client: GraphClient, typed: str, platform: str) -> Account:
    if platform == "instagram":
        return _find_instagram(client, typed)
    profile = client.fetch_page(typed).content
    return Account(typed, typed, profile.get("name"))


def _find_instagram(client: GraphClient, typed: str) -> Account:
    try:
        # The id may be the Instagram account's own, which is no page: then the token's page has it.
        profiles = [client.fetch_page(typed, instagram=True).content]
    except ObjectRefused:
        profiles = _pages_of_token(client)
    for profile in profiles:
        instagram = profile.get("instagram_business_account")
        if instagram and typed in (profile["id"], instagram["id"]):
            return Account(
                instagram["id"], profile["id"], profile.get("name"), instagram.get("username")
            )
        if not instagram and profile["id"] == typed:
            if found := _find_in_inbox(client, profile):
                return found
            raise PageOwnerMustAct(
                f"Page {typed} ({profile.get('name')}) has no Instagram professional account, or"
                " the token may not see it. Connect the account to the page in Meta Business Suite,"
                " and use a page token with the permissions instagram_basic and"
                " instagram_manage_messages."
            )
    # A token of the Instagram account's own, which names no page.
    profile = client.fetch_page(typed).content
    return Account(typed, typed, profile.get("name"))


def _find_in_inbox(client: GraphClient, profile: PageProfile) -> Account | None:
    """The account whose inbox a page's token lists: the only participant of all threads. None if
    there are too few threads to tell. Without instagram_basic Meta does not name the account."""
    try:
        listing = client.fetch_conversations(profile["id"], "instagram", limit=25, messages=0)
    except (ObjectRefused, PageOwnerMustAct):
        return None
    threads = [
        {own: party for party in thread.get("participants") or [] if (own := party.get("id"))}
        for thread in listing.content.parse().records
    ]
    common = set.intersection(*map(set, threads)) if threads else set()
    if len(common) != 1 or len(set().union(*threads)) < 3:
        return None
    [own] = common
    return Account(own, profile["id"], profile.get("name"), threads[0][own].get("username"))


def _pages_of_token(client: GraphClient) -> list[PageProfile]:
    try:
        return [client.fetch_page("me", instagram=True).content]
    except ObjectRefused:
        return []
