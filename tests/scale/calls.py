"""The functions of the hot path, each called as a walk, a drain or a look at the status calls it.

The limits allow for what a call returns or writes, not for what else is stored.
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
"""The open session of each page; of the first two a full one, with gaps."""
BESIDE = "00000000-0000-4000-8000-000000000002"
"""The incremental session of the great page, beside the full one."""

AT = "2026-05-01T12:00:00Z"

Json = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """A call, and the most rows and buffers that it may read."""

    name: str
    statement: str
    rows: int
    buffers: int


def list_calls(sizes: dict[str, int]) -> Iterator[Call]:
    """The calls. `sizes` as in seeding.py: some limits allow for one pass over a page or table."""
    for page, name in ((BIG, "great"), (SMALL, "small")):
        session = SESSIONS[page]
        for call in (*_loads(page), *_walk_of_page(page, session), *_session(page, session)):
            yield Call(f"{call.name}, {name} page", call.statement, call.rows, call.buffers)
    yield from _full_walks(sizes)
    yield from _walk_of_any()
    yield from _webhooks()
    yield from _status(sizes)
    yield from _alerts()
    yield from _housekeeping()


def _loads(page: str) -> Iterator[Call]:
    new = _event("m_new")
    newest, edited = _event(_message(page, 3, 1)), _event(_message(page, 2, 2))
    late = _event("m_new", event_timestamp="2026-12-01T12:00:00Z")
    seen = [f"t_{_sender(page, n)}" for n in range(2, 5)]
    gap = {"thread_id": seen[1], "newest_time": AT}
    for name, statement in {
        "a new message": _load(page, [_talk(page, 3, new)], threads=[_thread(page, 3)]),
        "a known message": _load(page, [_talk(page, 3, newest)]),
        "an edited message": _load(page, [_talk(page, 2, edited)]),
        "a message of the longest thread": _load(page, [_talk(page, 1, late)]),
        "a message without an id": _load(page, [_talk(page, 3, _event(None))]),
        "a thread without a contact": _load(page, [_talk(page, 3, new, thread_id="t_new")]),
        "threads that are seen": _load(page, [], threads_seen=seen),
        "a new gap": _load(page, [], gaps_opened=[gap]),
        "a moved gap": _load(page, [], gap_moved={"id": 1, "newest_time": "2020-01-01T00:00:00Z"}),
        "an edit": _deliver(page, 3, event_type="edit", discriminator="2"),
        "an unsend": _deliver(page, 3, event_type="unsend"),
        "a reaction": _deliver(page, 3, event_type="reaction", discriminator="me"),
        "a new contact": _deliver(page, 999_999_999, message_id="m_new"),
    }.items():
        yield Call(f"load {name}", statement, 500, 600)
    # 524 messages: each is inserted into six indexes, or looked up and compared.
    known = [_talk(page, n, *(_event(_message(page, n, k)) for k in range(1, 13))) for n in (2, 3)]
    fresh = [_talk(page, 10**8 + n, *(_event(f"m_{n}_{k}") for k in range(25))) for n in range(20)]
    threads = [_thread(page, n) for n in (2, 3)]
    yield Call("load a response", _load(page, known + fresh, threads=threads), 5000, 32_000)


def _walk_of_page(page: str, session: str) -> Iterator[Call]:
    some = [f"t_{_sender(page, n)}" for n in range(2, 5)]
    messages = _array([_message(page, n, 1) for n in range(2, 5)])
    gone = "array[now(), now(), now()]"
    for statement, rows, buffers in (
        (f"list_thread_states('{page}', {_array(some)}, '{session}')", 50, 100),
        (f"list_due_gaps('{page}', '{session}', true, 50)", 200, 300),
        (f"list_due_gaps('{page}', '{BESIDE}', false, 50)", 200, 300),
        (f"list_due_list_gap('{page}', '{session}')", 10, 20),
        (f"begin_thread('{page}', '{some[0]}')", 10, 50),
        (f"release_threads('{page}', {_array(some)})", 20, 100),
        (f"mark_threads_gone('{session}', 1, {_array(some)}, {gone})", 300, 500),
        (f"recount_conversations('{page}', 1, '{_sender(page, 1)}', 2)", 200, 200),
        (f"find_message_contacts('{page}', {messages})", 50, 100),
    ):  # fmt: skip
        yield _call(statement, rows, buffers)


def _session(page: str, session: str) -> Iterator[Call]:
    scopes = f"array['page:{page}', 'token:{page}', 'app:1']"
    effort = _quoted({"api_calls": 1, "seconds": 1, "waited_seconds": 0})
    for statement, rows, buffers in (
        (f"check_fence('{page}', 1)", 10, 20),
        (f"open_sync_session('{page}', 1, 'incremental', 'run-x')", 50, 100),
        (f"choose_sync_session('{page}', 'auto', 'run-x')", 20, 50),
        (f"suspend_sync_session('{session}', 1, 60)", 20, 50),
        (f"complete_sync_session('{session}', 1)", 50, 100),
        (f"get_sync_session('{session}')", 10, 20),
        (f"add_sync_effort('{session}', {effort}, null)", 50, 100),
        (f"record_sync_wait('{session}', 5, 'Meta')", 20, 50),
        (f"request_sync('{session}', '{page}', 'auto', null, null, 'me')", 50, 100),
        (f"was_list_refused('{page}')", 20, 50),
        (f"find_last_activity('{page}')", 10, 30),
        (f"list_last_sessions('{page}', 5)", 20, 30),
        (f"reserve_graph_call({scopes}, 2)", 50, 100),
        (f"record_graph_usage({scopes}, array[10, 20, 30])", 50, 100),
        # Up to 10,000 open gaps are counted.
        (f"get_sync_progress(array['{session}']::uuid[])", 10_100, 10_500),
        (f"list_quarantined('{page}')", 500, 800),
    ):
        yield _call(statement, rows, buffers)


def _full_walks(sizes: dict[str, int]) -> Iterator[Call]:
    """What happens once in a walk of all threads of a page, and may read all of them."""
    great, small, refused = SESSIONS[BIG], SESSIONS[SMALL], SESSIONS[REFUSED]
    threads, gaps = sizes["conversations"], sizes["gaps"]
    yield _call(f"list_missing_threads('{great}', 1, false)", threads + 100, threads)
    yield _call(f"list_missing_threads('{great}', 1, true)", 3 * threads + 100, 3 * threads)
    yield _call(f"list_missing_threads('{small}', 1, true)", 100, 100)
    # It takes over the gaps of the session that it replaces.
    start = "open_sync_session('{}', 1, 'full', 'run-x')"
    yield _call(start.format(BIG), threads + 2 * gaps + 100, threads + 20 * gaps)
    yield _call(start.format(SMALL), 200, 300)
    # Once for 500 calls of the Graph API, where Meta refuses a page's list.
    yield _call(f"list_unseen_threads('{great}', 500)", threads + 2000, threads + 3000)
    yield _call(f"list_unseen_threads('{BESIDE}', 500)", 4 * threads, 8 * threads)
    yield _call(f"list_unseen_threads('{small}', 500)", 100, 200)
    yield _call(f"list_unseen_threads('{refused}', 500)", 100, 300)


def _walk_of_any() -> Iterator[Call]:
    new = [_talk(BIG, 3, _event("m_new"))]
    statement = _load(BIG, new, BESIDE, threads=[_thread(BIG, 3)])
    yield Call("load by an incremental walk", statement, 500, 600)
    moved = _quoted({"id": 1, "newest_time": "2020-01-01T00:00:00Z"})
    for statement, rows, buffers in (
        ("begin_gap(1)", 10, 100),
        (f"move_gap({moved})", 20, 100),
        ("release_gaps(array[1, 2])", 10, 100),
        ("request_continuations('{}')", 50, 100),
        ("claim_sync_requests('{}')", 50, 100),
        ("claim_due_records(10)", 100, 200),
        ("list_leases()", 30, 50),
        # Of each page of the registry one row, or a lookup.
        ("list_due_pages()", 600, 100),
        ("list_pages_to_check()", 2000, 2000),
        ("list_pages_for_full_sync()", 1100, 2500),
    ):
        yield _call(statement, rows, buffers)


def _webhooks() -> Iterator[Call]:
    item = {"page_id": BIG, "items": 1, "first_at": AT, "last_at": AT}
    settled = [{"id": 5, "state": "done"}, {"id": 6, "state": "pending", "retry_seconds": 5}]
    record = {"source": "webhook", "kind": "item", "identity": "x", "reason": "bad", "record": {}}
    for statement, rows, buffers in (
        ("receive_webhook_deliveries(array['x', 'y']::bytea[])", 10, 50),
        ("claim_webhook_deliveries(200)", 1000, 2500),
        ("claim_webhook_deliveries(200, array[5, 6])", 50, 100),
        ("list_unreadable_deliveries(200)", 1000, 2500),
        ("count_webhook_claim(array[1, 2])", 10, 50),
        (f"settle_webhook_deliveries({_quoted(settled)})", 50, 200),
        ("count_waiting_deliveries(p_limit => 1000)", 1000, 1200),
        ("get_inbox_figures(interval '1 day', 1000)", 2000, 2000),
        ("get_webhook_deliveries(array[5, 6])", 10, 20),
        (f"find_registered_pages(array['{BIG}', '{SMALL}', '9'])", 50, 100),
        (f"count_webhook_items({_quoted([item])})", 20, 50),
        (f"quarantine('{BIG}', {_quoted([record])})", 20, 50),
        ("resolve_replayed_deliveries(array(select id from webhook_inbox"
         " where state = 'done' order by settled_at limit 20))", 200, 500),
    ):  # fmt: skip
        yield _call(statement, rows, buffers)


def _status(sizes: dict[str, int]) -> Iterator[Call]:
    for statement, rows, buffers in (
        # Up to 10,000 gaps, deliveries, records or conversations of a page are counted.
        ("get_sync_progress()", 11_000, 11_000),
        ("public.active_syncs", 11_000, 11_000),
        ("get_overview()", 22_000, 15_000),
        ("list_page_states('', null, 0, 50)", 12_000, 12_000),
        ("list_metrics(1000)", 13_000, 8000),
        ("list_sync_sessions(now() - interval '1 minute')", 50, 100),
        ("list_alerts()", 500, 500),
        # In Dagster's metadata of a sync: up to 100,000 events are counted.
        (f"count_page_rows('{BIG}')", 220_000, 260_000),
        (f"count_page_rows('{SMALL}')", 500, 500),
        # Hourly checks: a lookup per page…
        ("list_page_lags(4, interval '1 hour')", 2500, 6000),
        ("list_quarantine_rates(interval '1 day')", 15_000, 15_000),
        ("list_session_warnings()", 2500, 6000),
        ("list_stuck_leases(interval '1 hour', interval '1 hour')", 50, 100),
        ("list_unknown_fields(interval '7 days')", 2500, 6000),
        # …or one pass over the gaps, or over the threads.
        ("list_page_gaps(interval '1 day')", sizes["gaps"] + 100, sizes["gaps"]),
        ("list_short_conversations(0.5, 5)",
         4 * sizes["conversations"], sizes["conversations"]),
        # What a person looks at: one pass over each table.
        ("public.sync_statistics",
         3 * sizes["sessions"], sizes["sessions"]),
        ("webhook_backlog", 3 * sizes["deliveries"], sizes["deliveries"]),
    ):  # fmt: skip
        yield _call(statement, rows, buffers)


def _alerts() -> Iterator[Call]:
    """Each minute, of each page: a few rows, and up to 1,000 of what is wrong."""
    check = _quoted({"token_valid": True})
    for statement, rows, buffers in (
        ("find_page_conditions()", 2000, 4000),
        ("find_sync_conditions()", 8000, 12_000),
        ("find_webhook_conditions()", 7000, 15_000),
        ("find_coverage_conditions()", 10_000, 20_000),
        ("find_quarantine_conditions()", 25_000, 25_000),
        ("find_token_conditions()", 2000, 4000),
        ("find_dagster_conditions()", 10, 10),
        ("update_alerts()", 40_000, 80_000),
        ("claim_alert_message()", 100, 200),
        (f"record_page_check('{BIG}', 'sealed {BIG}', {check})", 50, 100),
    ):
        yield _call(statement, rows, buffers)


def _housekeeping() -> Iterator[Call]:
    for statement, rows, buffers in (
        ("delete_settled_deliveries(interval '5 days', 100)", 500, 2000),
        ("delete_settled_deliveries(interval '500 days', 100)", 50, 100),
        ("delete_ended_sessions(interval '30 days', 100)", 2000, 5000),
        ("delete_ended_sessions(interval '300 days', 100)", 50, 100),
        ("delete_old_alerts(interval '300 days', interval '300 days')", 50, 100),
    ):
        yield _call(statement, rows, buffers)


def _call(statement: str, rows: int, buffers: int) -> Call:
    return Call(statement, f"select * from {statement}", rows, buffers)


def _sender(page: str, number: int) -> str:
    return f"{page}{number:09}"


def _message(page: str, number: int, k: int) -> str:
    """The id of the k-th newest message of a conversation."""
    text = f"{_sender(page, number)}/{k}".encode()
    return "m_" + hashlib.md5(text, usedforsecurity=False).hexdigest()


def _event(message_id: str | None, **fields: Any) -> Json:
    named = {"message_id": message_id} if message_id else {}
    return {
        "event_type": "message_received",
        "event_timestamp": AT,
        "message_id": message_id,
        "metadata": {"source": "webhook", "text": "hello"} | named,
    } | fields


def _talk(page: str, number: int, *events: Json, thread_id: str | None = None) -> Json:
    """A conversation with events; with a `thread_id` one whose contact has no id."""
    named = {"thread_id": thread_id} if thread_id else {}
    return {
        "sender_id": thread_id or _sender(page, number),
        "sender_name": f"Contact {number}",
        "as_of": AT,
        "events": list(events),
    } | named


def _thread(page: str, number: int) -> Json:
    return {
        "thread_id": f"t_{_sender(page, number)}",
        "sender_id": _sender(page, number),
        "updated_time": AT,
        "message_count": 15,
        "newest_message_id": "m_new",
        "answered_at": AT,
        "newest_loaded_at": AT,
        "newest_loaded_message_id": "m_new",
    }


def _load(page: str, conversations: list[Json], session: str = "", **response: Any) -> str:
    rest = {"load_id": "1", "fetched": len(conversations), "threads": []} | response
    return (
        f"select * from load_sync_response('{session or SESSIONS[page]}', 1, 7,"
        f" {_quoted(conversations)}, {_quoted(rest)})"
    )


def _deliver(page: str, number: int, message_id: str = "", **fields: Any) -> str:
    """The load of a webhook's event, which names the newest message of a conversation."""
    event = _event(message_id or _message(page, number, 1), **fields)
    pages = [{"page_id": page, "conversations": [_talk(page, number, event)]}]
    return f"select * from load_webhook_events({_quoted(pages)})"


def _quoted(value: Any) -> str:
    return "'" + json.dumps(value).replace("'", "''") + "'"


def _array(values: list[str]) -> str:
    return "array['" + "', '".join(values) + "']::text[]"
