"""The way of the application that the pipeline replaces: fetch, then each conversation with its
events row by row; here at least in one transaction per conversation.
"""

import json
from pathlib import Path
from typing import Any

import psycopg

from bench.contestants.graph import ListClient
from bench.turns import Task, take_turns, task

_HERE = Path(__file__).parent
CONVERSATION = (_HERE / "per_row_conversation.sql").read_bytes()
EVENT = (_HERE / "per_row_event.sql").read_bytes()


def main(given: Task) -> None:
    client = ListClient(given.graph_url, given.page_id, given.token)
    with psycopg.connect(given.database_url, autocommit=True) as connection:
        take_turns(lambda: load_page(connection, client, given.page_id))


def load_page(connection: psycopg.Connection[Any], client: ListClient, page_id: str) -> None:
    """Walk the page's list once, one commit per conversation."""
    after = None
    while True:
        answer = json.loads(client.fetch(after))
        for thread in answer["data"]:
            with connection.transaction():
                _load_thread(connection, page_id, thread)
        if "next" not in answer["paging"]:
            return
        after = answer["paging"]["cursors"]["after"]


def _load_thread(connection: psycopg.Connection[Any], page_id: str, thread: dict[str, Any]) -> None:
    contact = next(party for party in thread["participants"]["data"] if party["id"] != page_id)
    messages = thread["messages"]["data"]
    conversation = {
        "page_id": page_id,
        "sender_id": contact["id"],
        "sender_name": contact["name"],
        "last_message": messages[0]["message"],
        "last_message_time": messages[0]["created_time"],
        "message_count": thread["message_count"],
    }
    row = connection.execute(CONVERSATION, conversation).fetchone()
    assert row is not None
    for message in messages:
        connection.execute(EVENT, _event(row[0], page_id, message))


def _event(conversation_id: object, page_id: str, message: dict[str, Any]) -> dict[str, Any]:
    metadata = {"source": "initial_sync", "message_id": message["id"], "text": message["message"]}
    if "attachments" in message:
        metadata["attachments"] = message["attachments"]["data"]
    sent = message["from"]["id"] == page_id
    return {
        "conversation_id": conversation_id,
        "page_id": page_id,
        "event_type": "message_sent" if sent else "message_received",
        "event_timestamp": message["created_time"],
        "message_id": message["id"],
        "metadata": json.dumps(metadata, ensure_ascii=False),
    }


if __name__ == "__main__":
    main(task())
