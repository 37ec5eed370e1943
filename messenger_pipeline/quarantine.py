"""Quarantined records on their way back: validate, dedupe and load, as when they first came."""

from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.quarantine import Quarantined, resolve_quarantined
from messenger_pipeline.errors import DatabaseError, DatabaseUnavailable
from messenger_pipeline.graph.models import Reject
from messenger_pipeline.graph.reading import parse_message_record, parse_thread_record
from messenger_pipeline.rows import ConversationRow
from messenger_pipeline.sync.plan import Page, parse_history, plan_threads
from messenger_pipeline.webhook.deliveries import parse_item


def replay(database: Database, record: Quarantined) -> str | None:
    """Load a record again. None if it is resolved, else why it still cannot be used."""
    rows = _rows(record)
    if isinstance(rows, str):
        return rows
    try:
        resolve_quarantined(database, record, rows)
    except DatabaseUnavailable:
        raise
    except DatabaseError as error:
        return str(error)
    return None


def _rows(record: Quarantined) -> list[ConversationRow] | str:
    page = Page(record.page_id, "incremental_sync")
    if record.kind == "event":
        return [record.record]
    if record.kind == "delivery":
        number = record.record.get("delivery") if isinstance(record.record, dict) else None
        return (
            f"it is a whole delivery: `messenger-pipeline webhook replay {number}` tries it again"
        )
    if record.kind == "item":
        return _of_item(record)
    if record.kind == "thread":
        thread = parse_thread_record(record.record)
        if isinstance(thread, Reject):
            return thread.reason
        plan = plan_threads([thread], {}, page, record.last_seen_at)
        return plan.rejects[0].reason if plan.rejects else plan.conversations
    message = parse_message_record(record.record)
    if isinstance(message, Reject):
        return message.reason
    if record.sender_id is None:
        return f"its thread {record.thread_id} is not known: sync the page first"
    return parse_history([message], record.sender_id, page, record.last_seen_at)


def _of_item(record: Quarantined) -> list[ConversationRow] | str:
    item = parse_item(record.record, record.first_seen_at)
    if item.unusable:
        return item.unusable
    if item.ignored or item.contact_id is None:
        return []
    if item.page_id != record.page_id:
        return f"it is of page {item.page_id} now: replay its delivery"
    as_of = max(event["as_of"] for event in item.events)
    return [{"sender_id": item.contact_id, "sender_name": None, "as_of": as_of,
             "events": item.events}]  # fmt: skip
