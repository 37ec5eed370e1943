"""The least that loads the same indexed tables: the next answer is fetched and parsed while one is
loaded by a single statement and commit. No validation, no session, no lease, no state of threads.

The answer goes to the database as it came: arrays of columns, COPY into a temporary table and
JSON written anew were all slower.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from bench.contestants.graph import ListClient
from bench.turns import Task, take_turns, task

STATEMENT = Path(__file__).with_suffix(".sql").read_bytes()


@dataclass(frozen=True)
class Answer:
    body: str
    after: str | None


def main(given: Task) -> None:
    client = ListClient(given.graph_url, given.page_id, given.token)
    with psycopg.connect(given.database_url, autocommit=True) as connection:
        take_turns(lambda: load_page(connection, client, given.page_id))


def load_page(connection: psycopg.Connection[Any], client: ListClient, page_id: str) -> None:
    """Walk the page's list once, one commit per answer."""
    with ThreadPoolExecutor(1) as fetcher:
        coming = fetcher.submit(_fetch, client, None)
        while True:
            answer = coming.result()
            if answer.after:
                coming = fetcher.submit(_fetch, client, answer.after)
            connection.execute(STATEMENT, {"page_id": page_id, "answer": answer.body})
            if not answer.after:
                return


def _fetch(client: ListClient, after: str | None) -> Answer:
    body = client.fetch(after)
    paging = json.loads(body)["paging"]
    return Answer(body.decode(), paging["cursors"]["after"] if "next" in paging else None)


if __name__ == "__main__":
    main(task())
