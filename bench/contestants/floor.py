"""The least that loads the same indexed tables: the next response is fetched and parsed while one
is loaded by a single statement and commit. No validation, session, lease or state of threads.

The response is loaded as it is: arrays of columns, COPY and rewritten JSON were all slower.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg

from bench.contestants.program import ListClient, run_passes

STATEMENT = Path(__file__).with_suffix(".sql").read_bytes()


def main(graph_url: str, database_url: str, page_id: str) -> None:
    client = ListClient(graph_url, page_id)
    with psycopg.connect(database_url, autocommit=True) as connection:
        run_passes(lambda: load_page(connection, client, page_id))


def load_page(connection: psycopg.Connection[Any], client: ListClient, page_id: str) -> None:
    """Walk the page's list once, with one commit per response."""
    with ThreadPoolExecutor(1) as fetcher:
        prefetch = fetcher.submit(_fetch, client, None)
        while True:
            body, after = prefetch.result()
            if after:
                prefetch = fetcher.submit(_fetch, client, after)
            connection.execute(STATEMENT, {"page_id": page_id, "response": body})
            if not after:
                return


def _fetch(client: ListClient, after: str | None) -> tuple[str, str | None]:
    """A response, and the cursor of the next."""
    body = client.fetch(after)
    paging = json.loads(body)["paging"]
    return body.decode(), paging["cursors"]["after"] if "next" in paging else None


if __name__ == "__main__":
    main(*sys.argv[1:])
