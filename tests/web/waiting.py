"""Requests that wait for a sync, and sessions that end while they do."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import requests

from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.sync_requests import claim_requests
from messenger_pipeline.engine import Engine
from tests.db.test_load import query
from tests.walking import walk
from tests.web.conftest import KEY, Receiver

SYNC = "/api/conversations/sync"
PAGE = {"pageId": "10", "facebookPageId": "10"}
OLD_SHAPE = {
    "success", "synced", "inserted", "updated", "total", "eventsCreated", "syncMode", "message",
    "hasMore", "resumeSession",
}  # fmt: skip
"""The fields of the replaced application's answer."""


def post(
    receiver: Receiver, body: object, route: str = "", prefer: str | None = "wait=270"
) -> requests.Response:
    """Request a sync, and wait for its end unless told otherwise."""
    headers = {} if prefer is None else {"Prefer": prefer}
    answer: requests.Response = receiver.request("POST", SYNC + route, json=body, headers=headers)
    return answer


@contextmanager
def posted(
    receiver: Receiver, body: object, route: str = "", prefer: str = "wait=270"
) -> Iterator["Future[requests.Response]"]:
    """A request that waits for its sync when this is entered, and is answered when it is left."""
    before = receiver.waits.waiting
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(post, receiver, body, route, prefer)
        until(lambda: receiver.waits.waiting > before or answer.done())
        assert not answer.done(), answer.result().text
        yield answer
        answer.result()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def change(database: Database, columns: str, where: str = "true") -> None:
    """Change open sessions, and announce it as the pipeline does."""
    query(
        database,
        f"with changed as (update sync_state set changes = changes + 1, {columns}"
        f" where outcome is null and {where} returning page_id, sync_session_id)"
        " select announce_sync(page_id, sync_session_id) from changed",
    )


def end(database: Database, outcome: str = "completed", columns: str = "total_synced = 7") -> None:
    """End all open sessions."""
    query(database, "update sync_requests set ended_at = now() where ended_at is null returning 1")
    change(database, f"outcome = '{outcome}', ended_at = now(), {columns}")


def fail(database: Database, error: str) -> None:
    """Leave all open sessions as after a run that failed."""
    query(database, "update sync_requests set ended_at = now() where ended_at is null returning 1")
    change(database, f"last_error = '{error}', not_before = now() + interval '1 minute'")


async def raw_post(
    receiver: Receiver, body: object, head: str = "", version: str = "1.1"
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection on which a request for a sync has been sent, with `head` among its headers."""
    address = urlsplit(receiver.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    content = json.dumps(body).encode()
    lines = f"POST {SYNC} HTTP/{version}\r\nHost: x\r\n{head}Content-Length: {len(content)}\r\n"
    lines += "Connection: close\r\nX-API-Key: "
    writer.write(lines.encode() + KEY.encode() + b"\r\n\r\n" + content)
    await writer.drain()
    return reader, writer


def body_of(raw: bytes) -> Any:
    return json.loads(raw.partition(b"\r\n\r\n")[2])


@contextmanager
def syncing(engine: Engine) -> Iterator[None]:
    """Runs each requested sync, as Dagster's sensor does."""
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(0.05):
            for one in claim_requests(engine.database, []):
                walk(
                    engine, one.page_id, session=one.sync_session_id,
                    max_conversations=one.max_conversations,
                )  # fmt: skip

    with ThreadPoolExecutor() as pool:
        running = pool.submit(run)
        try:
            yield
        finally:
            ended.set()
        running.result()
