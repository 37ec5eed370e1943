"""The walk, as a run of the pipeline does it. The page is already registered."""

import sys
import threading
import uuid
from pathlib import Path

from bench.contestants.program import KEY, run_passes
from messenger_pipeline.runtime import open_engine
from messenger_pipeline.settings import load_settings
from messenger_pipeline.sync.run import SyncRequest, sync_page


def main(graph_url: str, database_url: str, page_id: str) -> None:
    settings = load_settings(
        home=Path.cwd(),
        database_url=database_url,
        graph_url=graph_url,
        calls_per_second=10_000,
        token_key=KEY,
    )
    with open_engine(settings) as engine:

        def run() -> None:
            request = SyncRequest(page_id, str(uuid.uuid4()), mode="sweep")
            sync_page(engine, request, threading.Event())

        run_passes(run)


if __name__ == "__main__":
    main(*sys.argv[1:])
