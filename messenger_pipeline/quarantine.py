"""Replays quarantined records through the functions that validate, dedupe and load new ones."""

import logging
from datetime import datetime
from typing import Any

from messenger_pipeline.db.inbox import find_message_contacts
from messenger_pipeline.db.pages import get_page
from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.quarantine import (
    Quarantined,
    claim_due_records,
    list_quarantined,
    resolve_quarantined,
)
from messenger_pipeline.errors import DatabaseUnavailable, UnknownPage, reason_of
from messenger_pipeline.graph.models import Reject
from messenger_pipeline.graph.reading import parse_message_record, parse_thread_record
from messenger_pipeline.rows import ConversationRow
from messenger_pipeline.sync.plan import Page, parse_history, plan_threads
from messenger_pipeline.webhook.accounts import message_contact
from messenger_pipeline.webhook.items import Account, Item, named_messages, parse_item
from messenger_pipeline.webhook.rows import conversation_row
from messenger_pipeline.webhook.times import parse_time

_log = logging.getLogger(__name__)


def replay(database: Database, record: Quarantined, app_id: str | None = None) -> str | None:
    """Load a record again. Returns None if it is resolved, else the reason why it is not. Raises
    DatabaseUnavailable. `app_id` is our own app's."""
    try:
        rows = _rows(database, record, app_id)
        if isinstance(rows, str):
            return rows
        resolve_quarantined(database, record, rows)
    except DatabaseUnavailable:
        raise
    except Exception as error:  # noqa: BLE001 - the next record has nothing to do with it
        return reason_of(error)
    return None


def retry_due(database: Database, limit: int = 20, app_id: str | None = None) -> int:
    """Try records again that are due: what refused them may be repaired, or this version may
    understand them. Returns how many are resolved. Raises DatabaseError."""
    resolved = 0
    ids = claim_due_records(database, limit)
    for record in list_quarantined(database, ids=ids) if ids else ():
        reason = replay(database, record, app_id)
        resolved += reason is None
    if resolved:
        _log.info("%d quarantined records could be loaded now", resolved)
    return resolved


def _rows(
    database: Database, record: Quarantined, app_id: str | None
) -> list[ConversationRow] | str:
    match record.kind:
        case "event":
            return [record.record]
        case "delivery":
            number = record.record.get("delivery") if isinstance(record.record, dict) else None
            return f"it is a whole delivery: run `messenger-pipeline webhook replay {number}`"
        case "item":
            return _rows_of_item(database, record, app_id)
        case "thread":
            return _rows_of_thread(record, _page(database, record))
        case _:
            return _rows_of_message(record, _page(database, record))


def _rows_of_thread(record: Quarantined, page: Page) -> list[ConversationRow] | str:
    thread = parse_thread_record(record.record)
    if isinstance(thread, Reject):
        return thread.reason
    plan = plan_threads([thread], {}, page, record.last_seen_at)
    return plan.rejects[0].reason if plan.rejects else plan.conversations


def _rows_of_message(record: Quarantined, page: Page) -> list[ConversationRow] | str:
    message = parse_message_record(record.record)
    if isinstance(message, Reject):
        return message.reason
    if record.sender_id is None:
        return f"its thread {record.thread_id} is not stored: sync the page first"
    return parse_history([message], record.sender_id, page, record.last_seen_at, record.thread_id)


def _rows_of_item(
    database: Database, record: Quarantined, app_id: str | None
) -> list[ConversationRow] | str:
    item = _parse_item(database, record, app_id)
    if item.unusable:
        return item.unusable
    if item.ignored or item.contact_id is None:
        return []
    if item.page_id != record.page_id:
        return f"it now belongs to page {item.page_id}: replay its delivery"
    return [conversation_row(item.contact_id, [item.time], item.events)]


def _parse_item(database: Database, record: Quarantined, app_id: str | None) -> Item:
    """The item as one of the record's page, with the contact of the message that it names."""
    received_at = _received_at(record.record) or record.first_seen_at
    try:
        page = get_page(database, record.page_id)
    except UnknownPage:
        return parse_item(record.record, received_at, app_id=app_id)
    account = Account(record.page_id, page.ids)
    item = parse_item(record.record, received_at, account, app_id=app_id)
    message_ids = named_messages(record.record) if item.contact_id is None else []
    if not message_ids:
        return item
    with database.transaction() as connection:
        contacts = find_message_contacts(connection, record.page_id, message_ids)
    known = message_contact(item, contacts, account)
    return parse_item(record.record, received_at, known, app_id=app_id) if known else item


def _received_at(raw: Any) -> datetime | None:
    """When the item's delivery was received; None in a record of an earlier version."""
    return parse_time(raw.get("received_at")) if isinstance(raw, dict) else None


def _page(database: Database, record: Quarantined) -> Page:
    try:
        ids = get_page(database, record.page_id).ids
    except UnknownPage:
        ids = frozenset()
    return Page(record.page_id, "incremental_sync", ids)
