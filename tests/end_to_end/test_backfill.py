"""A backfill of all pages, launched as Dagster's UI does it, in a real stack."""

import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.end_to_end.test_stack import COMMAND, free_port, home, processes_of, until

__all__ = ["home"]  # a fixture

PAGES = int(os.environ.get("MESSENGER_BACKFILL_PAGES", "7"))
PATIENCE = 180.0 + 12 * PAGES  # seconds; each page is synced twice
pytestmark = pytest.mark.large
ASSETS = [{"path": ["messenger_conversations"]}, {"path": ["contact_interaction_events"]}]
BACKFILL = """mutation ($parameters: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $parameters) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
STATE = """query ($backfill: String!) {
  partitionBackfillOrError(backfillId: $backfill) {
    ... on PartitionBackfill { status error { message } } }
  runsOrError(limit: 100) { ... on Runs { results { status tags { key value } } } } }"""
TICKS = """{ repositoriesOrError { ... on RepositoryConnection { nodes {
  schedules { name scheduleState { ticks(limit: 50) { status } } }
  sensors { name sensorState { ticks(limit: 50) { status } } } } } } }"""
IN_PROGRESS = {"STARTING", "STARTED", "CANCELING"}


class Ui:
    """Dagster's webserver."""

    def __init__(self, port: str) -> None:
        self._url = f"http://127.0.0.1:{port}/graphql"

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = Request(self._url, body, {"Content-Type": "application/json"})  # noqa: S310
        with urlopen(request, timeout=60) as answer:  # noqa: S310 - the webserver of this stack
            result: dict[str, Any] = json.load(answer)
        assert "errors" not in result, result
        found: dict[str, Any] = result["data"]
        return found

    def partitions(self) -> list[str]:
        query = '{ assetNodes(assetKeys: [{path: ["messenger_conversations"]}]) { partitionKeys } }'
        [node] = self.ask(query)["assetNodes"]
        keys: list[str] = node["partitionKeys"]
        return keys

    def backfill(self, pages: list[str]) -> str:
        parameters = {"partitionNames": pages, "assetSelection": ASSETS}
        launched = self.ask(BACKFILL, parameters=parameters)["launchPartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
        return str(launched["backfillId"])

    def ticks(self) -> dict[str, set[str]]:
        """How the ticks of each schedule and sensor ended."""
        [node] = self.ask(TICKS)["repositoriesOrError"]["nodes"]
        states = [(one["name"], one["scheduleState"]) for one in node["schedules"]]
        states += [(one["name"], one["sensorState"]) for one in node["sensors"]]
        return {name: {tick["status"] for tick in state["ticks"]} for name, state in states}


@contextmanager
def stack(home: Path) -> Iterator[Ui]:
    port = free_port()
    size = ["--pages", str(PAGES), "--conversations", "20"]
    process = subprocess.Popen(
        [*COMMAND, "dev", *size, "--ui-port", port, "--port", free_port()],
        env={**os.environ, "MESSENGER_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    ui = Ui(port)

    def ready() -> bool:
        assert process.poll() is None, process.communicate()[0]
        try:
            return len(ui.partitions()) == PAGES
        except (OSError, ValueError):
            return False

    try:
        until(ready, "each page has a partition")
        yield ui
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)


def test_a_backfill_stays_within_the_limits_while_a_page_is_removed(
    home: Path,
) -> None:
    """Never more than six runs of pages are in progress, never two of one page; the removed page
    fails with the reason; no tick fails."""
    with stack(home) as ui:
        pages = ui.partitions()
        backfill, gone = ui.backfill(pages), pages[-1]
        remove = subprocess.run(
            [*COMMAND, "pages", "remove", gone],
            env={**os.environ, "MESSENGER_HOME": str(home / "demo")},
            capture_output=True,
            check=False,
        )
        assert remove.returncode == 0, remove.stderr
        deadline = time.monotonic() + PATIENCE
        while True:
            state = ui.ask(STATE, backfill=backfill)
            runs = [
                (run["status"], {tag["key"]: tag["value"] for tag in run["tags"]})
                for run in state["runsOrError"]["results"]
            ]
            in_progress = Counter(
                tags["dagster/partition"]
                for status, tags in runs
                if status in IN_PROGRESS and "dagster/partition" in tags
            )
            assert sum(in_progress.values()) <= 6
            assert max(in_progress.values(), default=0) <= 1
            progress = state["partitionBackfillOrError"]
            if progress["status"] != "REQUESTED":
                break
            assert time.monotonic() < deadline, runs
        assert (progress["status"], progress["error"]) == ("COMPLETED_FAILED", None)
        ends = {
            tags["dagster/partition"]: (status, tags["messenger/cause"])
            for status, tags in runs
            if tags.get("dagster/backfill") == backfill
        }
        assert ends == dict.fromkeys(pages, ("SUCCESS", "backfill")) | {
            gone: ("FAILURE", "backfill")
        }
        until(lambda: gone not in ui.partitions(), "the partition of the removed page goes")
        assert not [name for name, ends in ui.ticks().items() if "FAILURE" in ends]
    assert processes_of(home) == []
