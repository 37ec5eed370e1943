"""What a user of dlt would write: two resources with primary keys, merged into PostgreSQL.

It runs in a virtual environment of its own, because the project does not depend on dlt.
"""

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from bench.contestants.program import ListClient, run_passes

os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")

Records = list[dict[str, Any]]


def main(graph_url: str, database_url: str, page_id: str) -> None:
    import dlt  # type: ignore[import-not-found,unused-ignore]

    def page() -> Any:
        threads = dlt.resource(list_threads, name="threads", selected=False)(graph_url, page_id)
        merged = {"primary_key": "id", "write_disposition": "merge"}
        yield threads | dlt.transformer(conversations_of, name="conversations", **merged)
        yield threads | dlt.transformer(messages_of, name="messages", **merged)

    source = dlt.source(page, max_table_nesting=0)
    pipeline = dlt.pipeline(
        "bench",
        pipelines_dir=tempfile.mkdtemp(dir=Path.cwd()),
        destination=dlt.destinations.postgres(_complete(database_url)),
        dataset_name="bench",
    )
    run_passes(lambda: pipeline.run(source()))


def list_threads(graph_url: str, page_id: str) -> Iterator[Records]:
    client, after = ListClient(graph_url, page_id), None
    while True:
        response = json.loads(client.fetch(after))
        yield response["data"]
        if "next" not in response["paging"]:
            return
        after = response["paging"]["cursors"]["after"]


def conversations_of(threads: Records) -> Iterator[Records]:
    yield [{name: thread[name] for name in thread if name != "messages"} for thread in threads]


def messages_of(threads: Records) -> Iterator[Records]:
    for thread in threads:
        yield [{**one, "conversation_id": thread["id"]} for one in thread["messages"]["data"]]


def _complete(url: str) -> str:
    """The URL with the host and password that dlt requires; the query still names the socket."""
    split = urlsplit(url)
    password, host = split.password or "none", split.hostname or "localhost"
    port = f":{split.port}" if split.port else ""
    return urlunsplit(split._replace(netloc=f"{split.username}:{password}@{host}{port}"))


if __name__ == "__main__":
    main(*sys.argv[1:])
