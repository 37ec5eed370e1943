"""Finds the registered account of each item of a delivery, and the contact where only a stored
message shows who that is.

A delivery names an account by its own id, by its Facebook page's, or by a further one. `object`
distinguishes the two inboxes of a page.
"""

from collections import defaultdict
from dataclasses import replace

from messenger_pipeline.db import inbox
from messenger_pipeline.db.inbox import Delivery, NamedAccount
from messenger_pipeline.db.server import Connection
from messenger_pipeline.merge import message_key
from messenger_pipeline.webhook.items import (
    Account,
    Item,
    is_item,
    join_messages,
    named_messages,
    parse_item,
    parties_of,
)

ParsedDelivery = tuple[Delivery, list[Item]]


def place_items(
    connection: Connection, parsed: list[ParsedDelivery], app_id: str | None = None
) -> list[ParsedDelivery]:
    """The deliveries with each item that is a registered account's marked as registered, under the
    account's page_id."""
    accounts = _find_accounts(connection, [item for _, items in parsed for item in items])
    placed = [
        (delivery, [_place(item, delivery, accounts, app_id) for item in items])
        for delivery, items in parsed
    ]
    placed = _find_contacts(connection, placed, app_id)
    return [(delivery, join_messages(items)) for delivery, items in placed]


def message_contact(item: Item, contacts: dict[str, str], account: Account) -> Account | None:
    """The account with the contact of the stored message that an item names; None if that is not
    needed, or not known."""
    if not _is_ambiguous(item, account):
        return None
    parties = [party for party in parties_of(item.raw) if party is not None]
    for message_id in named_messages(item.raw):
        contact = contacts.get(message_key(message_id))
        # Who is not among the parties cannot be the contact, unless no party can be one.
        if contact and (contact in parties or item.contact_id is None):
            return replace(account, contact_id=contact)
    return None


def _find_accounts(connection: Connection, items: list[Item]) -> dict[str, list[NamedAccount]]:
    """The registered accounts by the ids by which the items name them. If one is not registered,
    nobody can register it before the deliveries are settled as waiting for it."""
    ids = {one.page_id for one in items if one.page_id and (one.events or is_item(one.raw))}
    if not ids:
        return {}
    found = inbox.find_registered(connection, sorted(ids))
    if ids - {one.id for one in found}:
        inbox.block_registration(connection)
        found = inbox.find_registered(connection, sorted(ids))
    accounts: dict[str, list[NamedAccount]] = defaultdict(list)
    for one in found:
        accounts[one.id].append(one)
    return accounts


def _find(item: Item, accounts: dict[str, list[NamedAccount]]) -> Account | None:
    """The account of an item: never the other inbox of its page."""
    named = accounts.get(item.page_id or "", [])
    if isinstance(item.raw, dict) and item.raw.get("object") == "instagram":
        instagram = [one for one in named if one.platform == "instagram"]
        named = instagram or [one for one in named if not one.is_page]
    else:
        # A page's id is that of its own inbox, also before that is registered.
        named = [one for one in named if one.page_id == one.id or one.graph_id != one.id]
    named.sort(key=lambda one: (one.page_id != one.id, one.page_id))
    if not named:
        return None
    return Account(named[0].page_id, frozenset((named[0].page_id, *named[0].other_ids)))


def _place(
    item: Item, delivery: Delivery, accounts: dict[str, list[NamedAccount]], app_id: str | None
) -> Item:
    account = _find(item, accounts)
    if account is None:
        return item
    others = account.ids - {item.page_id}
    if item.page_id != account.page_id or not others.isdisjoint(parties_of(item.raw)):
        item = parse_item(item.raw, delivery.received_at, account, item.path, app_id=app_id)
    return replace(item, account=account)


def _find_contacts(
    connection: Connection, placed: list[ParsedDelivery], app_id: str | None
) -> list[ParsedDelivery]:
    """The deliveries with the contacts that only stored messages show."""
    named: dict[str, set[str]] = defaultdict(set)
    for _, items in placed:
        for item in items:
            if item.account and _is_ambiguous(item, item.account):
                named[item.account.page_id] |= {*named_messages(item.raw)}
    contacts = {
        page_id: inbox.find_message_contacts(connection, page_id, sorted(ids))
        for page_id, ids in named.items()
        if ids
    }
    if not any(contacts.values()):
        return placed
    return [
        (delivery, [_with_contact(item, delivery, contacts, app_id) for item in items])
        for delivery, items in placed
    ]


def _with_contact(
    item: Item, delivery: Delivery, contacts: dict[str, dict[str, str]], app_id: str | None
) -> Item:
    if item.account is None:
        return item
    known = message_contact(item, contacts.get(item.account.page_id, {}), item.account)
    if known is None:
        return item
    found = parse_item(item.raw, delivery.received_at, known, item.path, app_id=app_id)
    return replace(found, account=item.account)


def _is_ambiguous(item: Item, account: Account) -> bool:
    """Whether the parties do not show who the contact is: neither of them has an id of the account,
    or neither is a person."""
    if not is_item(item.raw) or item.ignored:
        return False
    parties = [party for party in parties_of(item.raw) if party is not None]
    return item.contact_id is None or (len(parties) == 2 and account.ids.isdisjoint(parties))
