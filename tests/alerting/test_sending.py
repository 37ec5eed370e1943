"""Messages over real HTTP, to somebody who takes them, or fails to."""

import logging
import threading
import time
from collections.abc import Callable

import pytest

from messenger_pipeline.alerting.notifier import Sink
from messenger_pipeline.alerting.watch import Watcher, send_messages, watch
from messenger_pipeline.db.alerts import list_alerts, update_alerts
from messenger_pipeline.db.pool import Database
from tests.alerting.looking import let_pages_come_back, let_pages_go, make_due
from tests.alerting.sink import SECRET, AlertSink, Reply
from tests.db.test_load import query
from tests.graph_simulator.receiving import free_port, wait_until

AddPages = Callable[..., list[str]]


def waits(database: Database) -> list[int]:
    """For how many seconds each alert waits to be sent."""
    rows = query(
        database,
        "select round(extract(epoch from not_before - now()))::int from alerts order by id",
    )
    return [seconds for (seconds,) in rows]


def test_an_alert_is_told_once_and_its_end_once(
    database: Database, sink: AlertSink, add_pages: AddPages
) -> None:
    add_pages(name="Flowers & <!channel> @everyone")
    let_pages_go(database)
    for _ in range(3):
        assert watch(database, sink.url).unsent is None
    assert len(sink.messages) == 1
    [message] = sink.messages
    assert message["text"] == (
        "*Error*: Page 100 (Flowers & ‹!channel› @\u2060everyone) needs re-authorization and is"
        " not synced until then: it expired. Add a new token with"
        " `messenger-pipeline pages add 100`."
    )
    assert message["attachments"][0]["color"] == "danger"

    let_pages_come_back(database)
    for _ in range(3):
        watch(database, sink.url)
    assert len(sink.messages) == 2
    assert sink.texts[1].startswith("*Over* since ")
    assert sink.messages[1]["attachments"][0]["color"] == "good"
    [closed] = list_alerts(database, open_only=False)
    assert closed.closed_at
    assert closed.closing_sent_at


def test_without_an_address_alerts_open_and_close_all_the_same(
    database: Database, add_pages: AddPages
) -> None:
    add_pages()
    let_pages_go(database)
    assert watch(database, None).sent == 0
    assert len(list_alerts(database)) == 1
    let_pages_come_back(database)
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
def test_what_is_not_taken_is_tried_again_more_and_more_rarely_and_the_reason_kept(
    database: Database, sink: AlertSink, add_pages: AddPages, reply: Reply, reason: str
) -> None:
    add_pages()
    let_pages_go(database)
    sink.replies = [reply] * 9
    delays = []
    for attempt in range(1, 10):
        watched = watch(database, sink.url)
        assert (watched.sent, watched.unsent) == (0, reason)
        [alert] = list_alerts(database)
        assert (alert.attempts, alert.last_error, alert.sent_at) == (attempt, reason, None)
        delays += waits(database)
        assert watch(database, sink.url).unsent is None, "it is not its time"
        make_due(database)
    assert delays == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]

    assert watch(database, sink.url).sent == 1
    [alert] = list_alerts(database)
    assert alert.sent_at
    assert alert.last_error is None
    assert len(sink.messages) == 1


def test_nobody_there_and_then_somebody(database: Database, add_pages: AddPages) -> None:
    add_pages()
    let_pages_go(database)
    port = free_port()
    url = f"http://127.0.0.1:{port}/services/{SECRET}"
    assert watch(database, url).unsent == "it cannot be reached, or it broke off"
    make_due(database)
    with AlertSink(port).serving() as sink:
        assert watch(database, url).sent == 1
        assert len(sink.messages) == 1


def test_a_sink_that_does_not_answer_is_given_up(
    database: Database,
    sink: AlertSink,
    add_pages: AddPages,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("messenger_pipeline.alerting.notifier._TIMEOUT", (0.5, 0.5))
    add_pages(5)
    let_pages_go(database)
    sink.rest = Reply(hang=30)
    began = time.monotonic()
    unsent = watch(database, sink.url).unsent
    assert unsent is not None
    assert unsent.startswith("no answer within")
    assert time.monotonic() - began < 5, "the other four are not tried as well"
    assert sink.asked == 1


def test_an_answer_whose_body_never_comes_counts_by_its_status(
    database: Database, sink: AlertSink, add_pages: AddPages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("messenger_pipeline.alerting.notifier._TIMEOUT", (0.5, 0.5))
    add_pages()
    let_pages_go(database)
    sink.replies = [Reply(429, b"rate_limited", {"Retry-After": "400"}, stall=30)]
    assert watch(database, sink.url).unsent == "HTTP 429"
    assert max(waits(database)) in (399, 400)
    make_due(database)
    sink.rest = Reply(stall=30)
    assert watch(database, sink.url).sent == 1
    assert watch(database, sink.url).sent == 0, "it is not sent again"


def test_as_long_as_the_sink_asks_for_nothing_is_sent_to_it(
    database: Database, sink: AlertSink, add_pages: AddPages
) -> None:
    add_pages(2)
    let_pages_go(database)
    sink.replies = [Reply(429, b"rate_limited", {"Retry-After": "400"})]
    assert watch(database, sink.url).unsent == "HTTP 429 rate_limited"
    assert max(waits(database)) in (399, 400)
    # What opens meanwhile waits as well.
    query(database, "insert into heartbeats values ('dagster', now() - interval '1 hour', now())"
                    " returning 1")  # fmt: skip
    watch(database, sink.url)
    assert (sink.asked, len(list_alerts(database))) == (1, 3)
    query(
        database,
        "update alerts set not_before = not_before - interval '401 s',"
        " notifier_paused_until = notifier_paused_until - interval '401 s' returning 1",
    )
    assert watch(database, sink.url).sent == 3


def test_a_message_that_is_refused_for_itself_holds_up_no_other(
    database: Database, sink: AlertSink, add_pages: AddPages
) -> None:
    add_pages(3)
    let_pages_go(database)
    sink.replies = [Reply(400, b"invalid_payload")]
    watch(database, sink.url)
    assert watch(database, sink.url).sent == 2


def test_whatever_waited_for_a_sink_goes_out_when_it_is_back(
    database: Database, sink: AlertSink, add_pages: AddPages
) -> None:
    add_pages(3)
    let_pages_go(database)
    sink.replies = [Reply(503)] * 3
    for _ in range(3):
        watch(database, sink.url)
        query(
            database,
            "update alerts set notifier_paused_until = now() where notifier_paused_until > now()"
            " returning 1",
        )
    assert min(waits(database)) > 20
    query(database, "update alerts set not_before = now() where id = 1 returning 1")
    assert watch(database, sink.url).sent == 3


def test_several_senders_at_once_send_each_message_once(
    url: str, database: Database, sink: AlertSink, add_pages: AddPages
) -> None:
    add_pages(10)
    let_pages_go(database)
    together = threading.Barrier(6)
    failures: list[BaseException] = []

    def send() -> None:
        with Database(url, timeout=10, size=1) as own:
            together.wait()
            for _ in range(5):
                try:
                    update_alerts(own)
                    send_messages(own, Sink(sink.url))
                except BaseException as error:
                    failures.append(error)
                    raise

    senders = [threading.Thread(target=send) for _ in range(6)]
    for one in senders:
        one.start()
    for one in senders:
        one.join()
    assert not failures
    assert len(sink.texts) == len(set(sink.texts)) == 10
    assert query(database, "select count(*) from alerts") == [(10,)]


def test_more_than_ten_of_a_kind_are_one_message(
    database: Database, sink: AlertSink, add_pages: AddPages
) -> None:
    add_pages(300)
    let_pages_go(database)
    assert watch(database, sink.url).sent == 1
    [text] = sink.texts
    assert text.startswith("*Error*: 300 × `page_needs_reauthorization`. Pages 100, 101,")
    assert "and 290 more" in text
    assert len(text) < 2_000
    assert query(database, "select count(*) from alerts where sent_at is null") == [(0,)]

    let_pages_come_back(database)
    assert watch(database, sink.url).sent == 1
    assert sink.texts[1].startswith("*Over*: 300 ×")
    assert query(database, "select count(*) from alerts where closing_sent_at is null") == [(0,)]


def test_a_kind_that_keeps_coming_is_told_in_one_message_a_look(
    database: Database, sink: AlertSink, add_pages: AddPages
) -> None:
    ids = add_pages(30)
    for portion in (ids[:8], ids[8:16], ids[16:]):
        query(database, "update facebook_pages set status = 'needs_reauthorization'"
                        " where facebook_page_id = any (%s) returning 1", portion)  # fmt: skip
        watch(database, sink.url)
    assert len(sink.messages) == 8 + 1 + 1


def test_what_was_over_before_it_could_be_sent_is_one_message(
    database: Database, sink: AlertSink, add_pages: AddPages
) -> None:
    add_pages()
    let_pages_go(database)
    sink.replies = [Reply(500)]
    watch(database, sink.url)
    let_pages_come_back(database)
    make_due(database)
    assert watch(database, sink.url).sent == 1
    assert sink.texts[0].startswith("*Error, over by now*: Page 100")
    assert watch(database, sink.url).sent == 0


def test_the_address_is_told_nowhere(
    database: Database,
    sink: AlertSink,
    add_pages: AddPages,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    add_pages(4)
    let_pages_go(database)
    sink.replies = [Reply(), Reply(400, SECRET.encode()), Reply(500, sink.url.encode())]
    told = [str(watch(database, sink.url)) for _ in range(2)]
    make_due(database)
    told.append(str(watch(database, f"http://127.0.0.1:{free_port()}/services/{SECRET}")))
    told += [caplog.text, str(query(database, "select a::text from alerts a"))]
    assert "/services" not in "".join(told)
    assert SECRET not in "".join(told)
    assert "127.0.0.1" in caplog.text, "urllib3 has logged its calls"


def test_a_watcher_sends_while_nobody_else_does_and_outlives_what_fails(
    url: str, database: Database, sink: AlertSink, add_pages: AddPages
) -> None:
    add_pages()
    let_pages_go(database)
    looks = iter(["postgresql://127.0.0.1:1/nowhere", url, url, url, *[url] * 1000])
    watcher = Watcher(lambda: Database(next(looks), timeout=1), sink.url, start=0.0, every=0.05)
    watcher.start()
    try:
        wait_until(lambda: sink.messages)
    finally:
        watcher.close()
    assert not watcher.is_alive()


def test_a_watcher_whose_sink_hangs_keeps_nobody(
    url: str, database: Database, sink: AlertSink, add_pages: AddPages
) -> None:
    add_pages()
    let_pages_go(database)
    sink.rest = Reply(hang=60)
    watcher = Watcher(lambda: Database(url, timeout=5), sink.url, start=0.0)
    watcher.start()
    wait_until(lambda: sink.asked)
    began = time.monotonic()
    watcher.close()
    assert time.monotonic() - began < 3
    # Nobody waits for a lock of its.
    assert update_alerts(database) is not None
    sink.ended.set()
    watcher.join(timeout=15)
