"""A real receiver, one of whose deliveries kills its drain each time."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.quarantine import list_quarantined
from messenger_pipeline.project import PROJECT
from tests.db.test_load import query
from tests.test_cli import environment
from tests.web.conftest import signature
from tests.webhook.test_commands import APP_SECRET, register, serving, states, text, texts, until

__all__ = ["environment", "serving"]  # fixtures

KILLER = """
import os, signal, sys
if "messenger_pipeline.web.drain_worker" in sys.orig_argv:
    from messenger_pipeline.webhook import items, payloads
    def parse_or_die(item):
        if item.payload["message"]["text"] == "text 2":
            os.kill(os.getpid(), signal.SIGKILL)
        return payloads.parse_events(item)
    items.parse_events = parse_or_die
"""


def test_the_receiver_goes_on_and_the_delivery_is_set_aside(
    environment: dict[str, str], serving: Callable[..., Any], database: Database, tmp_path: Path
) -> None:
    """The drain is restarted until the delivery is known, then applies the others."""
    (tmp_path / "sitecustomize.py").write_text(KILLER)
    environment["PYTHONPATH"] = f"{tmp_path}:{PROJECT}"
    register(database)
    process, url = serving()
    for number in range(1, 4):
        signed = {"X-Hub-Signature-256": signature(text(number), APP_SECRET)}
        answer = requests.post(f"{url}/api/webhook", text(number), headers=signed, timeout=30)
        assert answer.status_code == 200
    until(lambda: states(database) == ["done", "failed", "done"], seconds=60)
    assert texts(database) == ["text 1", "text 3"]
    [record] = list_quarantined(database)
    assert "processes were killed" in record.reason
    until(lambda: query(database, "select from drain_failures") == [])
    assert requests.get(f"{url}/readyz", timeout=30).json() == {"status": "ready"}
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 0, output
    assert "it was ended by SIGKILL" in output
