"""What is acknowledged to somebody survives a crash, though the database commits asynchronously."""

import asyncio
from typing import Any
from uuid import uuid4

from messenger_pipeline.db import migrate
from messenger_pipeline.db.embedded import database_url
from messenger_pipeline.db.group_commit import GroupCommit
from messenger_pipeline.db.pool import Database, call
from tests.crash.restartable_server import restartable_server
from tests.db.test_load import query
from tests.db.test_server import set_odd

ACKNOWLEDGED: dict[str, dict[str, Any]] = {
    "receive_webhook_deliveries": {"bodies": [b"{}"]},
    "request_sync": {
        "request_id": uuid4(), "page_id": "10", "mode": "auto", "session": None,
        "max_conversations": None, "requested_by": "a test",
    },
    "register_page": {
        "page_id": "10", "name": "P", "user_id": None, "platform": None, "token_encrypted": "x",
    },
    "set_page_status": {"page_id": "10", "status": "paused"},
    "complete_sync_session": {"session": uuid4(), "fence": 1},
    "take_lease": {"page_id": "10", "locked_by": "a test", "seconds": 60},
    "discard_quarantined": {
        "ids": [1], "discarded_by": "a test", "reason": "a test",
    },
    "reopen_webhook_deliveries": {
        "ids": [1], "state": None, "since": None, "until": None, "after": 0,
    },
    "retry_gaps": {"ids": ["1"], "page_id": None},
    "settle_alert_message": {"ids": [1], "phase": "opened"},
    "bulk_upsert_conversations_with_events": {"page_id": "10", "conversations": "[]"},
}  # fmt: skip


def test_what_is_acknowledged_is_committed_durably(database: Database) -> None:
    found = {}
    with database.transaction() as connection:
        for function, arguments in ACKNOWLEDGED.items():
            for default in ("off", "local", "remote_apply"):
                connection.execute(f"set local synchronous_commit = {default}")
                call(connection, function, **arguments)
                [row] = connection.execute("show synchronous_commit").fetchall()
                found[function, default] = row[0]
    assert found == {
        (function, default): pinned
        for function in ACKNOWLEDGED
        for default, pinned in (("off", "on"), ("local", "local"), ("remote_apply",) * 2)
    }


def test_answered_deliveries_and_requests_survive_a_crash_of_the_server() -> None:
    with restartable_server() as server:
        url = database_url(server.url, "data")
        migrate.upgrade(url, "public")
        set_odd(url)

        async def receive(count: int) -> None:
            async with GroupCommit(url, "public", lambda _: None) as commit:
                for number in range(count):
                    await commit.store(b'{"delivery": %d}' % number)

        asyncio.run(receive(300))
        server.stop("immediate")
        server.start()
        with Database(url, timeout=10) as database:
            assert query(database, "select count(*) from webhook_inbox") == [(300,)]
            database.call("register_page", **ACKNOWLEDGED["register_page"])
            server.stop("immediate")
            server.start()
            database.call("request_sync", **ACKNOWLEDGED["request_sync"])
            server.stop("immediate")
            server.start()
        with Database(url, timeout=10) as database:
            assert query(database, "select page_id from sync_requests") == [("10",)]
