"""Progress of real syncs as server-sent events."""

import asyncio
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from messenger_pipeline.db.lease import held_lease
from messenger_pipeline.db.notifications import APPLICATION_NAME
from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.progress import record_wait
from messenger_pipeline.db.sessions import open_session
from messenger_pipeline.db.sync_requests import request_sync
from messenger_pipeline.engine import Engine
from tests.conftest import Simulated
from tests.db.test_load import query
from tests.walking import Connect, Simulate, walk
from tests.web.conftest import KEY, Receiver, serve_receiver
from tests.web.sse import open_stream, raw_stream

LISTENERS = (
    f"from pg_stat_activity where application_name = '{APPLICATION_NAME}'"
    " and datname = current_database()"
)


@pytest.fixture
def small(simulate: Simulate) -> Simulated:
    return simulate(conversations=300, latency=0.03)


@pytest.fixture
def engine(small: Simulated, connect: Connect) -> Engine:
    return connect(small)


@pytest.fixture
def control(url: str, engine: Engine) -> Iterator[Receiver]:
    with serve_receiver(url) as receiver:
        yield receiver


def requested_sync(database: Database, page_id: str) -> str:
    """The session of a requested sync."""
    outcome = request_sync(
        database, page_id, mode="auto", session=None, max_conversations=None, requested_by="test"
    )
    assert outcome.sync_session_id
    return str(outcome.sync_session_id)


def count(database: Database, what: str) -> int:
    return int(query(database, f"select count(*) {what}")[0][0])


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_stream_shows_a_sync_from_its_request_to_its_end(
    url: str, simulate: Simulate, connect: Connect, database: Database
) -> None:
    slow = simulate(conversations=300, latency=0.3)
    engine = connect(slow)
    session = requested_sync(database, slow.page.id)
    with (
        serve_receiver(url) as control,
        open_stream(control, session) as stream,
        ThreadPoolExecutor() as pool,
    ):
        events = []
        run: Any = None
        for event in stream:
            events.append(event)
            run = run or pool.submit(walk, engine, slow.page.id)
        run.result()
        shown = control.request("GET", f"/api/conversations/sync/{session}").json()
    assert stream.answer.headers["content-type"].startswith("text/event-stream")
    assert stream.answer.headers["cache-control"] == "no-store"
    assert stream.retry == "2000"
    assert events[0]["state"] == "requested"
    assert "running" in {event["state"] for event in events}
    assert (events[-1]["state"], events[-1]["success"], events[-1]["synced"]) == (
        "completed",
        True,
        300,
    )
    assert {*events[-1]} == {*shown}
    assert events[-1]["message"] == shown["message"]
    counts = [event["synced"] for event in events]
    assert counts == sorted(counts)
    assert any(0 < count < 300 for count in counts)
    assert stream.ids == [f"{session}:{event['change']}" for event in events]
    assert len({*stream.ids}) == len(stream.ids)


def test_two_hundred_streams_share_one_listener_and_all_show_the_end(
    control: Receiver, engine: Engine, small: Simulated, database: Database
) -> None:
    session = requested_sync(database, small.page.id)
    listeners: list[int] = []

    async def watch_all() -> list[bytes]:
        watching = [asyncio.create_task(raw_stream(control, session)) for _ in range(200)]
        run = asyncio.create_task(asyncio.to_thread(walk, engine, small.page.id, session=None))
        while not run.done():
            listeners.append(await asyncio.to_thread(count, database, LISTENERS))
            await asyncio.sleep(0.1)
        await run
        return await asyncio.wait_for(asyncio.gather(*watching), 30)

    events = asyncio.run(watch_all())
    assert max(listeners) == 1
    assert len(events) == 200
    assert all(b'"state":"completed"' in one for one in events)
    assert all(
        one.rstrip().endswith(b"0") for one in events
    )  # the last chunk: the stream was ended, not cut


def test_a_reconnecting_client_gets_only_events_newer_than_its_last(
    control: Receiver, engine: Engine, small: Simulated, database: Database
) -> None:
    cut = walk(engine, small.page.id, max_conversations=50)
    session = cut.sync_session_id
    with open_stream(control, session) as stream:
        first = next(iter(stream))
        [seen] = stream.ids
    assert first["hasMore"]
    with open_stream(control, session, seen) as stream, ThreadPoolExecutor() as pool:
        reading = pool.submit(next, iter(stream))
        with pytest.raises(TimeoutError):
            reading.result(timeout=1)
        walk(engine, small.page.id, max_conversations=50)
        assert reading.result()["change"] > first["change"]
        assert seen not in stream.ids
    walk(engine, small.page.id)
    with open_stream(control, session, seen) as stream:
        [end] = stream
        [seen] = stream.ids
    assert (end["state"], end["success"]) == ("completed", True)
    with open_stream(control, session, seen) as stream:
        assert stream.answer.status_code == 204


UNKNOWN = "9248c9a1-399b-4cc1-a0d5-fd9a85d01fa3"


@pytest.mark.parametrize("seen", ["", "x", ":", "1:1", f"{'-' * 36}:1", f"{UNKNOWN}:{'9' * 30}"])
def test_an_unknown_last_event_id_is_ignored(
    control: Receiver, engine: Engine, small: Simulated, seen: str
) -> None:
    session = walk(engine, small.page.id).sync_session_id
    with open_stream(control, session, seen) as stream:
        assert [one["state"] for one in stream] == ["completed"]


def test_the_stream_of_an_unknown_session_is_a_404(control: Receiver) -> None:
    answer = control.request("GET", f"/api/conversations/sync/{uuid4()}/events")
    assert answer.status_code == 404
    assert {*answer.json()} == {"error"}


def test_one_stream_can_follow_all_open_syncs_to_their_ends(
    url: str, simulate: Simulate, connect: Connect, database: Database
) -> None:
    two = simulate(conversations=60, pages=2, latency=0.02)
    engine = connect(two)
    first, second = (page.id for page in two.pages)
    open_before = requested_sync(database, first)
    with (
        serve_receiver(url) as control,
        open_stream(control) as stream,
        ThreadPoolExecutor() as pool,
    ):
        events = iter(stream)
        assert next(events)["sync_session_id"] == open_before
        runs = [pool.submit(walk, engine, page, run_id=page) for page in (first, second)]
        ended: dict[str, str] = {}
        for event in events:
            if event["endedAt"]:
                ended[event["pageId"]] = event["state"]
            if len(ended) == 2:
                break
        for run in runs:
            run.result()
    assert ended == {first: "completed", second: "completed"}


def test_the_end_of_a_wait_is_an_event_without_a_notification(
    control: Receiver, small: Simulated, database: Database
) -> None:
    with held_lease(database, small.page.id, "run-1") as fence:
        session = open_session(database, small.page.id, fence, "auto", "run-1", None)
        assert session
        record_wait(database, session.sync_session_id, 2, "Meta's limit of calls to the app")
        with open_stream(control, str(session.sync_session_id)) as stream:
            events = iter(stream)
            waiting = next(events)
            assert waiting["state"] == "rate_limited"
            assert waiting["waitingFor"] == "Meta's limit of calls to the app"
            assert waiting["waitingUntil"]
            assert next(events)["state"] == "running"


def test_changes_are_reported_although_notifications_were_lost(
    control: Receiver, engine: Engine, small: Simulated, database: Database
) -> None:
    """The listener's connection is terminated every 0.1 s during a sync."""
    session = requested_sync(database, small.page.id)
    ended = threading.Event()

    def cut() -> None:
        while not ended.wait(0.1):
            query(database, f"select pg_terminate_backend(pid) {LISTENERS}")

    with open_stream(control, session) as stream, ThreadPoolExecutor() as pool:
        cutting = pool.submit(cut)
        try:
            run = pool.submit(walk, engine, small.page.id)
            last = [*stream][-1]
            run.result()
        finally:
            ended.set()
        cutting.result()
    assert (last["state"], last["synced"]) == ("completed", 300)


def test_frequent_changes_are_merged_into_fewer_events(
    control: Receiver, small: Simulated, database: Database
) -> None:
    with held_lease(database, small.page.id, "run-1") as fence:
        session = open_session(database, small.page.id, fence, "auto", "run-1", None)
        assert session
        with (
            open_stream(control, str(session.sync_session_id)) as stream,
            ThreadPoolExecutor() as pool,
        ):
            began = time.monotonic()

            def change() -> int:
                for made in itertools.count():
                    if made > 40 and time.monotonic() - began > 2:
                        record_wait(database, session.sync_session_id, 600, "the last one")
                        return made
                    record_wait(database, session.sync_session_id, 600, f"change {made}")
                return 0

            changing = pool.submit(change)
            events = 0
            for event in stream:
                events += 1
                if event["waitingFor"] == "the last one":
                    break
            took = time.monotonic() - began
            made = changing.result()
    assert made > 40
    assert events <= 4 * took + 2


def test_clients_that_disconnect_or_stop_reading_do_not_disturb_others(
    control: Receiver, engine: Engine, small: Simulated, database: Database
) -> None:
    session = requested_sync(database, small.page.id)
    address = urlsplit(control.url)
    assert address.port
    idle = []
    for _ in range(20):
        one = socket.create_connection(("127.0.0.1", address.port))
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        path = f"/api/conversations/sync/{session}/events"
        head = f"GET {path} HTTP/1.1\r\nHost: x\r\nX-API-Key: "
        one.sendall(head.encode() + KEY.encode() + b"\r\n\r\n")
        idle.append(one)
    for one in idle[:10]:
        one.close()
    with open_stream(control, session) as stream, ThreadPoolExecutor() as pool:
        run = pool.submit(walk, engine, small.page.id)
        assert [*stream][-1]["state"] == "completed"
        run.result()
    for one in idle[10:]:
        one.close()


def test_there_is_no_listener_before_the_first_stream(
    control: Receiver, database: Database
) -> None:
    control.request("GET", "/api/pages")
    assert count(database, LISTENERS) == 0
    with open_stream(control):
        wait_until(lambda: count(database, LISTENERS) == 1)
