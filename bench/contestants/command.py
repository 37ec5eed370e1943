"""`messenger-pipeline sync PAGE --full`, in this process: a Dagster run."""

import contextlib
import os
import sys
from pathlib import Path

from bench.registry import KEY
from bench.turns import Task, take_turns, task
from messenger_pipeline.cli import cli


def main(given: Task) -> None:
    os.environ |= {
        "MESSENGER_HOME": str(Path.cwd()),
        "MESSENGER_DATABASE_URL": given.database_url,
        "MESSENGER_GRAPH_URL": given.graph_url,
        "MESSENGER_CALLS_PER_SECOND": "10000",
        "MESSENGER_TOKEN_KEY": KEY,
    }

    def run() -> None:
        with contextlib.redirect_stdout(sys.stderr):
            cli.main(["sync", given.page_id, "--full", "--json"], standalone_mode=False)

    take_turns(run)


if __name__ == "__main__":
    main(task())
