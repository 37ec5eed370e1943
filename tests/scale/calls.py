"""The functions of the hot path, each called as a walk, a drain or a look at the status calls it.

The limits are of rows and buffers read by one call in the skewed database of seed.sql. They allow
for what the call returns or writes, not for what else is stored.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

BIG, SMALL, REFUSED = "1000", "2001", "2002"
SESSIONS = {
    BIG: "00000000-0000-4000-8000-000000000001",
    SMALL: "00000000-0000-4000-8000-000000000003",
    REFUSED: "00000000-0000-4000-8000-000000000004",
}
INCREMENTAL = "00000000-0000-4000-8000-000000000002"


@dataclass(frozen=True)
class Call:
    """A call, and the most rows and buffers that it may read."""

    name: str
    statement: str
    rows: int
    buffers: int


def sender(page: str, number: int) -> str:
    return f"{page}{number:09}"


def message(page: str, number: int, k: int) -> str:
    """The id of the k-th newest message of a conversation."""
    digest = hashlib.md5(f"{sender(page, number)}/{k}".encode(), usedforsecurity=False)
    return f"m_{digest.hexdigest()}"


def event(message_id: str | None, **fields: Any) -> dict[str, Any]:
    metadata = {"source": "webhook", "text": "hello"} | ({"message_id": message_id} if message_id else {})
    return {
        "event_type": "message_received",
        "event_timestamp": "2026-05-01T12:00:00Z",
        "message_id": message_id,
        "metadata": metadata,
    } | fields


def conversation(page: str, number: int, *events: dict[str, Any]) -> dict[str, Any]:
    return {
        "sender_id": sender(page, number),
        "sender_name": f"Contact {number}",
        "as_of": "2026-05-01T12:00:00Z",
        "events": list(events),
    }


def thread(page: str, number: int) -> dict[str, Any]:
    return {
        "thread_id": f"t_{sender(page, number)}",
        "sender_id": sender(page, number),
        "updated_time": "2026-05-01T12:00:00Z",
        "message_count": 15,
        "newest_message_id": "m_new",
        "answered_at": "2026-05-01T12:00:00Z",
        "newest_loaded_at": "2026-05-01T12:00:00Z",
        "newest_loaded_message_id": "m_new",
    }


def quoted(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return "'" + text.replace("'", "''") + "'"


def load(page: str, conversations: list[dict[str, Any]], session: str = "", **response: Any) -> str:
    rest = {"load_id": "1", "fetched": len(conversations), "threads": []} | response
    return (
        f"select * from load_sync_response('{session or SESSIONS[page]}', 1, 7,"
        f" {quoted(conversations)}, {quoted(rest)})"
    )


def webhook(*pages: dict[str, Any]) -> str:
    return f"select * from load_webhook_events({quoted(list(pages))})"


def array(values: list[str]) -> str:
    return "array[" + ", ".join(quoted(one) for one in values) + "]::text[]"


def list_calls() -> Iterator[Call]:
    for page, what in ((BIG, "big"), (SMALL, "small")):
        for name, statement, rows, buffers in _of_page(page, SESSIONS[page]):
            yield Call(f"{name}-{what}", statement, rows, buffers)
    for name, statement, rows, buffers in (*_of_walks(), *_of_webhooks(), *_of_status(), *_of_alerts(), *_of_housekeeping()):
        yield Call(name, statement, rows, buffers)


Row = tuple[str, str, int, int]


def _of_page(page: str, session: str) -> Iterator[Row]:
    some = [f"t_{sender(page, n)}" for n in range(2, 5)]
    new = event("m_new")
    yield "load one new message", load(page, [conversation(page, 3, new)], threads=[thread(page, 3)]), 200, 500
    yield "load one known message", load(page, [conversation(page, 3, event(message(page, 3, 1)))]), 200, 500
    yield "load in the longest thread", load(page, [conversation(page, 1, event("m_new", event_timestamp="2026-12-01T12:00:00Z"))]), 200, 500
    yield "load an edit", webhook({"page_id": page, "conversations": [conversation(page, 3, event(message(page, 3, 1), event_type="edit", discriminator="2"))]}), 200, 500
    yield "load an unsend", webhook({"page_id": page, "conversations": [conversation(page, 3, event(message(page, 3, 1), event_type="unsend", discriminator=""))]}), 200, 500
    yield "load a reaction", webhook({"page_id": page, "conversations": [conversation(page, 3, event(message(page, 3, 1), event_type="reaction", discriminator="x"))]}), 200, 500
    yield "load an edited message", webhook({"page_id": page, "conversations": [conversation(page, 2, event(message(page, 2, 2)))]}), 200, 500
    yield "load one without an id", load(page, [conversation(page, 3, event(None))]), 200, 500
    yield "load a new contact", webhook({"page_id": page, "conversations": [conversation(page, 999_999_999, new)]}), 200, 500
    yield "load a contactless thread", load(page, [conversation(page, 3, new) | {"sender_id": "t_new", "thread_id": "t_new"}], threads=[thread(page, 3)]), 300, 600
    yield "load seen threads", load(page, [], threads_seen=some), 200, 300
    yield "load a gap", load(page, [], gaps_opened=[{"thread_id": some[1], "newest_time": "2026-05-01T12:00:00Z"}]), 200, 300
    yield "load a moved gap", load(page, [], gap_moved={"id": 1, "newest_time": "2020-05-01T12:00:00Z"}), 200, 300
    yield "load a response", load(
        page,
        [conversation(page, n, *(event(message(page, n, k)) for k in range(1, 13))) for n in range(2, 4)]
        + [conversation(page, 10**8 + n, *(event(f"m_{n}_{k}") for k in range(25))) for n in range(20)],
        threads=[thread(page, n) for n in range(2, 4)],
    ), 4000, 15_000
    yield "list_thread_states", f"select * from list_thread_states('{page}', {array(some)}, '{session}')", 100, 200
    yield "list_due_gaps own", f"select * from list_due_gaps('{page}', '{session}', true, 1)", 100, 100
    yield "list_due_gaps others", f"select * from list_due_gaps('{page}', '{INCREMENTAL}', false, 1)", 100, 100
    yield "list_due_list_gap", f"select * from list_due_list_gap('{page}', '{session}')", 10, 20
    yield "list_missing_threads", f"select * from list_missing_threads('{session}', 1, false)", 100, 100
    yield "list_missing_threads final", f"select * from list_missing_threads('{session}', 1, true)", 1000, 1000
    yield "mark_threads_gone", f"select mark_threads_gone('{session}', 1, {array(some)}, array_fill(now(), array[3]))", 500, 500
    yield "list_unseen_threads", f"select * from list_unseen_threads('{session}', 50)", 300, 300
    yield "begin_thread", f"select begin_thread('{page}', '{some[0]}')", 10, 50
    yield "recount_conversations", f"select recount_conversations('{page}', 1, '{sender(page, 1)}', 2)", 1000, 1000
    yield "check_fence", f"select check_fence('{page}', 1)", 10, 20
    yield "start a full sync", f"select open_sync_session('{page}', 1, 'full', 'run-x')", 100, 200
    yield "start an incremental sync", f"select open_sync_session('{page}', 1, 'incremental', 'run-x')", 100, 200
    yield "choose_sync_session", f"select choose_sync_session('{page}', 'auto', 'run-x')", 50, 100
    yield "suspend_sync_session", f"select suspend_sync_session('{session}', 1, 60)", 50, 100
    yield "complete_sync_session", f"select complete_sync_session('{session}', 1)", 50, 100
    yield "request_sync", f"select * from request_sync('{session}', '{page}', 'auto', null, null, 'me')", 50, 100
    yield "record_sync_wait", f"select record_sync_wait('{session}', 5, 'Meta')", 50, 100
    yield "was_list_refused", f"select was_list_refused('{page}')", 10, 30
    yield "find_last_activity", f"select find_last_activity('{page}')", 10, 30
    yield "list_last_sessions", f"select * from list_last_sessions('{page}', 5)", 20, 30
    yield "reserve_graph_call", f"select * from reserve_graph_call(array['page:{page}', 'token:{page}', 'app:1'], 2)", 50, 100
    yield "record_graph_usage", f"select record_graph_usage(array['page:{page}', 'token:{page}', 'app:1'], array[10, 20, 30])", 50, 100
    yield "get_sync_progress of one", f"select * from get_sync_progress(array['{session}']::uuid[])", 50, 100
    yield "get_sync_session", f"select * from get_sync_session('{session}')", 10, 20
    yield "add_sync_effort", f"""select add_sync_effort('{session}', '{{"api_calls": 1, "seconds": 1, "waited_seconds": 0}}', null)""", 50, 100
    yield "find_message_contacts", f"select * from find_message_contacts('{page}', {array([message(page, n, 1) for n in range(1, 5)])})", 50, 100
    yield "list_quarantined", f"select * from list_quarantined('{page}')", 500, 500
    yield "list_set_aside_gaps", f"select * from list_set_aside_gaps('{page}')", 500, 500


def _of_walks() -> Iterator[Row]:
    yield "list_unseen_threads of a refused list", f"select * from list_unseen_threads('{SESSIONS[REFUSED]}', 50)", 300, 300
    yield "list_unseen_threads incremental", f"select * from list_unseen_threads('{INCREMENTAL}', 50)", 300, 300
    yield "load by an incremental walk", load(BIG, [conversation(BIG, 3, event("m_new"))], INCREMENTAL, threads=[thread(BIG, 3)]), 200, 500
    yield "begin_gap", "select begin_gap(1)", 10, 50
    yield "move_gap", "select move_gap('{\"id\": 1, \"newest_time\": \"2020-01-01T00:00:00Z\"}')", 20, 100
    yield "release_gaps", "select release_gaps(array[1, 2])", 10, 50
    yield "request_continuations", "select * from request_continuations('{}')", 50, 100
    yield "claim_sync_requests", "select * from claim_sync_requests('{}')", 50, 100
    yield "claim_due_records", "select * from claim_due_records(10)", 100, 200
    yield "list_due_pages", "select * from list_due_pages()", 600, 100
    yield "list_pages_to_check", "select * from list_pages_to_check()", 2000, 2000
    yield "list_pages_for_full_sync", "select * from list_pages_for_full_sync()", 1100, 2500
    yield "list_leases", "select * from list_leases()", 20, 50


def _of_webhooks() -> Iterator[Row]:
    yield "receive_webhook_deliveries", "select receive_webhook_deliveries(array['x', 'y']::bytea[])", 10, 100
    yield "claim_webhook_deliveries", "select id from claim_webhook_deliveries(200)", 1000, 2500
    yield "claim_webhook_deliveries by id", "select id from claim_webhook_deliveries(200, array[5, 6])", 100, 200
    yield "list_unreadable_deliveries", "select * from list_unreadable_deliveries(200)", 1000, 2500
    yield "count_webhook_claim", "select count_webhook_claim(array[1, 2])", 10, 50
    yield "settle_webhook_deliveries", "select settle_webhook_deliveries('[{\"id\": 5, \"state\": \"done\"}, {\"id\": 6, \"state\": \"pending\", \"retry_seconds\": 5}]')", 50, 200
    yield "count_waiting_deliveries", "select * from count_waiting_deliveries()", 1000, 1000
    yield "get_inbox_figures", "select * from get_inbox_figures(interval '5 minutes')", 1000, 1000
    yield "get_webhook_deliveries", "select * from get_webhook_deliveries(array[5, 6])", 20, 50
    yield "find_registered_pages", f"select * from find_registered_pages(array['{BIG}', '{SMALL}', '9'])", 50, 100
    yield "count_webhook_items", f"""select count_webhook_items('[{{"page_id": "{BIG}", "items": 1, "received": 1, "sent": 0, "first_at": "2026-05-01T12:00:00Z", "last_at": "2026-05-01T12:00:00Z"}}]')""", 20, 50
    yield "quarantine", "select quarantine('1000', '[{\"source\": \"webhook\", \"kind\": \"item\", \"identity\": \"x\", \"reason\": \"bad\", \"record\": {}}]')", 20, 50
    yield "resolve_replayed_deliveries", "select resolve_replayed_deliveries(array[5, 6])", 50, 100
    yield "reopen_webhook_deliveries", "select count(*) from reopen_webhook_deliveries(p_state => 'failed', p_limit => 10)", 100, 500


def _of_status() -> Iterator[Row]:
    yield "get_sync_progress", "select * from get_sync_progress()", 200, 300
    yield "get_overview", "select * from get_overview()", 2000, 2000
    yield "list_page_states", "select * from list_page_states('', null, 0, 50)", 2000, 5000
    yield "active_syncs", "select * from public.active_syncs", 200, 300
    yield "sync_statistics", "select * from public.sync_statistics", 2000, 5000
    yield "webhook_backlog", "select * from webhook_backlog", 2000, 5000
    yield "list_metrics", "select * from list_metrics(1000)", 5000, 10_000
    yield "list_sync_sessions", "select * from list_sync_sessions(now() - interval '1 minute')", 50, 100
    yield "list_alerts", "select * from list_alerts()", 500, 500
    yield "count_page_rows", f"select * from count_page_rows('{BIG}')", 2000, 5000
    yield "list_page_gaps", "select * from list_page_gaps(interval '1 day')", 2000, 5000
    yield "list_page_lags", "select * from list_page_lags(4, interval '1 hour')", 2500, 6000
    yield "list_quarantine_rates", "select * from list_quarantine_rates(interval '1 day')", 2500, 6000
    yield "list_session_warnings", "select * from list_session_warnings()", 2500, 6000
    yield "list_short_conversations", "select * from list_short_conversations(0.5, 5)", 2500, 6000
    yield "list_stuck_leases", "select * from list_stuck_leases(interval '1 hour', interval '1 hour')", 50, 100
    yield "list_unknown_fields", "select * from list_unknown_fields(interval '7 days')", 2500, 6000


def _of_alerts() -> Iterator[Row]:
    for name in ("page", "sync", "webhook", "coverage", "quarantine", "token", "dagster"):
        yield f"find_{name}_conditions", f"select * from find_{name}_conditions()", 3000, 8000
    yield "update_alerts", "select * from update_alerts()", 15_000, 40_000
    yield "claim_alert_message", "select * from claim_alert_message()", 500, 500
    yield "record_page_check", f"select record_page_check('{BIG}', 'sealed {BIG}', '{{\"token_valid\": true}}')", 50, 100


def _of_housekeeping() -> Iterator[Row]:
    yield "delete_settled_deliveries", "select delete_settled_deliveries(interval '5 days', 100)", 500, 2000
    yield "delete_settled_deliveries none", "select delete_settled_deliveries(interval '500 days', 100)", 50, 100
    yield "delete_ended_sessions", "select delete_ended_sessions(interval '30 days', 100)", 2000, 5000
    yield "delete_ended_sessions none", "select delete_ended_sessions(interval '300 days', 100)", 100, 200
    yield "delete_old_alerts", "select * from delete_old_alerts(interval '300 days', interval '300 days')", 100, 200
