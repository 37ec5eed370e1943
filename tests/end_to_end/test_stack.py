"""The whole stack: daemon, webserver, run queue, runs in processes of their own, real HTTP."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from tests.server_folder import server_folder

COMMAND = [sys.executable, "-m", "messenger_pipeline.cli"]
PATIENCE = 600.0  # seconds; two cores start a Dagster in twenty, busy ones in minutes
POLL_SECONDS = 0.3  # between two looks, so that looking leaves the processor to the stack


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder for MESSENGER_HOME whose path is short enough for a socket."""
    with server_folder() as folder:
        yield folder


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def processes_of(home: Path) -> list[str]:
    """The command lines of the living processes that use a home."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline", "status"]):
        if process.info["pid"] == os.getpid() or process.info["status"] == psutil.STATUS_ZOMBIE:
            continue
        try:
            environment = process.environ()
        except psutil.Error:
            environment = {}
        command = " ".join(process.info["cmdline"] or [])
        if str(home) in command or str(home) in environment.get("MESSENGER_HOME", ""):
            found.append(command)
    return found


def until(done: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline, f"{what}: not within {PATIENCE:.0f} s"
        time.sleep(POLL_SECONDS)


def answers(url: str) -> bool:
    """Whether a server answers at the URL, with a status below 400."""
    try:
        return requests.get(url, timeout=30).ok
    except requests.RequestException:
        return False


def demo(home: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*COMMAND, "demo", "--conversations", "200", "--pages", "2", "--ui-port", free_port()],
        env={**os.environ, "MESSENGER_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_the_demo_stores_every_message_once_and_leaves_no_process(
    home: Path, tmp_path: Path
) -> None:
    """It ignores the database that the user's own settings name."""
    (tmp_path / ".env").write_text("MESSENGER_DATABASE_URL=postgresql://127.0.0.1:9/mine\n")
    first = demo(home)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "1. First sync: every conversation of every page" in first.stdout
    assert "deliveries acknowledged" in first.stdout
    assert "It wrote no conversation and no event" in first.stdout
    assert "messages is stored exactly once" in first.stdout
    assert first.stdout.count("2 of 2 pages complete") >= 3
    assert_rows_add_up(first.stdout)
    assert processes_of(home) == []


@pytest.mark.large
def test_a_second_demo_goes_on_from_the_first(home: Path) -> None:
    assert demo(home).returncode == 0
    second = demo(home)
    assert second.returncode == 0, second.stdout + second.stderr
    assert "1. First sync: what is new since an earlier demo" in second.stdout
    assert "It wrote no conversation and no event" in second.stdout
    assert "messages is stored exactly once" in second.stdout
    assert processes_of(home) == []


def assert_rows_add_up(output: str) -> None:
    """In the table of each sync: conversations read are those that were new, changed and unchanged,
    and the rate is what was read in these seconds."""
    rows = [line.split()[-7:] for line in output.splitlines() if re.match(r"\d{15} .*\d\.\d", line)]
    assert len(rows) == 6, output  # two pages in three rounds
    for row in rows:
        *counts, seconds, rate = row
        read, new, changed, unchanged, _ = (int(count.replace(",", "")) for count in counts)
        assert read == new + changed + unchanged
        shown = f"{read / float(seconds):,.0f}" if float(seconds) else "-"
        assert rate == shown


@pytest.mark.large
def test_after_a_killed_stack_the_next_one_starts_and_resumes_its_sync(
    home: Path,
) -> None:
    port, receiver = free_port(), free_port()
    server_info = f"http://127.0.0.1:{port}/server_info"
    readyz = f"http://127.0.0.1:{receiver}/readyz"

    def start() -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [
                *COMMAND,
                "dev",
                "--conversations",
                "3000",
                "--pages",
                "1",
                "--ui-port",
                port,
                "--port",
                receiver,
            ],
            env={**os.environ, "MESSENGER_HOME": str(home)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def state() -> dict[str, Any]:
        """The page's row of `status`."""
        shown = subprocess.run(
            [*COMMAND, "status", "--json"],
            env={**os.environ, "MESSENGER_HOME": str(home / "demo")},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        pages = json.loads(shown.stdout)["sync_statistics"] if shown.returncode == 0 else []
        return pages[0] if pages else {}

    def alive(stack: "subprocess.Popen[str]") -> bool:
        assert stack.poll() is None, stack.communicate()[0]
        return True

    stack = start()
    until(
        lambda: alive(stack) and state().get("total_synced", 0) > 300, "the first threads are read"
    )
    stack.kill()
    stack.wait()
    assert stack.stdout is not None
    stack.stdout.close()
    until(lambda: processes_of(home) == [], "the children of the killed stack end")

    again = start()
    try:
        # Not the first session that ends: while the full walk is open for long, incremental ones
        # run between its runs. Only the full one sets last_synced_at.
        until(lambda: alive(again) and bool(state().get("last_synced_at")), "the walk is complete")
        assert state()["conversations"] >= 3000  # live traffic opens new ones
        # Dagster's daemon syncs the page whether or not its webserver is up by then.
        until(lambda: alive(again) and answers(server_info), "the webserver answers")
        until(lambda: alive(again) and answers(readyz), "the receiver answers")
        assert "dagster_version" in requests.get(server_info, timeout=30).json()
        assert requests.get(readyz, timeout=30).json()["status"] == "ready"
    finally:
        again.send_signal(signal.SIGINT)
        output, _ = again.communicate(timeout=PATIENCE)
    assert again.returncode == 0, output
    assert "Ending" in output
    assert processes_of(home) == []
