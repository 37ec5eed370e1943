"""Requests that wait for a sync that does not complete, or without the database."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from messenger_pipeline.db import pages
from messenger_pipeline.db.embedded import database_url
from messenger_pipeline.db.pool import Database
from tests.db.test_load import query
from tests.web.conftest import Receiver, serve_receiver
from tests.web.waiting import (
    OLD_SHAPE,
    PAGE,
    change,
    end,
    fail,
    post,
    posted,
    until,
)
from tests.webhook.test_drain import register


@pytest.fixture
def control(url: str, database: Database) -> Iterator[Receiver]:
    """A receiver on a database with one page, which nothing syncs."""
    register(database, "10")
    with serve_receiver(url) as receiver:
        yield receiver


def test_a_failed_run_is_told_at_once_with_when_it_is_tried_again(
    control: Receiver, database: Database
) -> None:
    with posted(control, PAGE) as plain:
        fail(database, "Meta answers nothing")
    answer = plain.result()
    assert answer.status_code == 502
    body = answer.json()
    assert (body["success"], body["hasMore"]) == (False, True)
    assert "Last error: Meta answers nothing." in body["error"]
    assert 0 < int(answer.headers["retry-after"]) <= 60
    # One that asks again waits for the next run, although the error still stands in the row.
    with posted(control, {**PAGE, "resumeSession": body["resumeSession"]}, "-optimized") as again:
        fail(database, "and nothing again")
    assert again.result().status_code == 502
    assert again.result().json()["stats"]["errors"] == ["and nothing again"]
    assert again.result().json()["success"] is False


@pytest.mark.parametrize(
    ("outcome", "columns", "status", "words"),
    [
        ("truncated", "truncated = 'its cursor dies'", 502, ["truncated", "its cursor dies"]),
        ("failed", "last_error = 'no more'", 502, ["failed", "no more"]),
        ("superseded", "total_synced = 3", 409, ["Sync already in progress for this page. "]),
    ],
)
def test_a_session_that_ends_otherwise_is_no_success(
    control: Receiver, database: Database, outcome: str, columns: str, status: int, words: list[str]
) -> None:
    with posted(control, PAGE) as one:
        end(database, outcome, columns)
    answer = one.result()
    assert (answer.status_code, answer.json()["success"]) == (status, False)
    assert all(word in answer.json()["error"] for word in words)
    assert answer.json()["error"].endswith(".")
    assert {*answer.json()} >= OLD_SHAPE


@pytest.mark.parametrize(
    ("page", "status", "success", "words"),
    [
        ("parked", 200, True, "was cancelled"),
        ("paused", 200, True, "paused"),
        ("needs_reauthorization", 422, False, "pages add"),
        ("removed", 404, False, "removed"),
    ],
)
def test_what_only_a_person_continues_ends_the_wait(
    control: Receiver, database: Database, page: str, status: int, success: bool, words: str
) -> None:
    with posted(control, PAGE) as one:
        query(database, "update sync_requests set ended_at = now() returning 1")
        if page == "parked":
            change(database, "parked_at = now()")
        else:
            pages.set_page_status(database, "10", page)
            change(database, "updated_at = now()")
    answer = one.result()
    body = answer.json()
    assert (answer.status_code, body["success"], body["hasMore"]) == (status, success, True)
    assert words in body["message"]


def test_a_session_that_is_deleted_ends_the_wait(control: Receiver, database: Database) -> None:
    with posted(control, PAGE) as one, posted_stream(control, database) as stream:
        query(database, "delete from sync_requests returning 1")
        query(database, "delete from sync_state returning 1")
        assert '"success": false' in stream.result()
    assert one.result().status_code == 404
    assert "was deleted" in one.result().json()["error"]


@contextmanager
def posted_stream(control: Receiver, database: Database) -> Iterator[Any]:
    register(database, "11")
    with ThreadPoolExecutor() as pool:
        text = pool.submit(lambda: post(control, {"pageId": "11"}, "-stream").text)
        until(lambda: control.waits.waiting == 2)
        yield text


def test_an_outage_of_the_database_does_not_lose_the_answer(
    control: Receiver, database: Database, url: str
) -> None:
    """All connections are cut again and again, and the session ends while nothing listens."""
    name = url.partition("?")[0].rpartition("/")[2]
    with posted(control, PAGE) as one, database.transaction() as connection:
        cut = 0
        while cut < 20:
            [(found,)] = connection.execute(
                "select count(pg_terminate_backend(pid)) from pg_stat_activity"
                " where datname = %s and pid <> pg_backend_pid()",
                [name],
            ).fetchall()
            cut += found
        assert not one.done()
        connection.execute(
            "update sync_state set outcome = 'completed', ended_at = now(), total_synced = 7,"
            " changes = changes + 1"
        )
    assert (one.result().status_code, one.result().json()["synced"]) == (200, 7)


def test_a_wait_without_the_database_ends_in_time(server: str, template: str) -> None:
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"create database waits_{os.getpid()} template {template}")
        url = database_url(server, f"waits_{os.getpid()}")
        with Database(url) as database:
            register(database, "10")
        with serve_receiver(url) as control:
            with posted(control, PAGE, prefer="wait=2") as one:
                admin.execute(f"drop database waits_{os.getpid()} with (force)")
            body = one.result().json()
    assert (body["success"], body["hasMore"]) == (True, True)
    assert body["resumeSession"] == body["sync_session_id"]
