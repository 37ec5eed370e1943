"""What the run-through uses: a simulated stack in a temporary folder, a server that receives
alerts, and Debian's chromium."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import requests
from playwright.sync_api import Page, sync_playwright

API_KEY = "the-key-of-the-run-through"
Found = TypeVar("Found")


@dataclass
class Stage:
    """A running stack; `received` are the messages that were sent to the address for alerts."""

    home: Path
    ui: str
    receiver: str
    environment: dict[str, str]
    received: list[dict[str, Any]] = field(default_factory=list)

    @property
    def graph(self) -> str:
        return self.environment["MESSENGER_GRAPH_URL"]

    def run(self, *arguments: str, given: str | None = None, code: bool = False) -> str:
        """The output of a command of ours; with `code` its exit code, too."""
        done = subprocess.run(
            [sys.executable, "-m", "messenger_pipeline.cli", *arguments],
            env=self.environment, input=given, capture_output=True, text=True, check=False,
            cwd=self.home,
        )  # fmt: skip
        output = (done.stdout + done.stderr).strip()
        return f"{output}\n{done.returncode}" if code else output

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        """A request to the control API, with the key."""
        headers = {"X-API-Key": API_KEY}
        return requests.request(
            method, self.receiver + path, headers=headers, timeout=30, **options
        )

    def order(self, path: str, body: dict[str, Any]) -> None:
        """Post to one of the simulator's own routes."""
        requests.post(f"{self.graph}/_simulator/{path}", json=body, timeout=30).raise_for_status()

    def pages(self) -> list[dict[str, Any]]:
        answer = requests.get(f"{self.graph}/_simulator/pages", timeout=30)
        found: list[dict[str, Any]] = answer.json()
        return found


_PID = """
query Pid($run: ID!) {
  runOrError(runId: $run) {
    ... on Run {
      eventConnection {
        events {
          ... on EngineEvent {
            metadataEntries { label ... on TextMetadataEntry { text } }
          }
        }
      }
    }
  }
}
"""


def kill_run(stage: Stage, run_id: str) -> int:
    """SIGKILL the process of a Dagster run. Returns its process id."""
    query = {"query": _PID, "variables": {"run": run_id}}
    answer = requests.post(f"{stage.ui}/graphql", json=query, timeout=30).json()
    events = answer["data"]["runOrError"]["eventConnection"]["events"]
    entries = [entry for event in events for entry in event.get("metadataEntries", [])]
    pid = next(int(entry["text"]) for entry in entries if entry["label"] == "pid")
    os.kill(pid, signal.SIGKILL)
    return pid


def until(look: Callable[[], Found | None], what: str, seconds: float = 180) -> Found:
    """The first result of `look` that is true. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.3)
    raise TimeoutError(f"{what}: not within {seconds:.0f} s")


@contextmanager
def running_stage(home: Path, pages: int, conversations: int) -> Iterator[Stage]:
    """The stack of `messenger-pipeline dev`, with alerts sent to a server of ours."""
    received: list[dict[str, Any]] = []
    ui, receiver = _free_port(), _free_port()
    with _sink(received) as sink:
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("MESSENGER_", "DAGSTER_"))},
            "MESSENGER_HOME": str(home),
            "MESSENGER_API_KEY": API_KEY,
            "MESSENGER_ALERT_URL": sink,
        }
        command = [sys.executable, "-u", "-m", "messenger_pipeline.cli", "dev"]
        command += ["--ui-port", str(ui), "--port", str(receiver)]
        command += ["--pages", str(pages), "--conversations", str(conversations)]
        stack = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        try:
            exported = _exports(stack)
            yield Stage(
                home,
                f"http://127.0.0.1:{ui}",
                f"http://127.0.0.1:{receiver}",
                environment | exported,
                received,
            )
        finally:
            stack.terminate()
            stack.wait(60)


def _exports(stack: "subprocess.Popen[str]") -> dict[str, str]:
    """The settings that `dev` prints for commands in another terminal, once it is running."""
    exported = {}
    assert stack.stdout is not None
    for line in stack.stdout:
        name, _, value = line.strip().removeprefix("export ").partition("=")
        if line.strip().startswith("export "):
            exported[name] = value
        if name == "MESSENGER_CALLS_PER_SECOND":
            return exported
    raise RuntimeError("the stack did not start")


@contextmanager
def _sink(received: list[dict[str, Any]]) -> Iterator[str]:
    """The address of a webhook like a chat's; it keeps the messages in `received`."""

    class Sink(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/services/of-the-chat"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def browser_page() -> Iterator[Page]:
    """A page of Debian's chromium."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        raise LookupError("chromium is needed: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield browser.new_page(viewport={"width": 1280, "height": 800}, device_scale_factor=1)
        browser.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
