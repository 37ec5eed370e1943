"""`serve` as a process: its output about the control API, and how open streams end."""

import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from messenger_pipeline.db.pages import register_page
from messenger_pipeline.db.pool import Database
from tests.test_cli import environment
from tests.webhook.test_commands import serving

__all__ = ["environment", "serving"]  # fixtures
KEY = {"X-API-Key": "a key of the tests"}


def test_open_streams_are_ended_at_sigterm_and_not_cut(
    environment: dict[str, str], serving: Callable[..., Any], database: Database
) -> None:
    environment["MESSENGER_API_KEY"] = KEY["X-API-Key"]
    register_page(database, "10", name=None, user_id=None, platform=None, token_encrypted="x")
    process, url = serving("--no-drain")
    api = f"{url}/api/conversations"
    accepted = requests.post(f"{api}/sync", json={"pageId": "10"}, headers=KEY, timeout=30)
    assert accepted.status_code == 202, accepted.text

    def watch(path: str) -> bytes:
        """What the stream sends until its end. Raises if it is cut, as it would be in the end."""
        with requests.get(api + path, headers=KEY, stream=True, timeout=30) as answer:
            received: bytes = next(answer.iter_content(65_536))
            watched.append(path)
            for more in answer.iter_content(65_536):
                received += more
        return received

    watched: list[str] = []
    with ThreadPoolExecutor() as pool:
        session = accepted.json()["sync_session_id"]
        streams = [pool.submit(watch, path) for path in ("/events", f"/sync/{session}/events") * 5]
        while len(watched) < 10:
            time.sleep(0.05)
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=30)
        assert all(stream.result() for stream in streams)
    assert process.returncode == 0, output
    assert "Every delivery that was answered is stored" in output
    for word in ("Traceback", "ERROR", KEY["X-API-Key"]):
        assert word not in output


@pytest.mark.parametrize("key", ["", "a key of the tests"])
def test_the_output_states_whether_the_control_api_is_open(
    environment: dict[str, str], serving: Callable[..., Any], key: str
) -> None:
    environment["MESSENGER_API_KEY"] = key
    process, url = serving("--no-drain")
    answer = requests.get(f"{url}/api/overview", headers=KEY, timeout=30)
    assert answer.status_code == (200 if key else 401)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=30)
    assert ("set MESSENGER_API_KEY" in output) == (not key)
    assert ("The status page is" in output) == bool(key)
    assert KEY["X-API-Key"] not in output
