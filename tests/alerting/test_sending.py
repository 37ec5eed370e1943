"""Notifications over real HTTP, to a notifier that accepts them or fails."""

import itertools
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from messenger_pipeline.alerting import messages
from messenger_pipeline.alerting import watch as watching
from messenger_pipeline.alerting.notifier import Notifier
from messenger_pipeline.alerting.watch import Watcher, send_messages, watch
from messenger_pipeline.db.alerts import ClaimedAlert, list_alerts, update_alerts
from messenger_pipeline.db.pool import Database
from messenger_pipeline.errors import DatabaseError
from tests.alerting.evaluation import expire_tokens, make_messages_due, renew_tokens
from tests.alerting.notifier_stub import SECRET, NotifierStub, Reply
from tests.db.test_load import query
from tests.graph_simulator.webhook_sink import free_port, wait_until

AddPages = Callable[..., list[str]]


def delays_of(database: Database) -> list[int]:
    """Seconds until each alert is due to be sent."""
    rows = query(
        database,
        "select round(extract(epoch from not_before - now()))::int from alerts order by id",
    )
    return [seconds for (seconds,) in rows]


def test_an_alert_is_notified_once_when_it_opens_and_once_when_it_closes(
    database: Database, notifier: NotifierStub, add_pages: AddPages
) -> None:
    add_pages(name="Flowers & <!channel> @everyone")
    expire_tokens(database)
    for _ in range(3):
        assert watch(database, notifier.url).failure is None
    assert len(notifier.messages) == 1
    [message] = notifier.messages
    assert message["text"] == (
        "*Error*: Page 100 (Flowers & ‹!channel› @\u2060everyone) needs re-authorization and is"
        " not synced until then: it expired. Add a new token with"
        " `messenger-pipeline pages add 100`."
    )
    assert message["attachments"][0]["color"] == "danger"

    renew_tokens(database)
    for _ in range(3):
        watch(database, notifier.url)
    assert len(notifier.messages) == 2
    assert notifier.texts[1].startswith("*Resolved* at ")
    assert notifier.messages[1]["attachments"][0]["color"] == "good"
    [closed] = list_alerts(database, open_only=False)
    assert closed.closed_at
    assert closed.closing_sent_at


def test_without_a_notifier_alerts_open_and_close(database: Database, add_pages: AddPages) -> None:
    add_pages()
    expire_tokens(database)
    assert watch(database, None).sent == 0
    assert len(list_alerts(database)) == 1
    renew_tokens(database)
    assert list_alerts(database) == []


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(500, b"<html>/services/" + SECRET.encode()), "HTTP 500"),
        (Reply(429, b""), "HTTP 429"),
        (Reply(404, b"no_service"), "HTTP 404 no_service. Is MESSENGER_ALERT_URL still right?"),
        (Reply(302, b"", {"Location": "/"}), "HTTP 302. Is MESSENGER_ALERT_URL still right?"),
        (Reply(400, SECRET.encode()), "HTTP 400"),
    ],
)
def test_a_failed_message_is_retried_with_growing_delays_and_its_reason_stored(
    database: Database, notifier: NotifierStub, add_pages: AddPages, reply: Reply, reason: str
) -> None:
    add_pages()
    expire_tokens(database)
    notifier.replies = [reply] * 9
    delays = []
    for attempt in range(1, 10):
        result = watch(database, notifier.url)
        assert (result.sent, result.failure) == (0, reason)
        [alert] = list_alerts(database)
        assert (alert.attempts, alert.last_error, alert.sent_at) == (attempt, reason, None)
        delays += delays_of(database)
        assert watch(database, notifier.url).failure is None, "it is not due yet"
        make_messages_due(database)
    assert delays == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]

    assert watch(database, notifier.url).sent == 1
    [alert] = list_alerts(database)
    assert alert.sent_at
    assert alert.last_error is None
    assert len(notifier.messages) == 1


def test_a_message_is_sent_once_the_notifier_can_be_reached(
    database: Database, add_pages: AddPages
) -> None:
    add_pages()
    expire_tokens(database)
    port = free_port()
    url = f"http://127.0.0.1:{port}/services/{SECRET}"
    assert watch(database, url).failure == "the notifier cannot be reached, or the connection broke"
    make_messages_due(database)
    with NotifierStub(port).serving() as notifier:
        assert watch(database, url).sent == 1
        assert len(notifier.messages) == 1


def test_a_notifier_that_does_not_answer_gets_one_message_only(
    database: Database,
    notifier: NotifierStub,
    add_pages: AddPages,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("messenger_pipeline.alerting.notifier._TIMEOUT", (0.5, 0.5))
    add_pages(5)
    expire_tokens(database)
    notifier.rest = Reply(hang=30)
    failure = watch(database, notifier.url).failure
    assert failure is not None
    assert failure.startswith("no answer within")
    assert notifier.requests == 1, "the other four are not sent"


def test_an_answer_whose_body_never_arrives_counts_by_its_status(
    database: Database, notifier: NotifierStub, add_pages: AddPages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("messenger_pipeline.alerting.notifier._TIMEOUT", (0.5, 0.5))
    add_pages()
    expire_tokens(database)
    notifier.replies = [Reply(429, b"rate_limited", {"Retry-After": "400"}, stall=30)]
    assert watch(database, notifier.url).failure == "HTTP 429"
    assert max(delays_of(database)) in (399, 400)
    make_messages_due(database)
    notifier.rest = Reply(stall=30)
    assert watch(database, notifier.url).sent == 1
    assert watch(database, notifier.url).sent == 0, "it is not sent again"


def test_nothing_is_sent_before_retry_after_has_passed(
    database: Database, notifier: NotifierStub, add_pages: AddPages
) -> None:
    add_pages(2)
    expire_tokens(database)
    notifier.replies = [Reply(429, b"rate_limited", {"Retry-After": "400"})]
    assert watch(database, notifier.url).failure == "HTTP 429 rate_limited"
    assert max(delays_of(database)) in (399, 400)
    # An alert that opens meanwhile waits, too.
    query(database, "insert into heartbeats values ('dagster', now() - interval '1 hour', now())"
                    " returning 1")  # fmt: skip
    watch(database, notifier.url)
    assert (notifier.requests, len(list_alerts(database))) == (1, 3)
    query(
        database,
        "update alerts set not_before = not_before - interval '401 s',"
        " notifier_paused_until = notifier_paused_until - interval '401 s' returning 1",
    )
    assert watch(database, notifier.url).sent == 3


def test_a_message_that_is_refused_on_its_own_does_not_delay_others(
    database: Database, notifier: NotifierStub, add_pages: AddPages
) -> None:
    add_pages(3)
    expire_tokens(database)
    notifier.replies = [Reply(400, b"invalid_payload")]
    result = watch(database, notifier.url)
    assert (result.sent, result.failure) == (2, "HTTP 400 invalid_payload")


@pytest.mark.parametrize("pages", [3, 12])
def test_an_alert_for_which_no_message_can_be_built_does_not_stop_the_others(
    database: Database, notifier: NotifierStub, add_pages: AddPages, pages: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Also if they are one message."""
    add_pages(pages)
    expire_tokens(database)
    build = messages.message_for

    def failing(alerts: Sequence[ClaimedAlert]) -> dict[str, Any]:
        if any(one.page_id == "101" for one in alerts):
            raise KeyError("severity")
        return build(alerts)

    monkeypatch.setattr(watching, "message_for", failing)
    watch(database, notifier.url)
    unsent = query(database, "select page_id, attempts from alerts where sent_at is null")
    assert unsent == [("101", 1)]
    [alert] = [one for one in list_alerts(database) if one.page_id == "101"]
    assert "unforeseen KeyError" in (alert.last_error or "")
    monkeypatch.undo()
    make_messages_due(database)
    assert watch(database, notifier.url).sent == 1


def test_messages_are_sent_while_the_conditions_cannot_be_evaluated(
    database: Database, notifier: NotifierStub, add_pages: AddPages
) -> None:
    add_pages()
    expire_tokens(database)
    update_alerts(database)
    with database.transaction() as connection:
        connection.execute(
            "create or replace function list_alert_conditions() returns table (kind text,"
            " page_id text, severity text, summary text, details jsonb, found_by text)"
            " language plpgsql as $$ begin raise exception 'broken'; end $$"
        )
    with pytest.raises(DatabaseError, match="broken"):
        watch(database, notifier.url)
    assert len(notifier.messages) == 1


def test_all_pending_messages_are_sent_once_the_notifier_is_back(
    database: Database, notifier: NotifierStub, add_pages: AddPages
) -> None:
    add_pages(3)
    expire_tokens(database)
    notifier.replies = [Reply(503)] * 3
    for _ in range(3):
        watch(database, notifier.url)
        query(
            database,
            "update alerts set notifier_paused_until = now() where notifier_paused_until > now()"
            " returning 1",
        )
    assert min(delays_of(database)) > 20
    query(database, "update alerts set not_before = now() where id = 1 returning 1")
    assert watch(database, notifier.url).sent == 3


def test_concurrent_senders_send_each_message_once(
    url: str, database: Database, notifier: NotifierStub, add_pages: AddPages
) -> None:
    add_pages(10)
    expire_tokens(database)
    together = threading.Barrier(6)
    failures: list[BaseException] = []

    def send() -> None:
        with Database(url, timeout=10, size=1) as own:
            together.wait()
            for _ in range(5):
                try:
                    update_alerts(own)
                    send_messages(own, Notifier(notifier.url))
                except BaseException as error:
                    failures.append(error)
                    raise

    senders = [threading.Thread(target=send) for _ in range(6)]
    for one in senders:
        one.start()
    for one in senders:
        one.join()
    assert not failures
    assert len(notifier.texts) == len(set(notifier.texts)) == 10
    assert query(database, "select count(*) from alerts") == [(10,)]


def test_more_than_ten_alerts_of_a_kind_are_one_message(
    database: Database, notifier: NotifierStub, add_pages: AddPages
) -> None:
    add_pages(300)
    expire_tokens(database)
    assert watch(database, notifier.url).sent == 1
    [text] = notifier.texts
    assert text.startswith("*Error*: 300 × `page_needs_reauthorization`. Pages 100, 101,")
    assert "and 290 more" in text
    assert len(text) < 2_000
    assert query(database, "select count(*) from alerts where sent_at is null") == [(0,)]

    renew_tokens(database)
    assert watch(database, notifier.url).sent == 1
    assert notifier.texts[1].startswith("*Resolved*: 300 ×")
    assert query(database, "select count(*) from alerts where closing_sent_at is null") == [(0,)]


def test_further_alerts_of_a_kind_are_one_message_per_evaluation(
    database: Database, notifier: NotifierStub, add_pages: AddPages
) -> None:
    ids = add_pages(30)
    for portion in (ids[:8], ids[8:16], ids[16:]):
        query(database, "update facebook_pages set status = 'needs_reauthorization'"
                        " where facebook_page_id = any (%s) returning 1", portion)  # fmt: skip
        watch(database, notifier.url)
    assert len(notifier.messages) == 8 + 1 + 1


def test_an_alert_that_closed_before_it_could_be_sent_is_one_message(
    database: Database, notifier: NotifierStub, add_pages: AddPages
) -> None:
    add_pages()
    expire_tokens(database)
    notifier.replies = [Reply(500)]
    watch(database, notifier.url)
    renew_tokens(database)
    make_messages_due(database)
    assert watch(database, notifier.url).sent == 1
    assert notifier.texts[0].startswith("*Error, already resolved*: Page 100")
    assert watch(database, notifier.url).sent == 0


def test_the_url_of_the_notifier_is_in_no_output(
    database: Database,
    notifier: NotifierStub,
    add_pages: AddPages,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    add_pages(4)
    expire_tokens(database)
    notifier.replies = [Reply(), Reply(400, SECRET.encode()), Reply(500, notifier.url.encode())]
    output = [str(watch(database, notifier.url)) for _ in range(2)]
    make_messages_due(database)
    output.append(str(watch(database, f"http://127.0.0.1:{free_port()}/services/{SECRET}")))
    output += [caplog.text, str(query(database, "select a::text from alerts a"))]
    assert "/services" not in "".join(output)
    assert SECRET not in "".join(output)
    assert "127.0.0.1" in caplog.text, "urllib3 logged its calls"


def test_a_watcher_sends_messages_and_survives_an_unreachable_database(
    url: str, database: Database, notifier: NotifierStub, add_pages: AddPages
) -> None:
    add_pages()
    expire_tokens(database)
    urls = iter(["postgresql://127.0.0.1:1/nowhere", url, url, url, *[url] * 1000])
    watcher = Watcher(lambda: Database(next(urls), timeout=1), notifier.url, start=0.0, every=0.05)
    watcher.start()
    try:
        wait_until(lambda: notifier.messages)
    finally:
        watcher.close()
    assert not watcher.is_alive()


def test_a_watcher_survives_an_error_that_nobody_foresaw(
    url: str, database: Database, notifier: NotifierStub, add_pages: AddPages
) -> None:
    add_pages()
    expire_tokens(database)
    calls = itertools.count()

    def open_database() -> Database:
        if next(calls) == 0:
            raise AssertionError("unforeseen")
        return Database(url, timeout=5)

    watcher = Watcher(open_database, notifier.url, start=0.0, every=0.05)
    watcher.start()
    try:
        wait_until(lambda: notifier.messages)
    finally:
        watcher.close()


def test_a_watcher_whose_notifier_hangs_blocks_neither_close_nor_others(
    url: str, database: Database, notifier: NotifierStub, add_pages: AddPages,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("messenger_pipeline.alerting.notifier._TIMEOUT", (60.0, 60.0))
    add_pages()
    expire_tokens(database)
    notifier.rest = Reply(hang=60)
    watcher = Watcher(lambda: Database(url, timeout=5), notifier.url, start=0.0)
    watcher.start()
    wait_until(lambda: notifier.requests)
    watcher.close()
    assert watcher.is_alive(), "close waited for the notifier"
    # It holds no lock that another evaluation needs.
    assert update_alerts(database) is not None
    notifier.stopping.set()
    watcher.join(timeout=15)
