"""What a user of dlt would write: two resources with primary keys, merged into PostgreSQL.

Runs in a virtual environment of its own; dlt is no dependency of the project.
"""

import json
import os
import tempfile
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from bench.contestants.graph import ListClient
from bench.turns import Task, take_turns, task

os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")

Records = list[dict[str, Any]]


def main(given: Task) -> None:
    import dlt  # type: ignore[import-not-found,unused-ignore]

    def page() -> Any:
        threads = dlt.resource(list_threads, name="threads", selected=False)(given)
        merged = {"primary_key": "id", "write_disposition": "merge"}
        yield threads | dlt.transformer(conversations_of, name="conversations", **merged)
        yield threads | dlt.transformer(messages_of, name="messages", **merged)

    source = dlt.source(page, max_table_nesting=0)
    with tempfile.TemporaryDirectory() as folder:
        pipeline = dlt.pipeline(
            "bench",
            pipelines_dir=folder,
            destination=dlt.destinations.postgres(_complete(given.database_url)),
            dataset_name="bench",
        )
        take_turns(lambda: pipeline.run(source()))


def list_threads(given: Task) -> Iterator[Records]:
    client = ListClient(given.graph_url, given.page_id, given.token)
    after = None
    while True:
        answer = json.loads(client.fetch(after))
        yield answer["data"]
        if "next" not in answer["paging"]:
            return
        after = answer["paging"]["cursors"]["after"]


def conversations_of(threads: Records) -> Iterator[Records]:
    yield [{name: thread[name] for name in thread if name != "messages"} for thread in threads]


def messages_of(threads: Records) -> Iterator[Records]:
    yield [
        {**message, "conversation_id": thread["id"]}
        for thread in threads
        for message in thread["messages"]["data"]
    ]


def _complete(url: str) -> str:
    """The URL with a host and a password, which dlt insists on; a socket in its query has it."""
    split = urlsplit(url)
    password, host = split.password or "none", split.hostname or "localhost"
    port = f":{split.port}" if split.port else ""
    return urlunsplit(split._replace(netloc=f"{split.username}:{password}@{host}{port}"))


if __name__ == "__main__":
    main(task())
