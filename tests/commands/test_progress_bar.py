"""The progress bar of `sync` on a terminal shows what the events report."""

import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from messenger_pipeline.db.pool import Database
from messenger_pipeline.engine import Engine
from messenger_pipeline.graph.client import GraphApi
from messenger_pipeline.vault import TokenVault
from tests.conftest import Simulated, register
from tests.test_cli import environment
from tests.walking import walk

__all__ = ["environment"]  # a fixture


def shown_on_a_terminal(
    command: list[str], settings: dict[str, str], folder: Path
) -> tuple[int, str]:
    """The exit code, and what a terminal shows of standard error."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command, env={**os.environ, **settings, "COLUMNS": "200", "TERM": "xterm"}, cwd=folder,
        stdout=subprocess.DEVNULL, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 65_536):
            shown += part
    except OSError:
        pass  # Linux raises it when the other end is closed
    os.close(ours)
    return process.wait(timeout=60), re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode())


def test_it_shows_what_is_read_how_fast_and_what_is_left(
    environment: dict[str, str],
    simulate: Callable[..., Simulated],
    database: Database,
    tmp_path: Path,
) -> None:
    simulated = simulate(conversations=300, latency=0.2)
    environment["MESSENGER_GRAPH_URL"] = simulated.url
    environment["MESSENGER_CALLS_PER_SECOND"] = "1"  # slower than two looks of the bar
    vault = TokenVault([environment["MESSENGER_TOKEN_KEY"]])
    register(database, vault, simulated)
    # Not all: the gaps that follow the list would take a second each.
    command = [sys.executable, "-m", "messenger_pipeline.cli", "sync", simulated.page.id]
    command += ["--max-conversations", "250"]
    code, shown = shown_on_a_terminal(command, environment, tmp_path)
    assert code == 3, shown
    assert f"page {simulated.page.id}" in shown
    counts = {int(count) for count in re.findall(r"(\d+) conversations read", shown)}
    assert any(0 < count < 250 for count in counts), shown
    walk(Engine(database, GraphApi(simulated.url, "v26.0"), vault, 10_000), simulated.page.id)
    # The next sync knows from this one how many conversations there are.
    code, shown = shown_on_a_terminal([*command, "--full"], environment, tmp_path)
    assert code == 3, shown
    assert re.search(r"\d+ of about 300 conversations read, .* per second, about \d+ s left", shown)
