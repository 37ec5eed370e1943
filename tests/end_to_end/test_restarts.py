"""`dev` restarts the processes that end, and keeps the others running."""

import os
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.end_to_end.test_stack import (
    COMMAND,
    PATIENCE,
    answers,
    free_port,
    home,
    processes_of,
    until,
)

__all__ = ["home"]


def pids(home: Path, part: str) -> set[int]:
    """The processes of a home whose command has this part, without their supervisors."""
    found = set()
    for process in psutil.process_iter(["pid", "cmdline"]):
        command = " ".join(process.info["cmdline"] or [])
        try:
            mine = process.environ().get("MESSENGER_HOME") == str(home)
        except psutil.Error:
            continue
        if mine and part in command and "supervise" not in command:
            found.add(process.info["pid"])
    return found


@pytest.mark.large
def test_a_killed_daemon_is_restarted_and_the_receiver_goes_on(home: Path) -> None:
    ui, receiver, output = free_port(), free_port(), home / "output"
    readyz, server_info = (
        f"http://127.0.0.1:{receiver}/readyz",
        f"http://127.0.0.1:{ui}/server_info",
    )
    with output.open("wb") as file:
        stack = subprocess.Popen(
            [*COMMAND, "dev", "--real", "--ui-port", ui, "--port", receiver],
            env={
                **os.environ,
                "MESSENGER_HOME": str(home),
                "MESSENGER_APP_SECRET": "a-secret-for-this-test-alone",
                "MESSENGER_VERIFY_TOKEN": "a-token-for-this-test-alone",
            },
            stdout=file,
            stderr=subprocess.STDOUT,
        )

    def printed(text: str) -> bool:
        assert stack.poll() is None, output.read_text()
        return text in " ".join(output.read_text().split())

    try:
        until(lambda: printed("Ctrl-C ends everything"), "the stack is up")
        [daemon], [served] = pids(home, "dagster._daemon"), pids(home, "cli serve")
        os.kill(daemon, signal.SIGKILL)
        until(lambda: printed("dagster-daemon was ended by SIGKILL. Restarting dagster"), "named")
        assert answers(readyz)
        until(lambda: bool(pids(home, "dagster._daemon") - {daemon}), "a new daemon runs")
        assert pids(home, "cli serve") == {served}

        os.kill(served, signal.SIGKILL)
        until(lambda: printed("receiver was ended by SIGKILL. Restarting receiver"), "named")
        until(lambda: printed("") and answers(readyz), "the receiver answers again")
        until(lambda: printed("") and answers(server_info), "the webserver answers again")
    finally:
        stack.send_signal(signal.SIGINT)
        stack.wait(PATIENCE)
    assert stack.returncode == 0, output.read_text()
    assert processes_of(home) == []
