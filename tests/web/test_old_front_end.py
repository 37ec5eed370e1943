"""The snippets of the replaced application's guides, as they are written, against `serve`.

They stand in the folder old_front_end. The additions: the API key, or the session cookie; and
?pageId= for an EventSource.
"""

import json
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.db.test_load import query
from tests.web.conftest import KEY, signature
from tests.web.old import SNIPPETS, Old, has_figures, old
from tests.web.waiting import change, syncing, until

__all__ = ["old"]  # a fixture

NODE, CURL = shutil.which("node"), shutil.which("curl")
in_node = pytest.mark.skipif(NODE is None, reason="no node on PATH: apt-get install nodejs")
with_curl = pytest.mark.skipif(CURL is None, reason="no curl on PATH: apt-get install curl")


# -- In Node ------------------------------------------------------------------------------------


def start_node(old: Old, name: str) -> "subprocess.Popen[str]":
    assert NODE
    script = Path(__file__).parent / "run_snippet.mjs"
    key = KEY.encode().decode("latin-1")  # as bytes: fetch sends the letters of a header in Latin-1
    return subprocess.Popen(
        [NODE, script, SNIPPETS / name, old.control.url, key, old.page_id, old.facebook_page_id],
        stdout=subprocess.PIPE,
        text=True,
    )


def end_node(process: "subprocess.Popen[str]") -> dict[str, Any]:
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    printed: dict[str, Any] = json.loads(output)
    return printed


@in_node
@pytest.mark.parametrize(
    "name", ["sync_button_before.js", "sync_button_after.js", "quick_start.js", "performance.js"]
)
def test_a_fetch_of_the_guides_gets_the_figures_of_the_sync(old: Old, name: str) -> None:
    with syncing(old.engine):
        printed = end_node(start_node(old, name))
    [answer] = printed["answers"]
    assert answer["status"] == 200
    assert has_figures(answer["body"], old.row())
    assert (answer["body"]["success"], answer["body"]["hasMore"]) == (True, False)
    if name == "quick_start.js":
        assert printed["logged"] == [[answer["body"]]]
    if name == "performance.js":
        [synced, speed] = printed["logged"]
        assert (synced[:3], speed[0], speed[2]) == (
            ["Synced:", 60, "in"], "Speed:", "conversations/sec"
        )  # fmt: skip


@in_node
def test_the_sync_button_logs_the_session_to_resume(old: Old) -> None:
    node = start_node(old, "sync_button_after.js")
    park(old)
    printed = end_node(node)
    [answer] = printed["answers"]
    session = answer["body"]["resumeSession"]
    assert printed["logged"] == [["Partial sync, can resume with:", session]]


@in_node
def test_a_partial_sync_is_resumed_from_where_it_left_off(old: Old) -> None:
    node = start_node(old, "sync_resumption.js")
    park(old)
    with syncing(old.engine):
        printed = end_node(node)
    first, second = printed["answers"]
    assert (first["body"]["success"], first["body"]["hasMore"]) == (True, True)
    assert second["body"]["sync_session_id"] == first["body"]["resumeSession"]
    assert has_figures(second["body"], old.row())
    assert printed["logged"] == [["Resumed:", second["body"]]]
    assert query(
        old.database,
        "select sender_id from messenger_conversations group by page_id, sender_id"
        " having count(*) > 1",
    ) == []  # fmt: skip


def park(old: Old) -> None:
    """As if somebody cancelled the run: the sync is partial."""
    until(lambda: old.control.waits.waiting == 1)
    query(old.database, "update sync_requests set ended_at = now() returning 1")
    change(old.database, "parked_at = now()")


# -- With curl ----------------------------------------------------------------------------------


def commands_of(old: Old, name: str, *headers: str) -> list[list[str]]:
    """The commands of a shell snippet, with headers added."""
    text = old.fill((SNIPPETS / name).read_text())
    text = re.sub(r"^#.*$", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    commands = re.findall(r"^curl .*?'\s*$", text, flags=re.MULTILINE | re.DOTALL)
    more = "".join(f" -H '{header}'" for header in ("X-API-Key: " + KEY, *headers))
    status = " -sS -w '\\n%{http_code}'"
    return [["bash", "-c", command.strip() + more + status] for command in commands]


def run_curl(command: list[str]) -> tuple[int, Any]:
    output = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    body, _, status = output.rpartition("\n")
    return int(status), json.loads(body) if body.startswith("{") else body


@with_curl
@pytest.mark.parametrize("name", ["concurrent_syncs.sh", "concurrent_syncs_at_once.sh"])
def test_a_concurrent_sync_is_refused_with_409(old: Old, name: str) -> None:
    first, second = commands_of(old, name)
    with ThreadPoolExecutor() as terminals:
        one = terminals.submit(run_curl, first)
        until(lambda: old.control.waits.waiting == 1)
        status, body = run_curl(second)
        assert status == 409
        assert body["error"].startswith("Sync already in progress for this page. ")
        with syncing(old.engine):
            assert one.result()[0] == 200
    assert has_figures(one.result()[1], old.row())


@with_curl
def test_a_session_is_resumed_with_curl(old: Old) -> None:
    first, second = commands_of(old, "sync_resumption.sh")
    with ThreadPoolExecutor() as terminal:
        one = terminal.submit(run_curl, first)
        park(old)
        status, body = one.result()
    assert (status, body["hasMore"]) == (200, True)
    second[-1] = second[-1].replace("uuid-from-above", body["resumeSession"])
    with syncing(old.engine):
        status, resumed = run_curl(second)
    assert status == 200
    assert has_figures(resumed, old.row())


@with_curl
def test_the_test_delivery_is_stored_if_it_is_signed(old: Old) -> None:
    [unsigned] = commands_of(old, "webhook.sh")
    assert run_curl(unsigned)[0] == 403
    body = re.search(r"-d '(.*)' -H", unsigned[-1], flags=re.DOTALL)
    assert body
    # curl -d leaves out line ends only when it reads a file.
    signed = f"X-Hub-Signature-256: {signature(body[1].encode())}"
    assert run_curl(commands_of(old, "webhook.sh", signed)[0])[0] == 200
    assert query(old.database, "select count(*) from webhook_inbox") == [(1,)]


# -- As HTTP ------------------------------------------------------------------------------------


def send(old: Old, name: str) -> Any:
    """Send a snippet that is written as a request line and a body."""
    text = re.sub(r"^//.*\n|\s+//.*$", "", (SNIPPETS / name).read_text(), flags=re.MULTILINE)
    line, body = text.split("\n", 1)
    method, path = line.split()
    return old.control.request(method, path, data=old.fill(body).encode())


def shape(value: Any) -> Any:
    """The names and types of a JSON value."""
    if isinstance(value, dict):
        return {name: shape(one) for name, one in value.items()}
    return type(value)


@pytest.mark.parametrize("name", ["sync", "sync_optimized"])
def test_an_answer_has_the_shape_that_the_guide_expects(old: Old, name: str) -> None:
    expected = shape(json.loads((SNIPPETS / f"{name}.json").read_text()))
    with syncing(old.engine):
        answer = send(old, f"{name}.http")
    assert answer.status_code == 200
    body = shape(answer.json())
    assert {one: body[one] for one in expected} == expected
    row = old.row()
    text = {
        "sync": rf"Full sync: 60 conversation\(s\) with {row['eventsCreated']} events",
        "sync_optimized": r"Successfully synced 60 conversations in \d+\.\ds",
    }[name]
    assert re.fullmatch(text, answer.json()["message"])


def test_the_stream_of_the_guide_ends_with_the_sync(old: Old) -> None:
    with syncing(old.engine):
        answer = send(old, "sync_stream.http")
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line[:5] == "data:"]
    assert has_figures(events[-1], old.row())
    assert events[-1]["success"] is True


def test_smaller_batches_need_the_page_too(old: Old) -> None:
    answer = send(old, "smaller_batches.http")
    assert answer.status_code == 422
    assert "pageId" in answer.json()["error"]
