"""The whole stack holds a request until Dagster's daemon has had its sync run."""

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
import requests

from messenger_pipeline.local.simulation import API_KEY
from tests.end_to_end.test_stack import (
    COMMAND,
    PATIENCE,
    answers,
    free_port,
    home,
    processes_of,
    until,
)

__all__ = ["home"]  # a fixture

pytestmark = pytest.mark.large


def test_a_held_request_has_the_figures_of_the_session_that_the_daemon_ran(home: Path) -> None:
    port = free_port()
    stack = subprocess.Popen(
        [*COMMAND, "dev", "--conversations", "300", "--pages", "1", "--ui-port", free_port(),
         "--port", port],
        env={**os.environ, "MESSENGER_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip
    api = f"http://127.0.0.1:{port}/api"
    key = {"X-API-Key": API_KEY}
    held: list[requests.Response] = []

    def ask() -> bool:
        """Request a full sync, unless the schedule's is in progress."""
        assert stack.poll() is None, stack.communicate()[0]
        page = requests.get(f"{api}/pages", headers=key, timeout=60).json()["pages"][0]
        answer = requests.post(
            f"{api}/conversations/sync-fixed",
            json={"pageId": page["id"], "facebookPageId": page["pageId"], "mode": "full"},
            headers=key | {"Prefer": "wait=600"},
            timeout=PATIENCE,
        )
        held.append(answer)
        return answer.status_code != 409

    try:
        until(lambda: answers(f"http://127.0.0.1:{port}/readyz"), "the receiver answers")
        until(ask, "a sync can be requested")
        answer = held[-1]
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        state = requests.get(
            f"{api}/conversations/sync/{body['sync_session_id']}", headers=key, timeout=60
        ).json()
    finally:
        stack.send_signal(signal.SIGINT)
        output, _ = stack.communicate(timeout=PATIENCE)
    assert stack.returncode == 0, output
    assert answer.headers["preference-applied"] == "wait=600"
    assert body == state
    assert (body["success"], body["state"], body["syncMode"]) == (True, "completed", "full")
    assert body["synced"] >= 300
    assert processes_of(home) == []
