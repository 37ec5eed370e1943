"""The walk itself, as a run of the pipeline does it. The page is registered already."""

import threading
import uuid
from pathlib import Path

from bench.registry import KEY
from bench.turns import Task, take_turns, task
from messenger_pipeline.runtime import open_engine
from messenger_pipeline.settings import load_settings
from messenger_pipeline.sync.run import SyncRequest, sync_page


def main(given: Task) -> None:
    settings = load_settings(
        home=Path.cwd(),
        database_url=given.database_url,
        graph_url=given.graph_url,
        calls_per_second=10_000,
        token_key=KEY,
    )
    with open_engine(settings) as engine:

        def run() -> None:
            request = SyncRequest(given.page_id, str(uuid.uuid4()), mode="full")
            sync_page(engine, request, threading.Event())

        take_turns(run)


if __name__ == "__main__":
    main(task())
