"""The commands serve, webhook ingest and webhook replay, in processes."""

import io
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from messenger_pipeline import cli
from messenger_pipeline.db import inbox
from messenger_pipeline.db.pool import Database
from messenger_pipeline.webhook.drain import drain_batch
from tests.db.test_load import query
from tests.graph_simulator.webhook_sink import free_port
from tests.test_cli import Run, ended, environment, run
from tests.web.conftest import signature
from tests.webhook.shapes import PAGE, delivery, item

APP_SECRET, VERIFY_TOKEN = "the new app secret", "verify"
__all__ = ["environment", "run"]  # fixtures
SECRETS = {"MESSENGER_APP_SECRET": APP_SECRET, "MESSENGER_VERIFY_TOKEN": VERIFY_TOKEN}


def text(number: int, **entry: Any) -> bytes:
    return delivery(item(message={"mid": f"m_{number}", "text": f"text {number}"}), **entry)


def register(database: Database, page_id: str = PAGE) -> None:
    database.call(
        "register_page", page_id=page_id, name=None, user_id=None, platform=None,
        token_encrypted="X",
    )  # fmt: skip


def texts(database: Database) -> list[str]:
    statement = "select content from event_facts where event_type = 'message_received' order by 1"
    return [content.rpartition("}")[2].strip('"') for (content,) in query(database, statement)]


def states(database: Database) -> list[str]:
    return [state for (state,) in query(database, "select state from webhook_inbox order by id")]


# -- serve --------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", [[*SECRETS], *([name] for name in SECRETS)])
def test_serve_starts_only_with_its_secrets(run: Run, missing: list[str]) -> None:
    given = {name: "" if name in missing else value for name, value in SECRETS.items()}
    result = run("serve", **given)
    ended(result, 2, *(f"{name} is missing" for name in missing))
    for name in {*SECRETS} - {*missing}:
        assert name not in result.stderr


@pytest.mark.parametrize(
    ("settings", "code", "output"),
    [
        ({"MESSENGER_TOKEN_KEY": ""}, 2, ["MESSENGER_TOKEN_KEY is missing"]),
        (
            {"MESSENGER_DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:9/d"}, 1,
            ["PostgreSQL cannot be reached"],
        ),
    ],
)  # fmt: skip
def test_serve_names_the_wrong_setting(
    run: Run, settings: dict[str, str], code: int, output: list[str]
) -> None:
    result = run("serve", "--port", str(free_port()), **{**SECRETS, **settings})
    ended(result, code, *output)
    assert "hunter2" not in result.stdout + result.stderr


def test_serve_starts_only_with_a_current_schema(run: Run, empty_url: str) -> None:
    port = str(free_port())
    result = run("serve", "--port", port, **SECRETS, MESSENGER_DATABASE_URL=empty_url)
    ended(result, 1, "Run `messenger-pipeline db upgrade`")


@pytest.fixture
def serving(
    environment: dict[str, str],
    tmp_path: Path,
) -> Iterator[Callable[..., tuple["subprocess.Popen[str]", str]]]:
    """Starts receivers; returns the process and its URL."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> tuple["subprocess.Popen[str]", str]:
        port = free_port()
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "messenger_pipeline.cli",
                "serve",
                "--port",
                str(port),
                *arguments,
            ],
            env={**os.environ, **environment, **SECRETS},
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        url = f"http://127.0.0.1:{port}"
        until(lambda: _is_ready(process, url))
        return process, url

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def _is_ready(process: "subprocess.Popen[str]", url: str) -> bool:
    assert process.poll() is None, process.communicate()[0]
    try:
        return requests.get(f"{url}/readyz", timeout=10).status_code == 200
    except requests.ConnectionError:
        return False


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not hold in time"
        time.sleep(0.02)


def test_serve_receives_and_applies_deliveries_until_sigterm(
    serving: Callable[..., Any], run: Run, database: Database
) -> None:
    register(database)
    process, url = serving()
    ended(run("serve", "--port", url.rpartition(":")[2], **SECRETS), 1, "cannot be used", "--port")
    question = {"hub.mode": "subscribe", "hub.verify_token": VERIFY_TOKEN, "hub.challenge": "1"}
    assert requests.get(f"{url}/api/webhook", question, timeout=30).text == "1"
    signed = {"X-Hub-Signature-256": signature(text(1), APP_SECRET)}
    answer = requests.post(f"{url}/api/webhook", text(1), headers=signed, timeout=30)
    assert answer.status_code == 200
    until(lambda: states(database) == ["done"])
    assert texts(database) == ["text 1"]
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 0, output
    assert "Traceback" not in output
    assert "Every delivery that was answered is stored" in output


def test_serve_without_its_drain_leaves_deliveries_pending(
    serving: Callable[..., Any], database: Database
) -> None:
    register(database)
    process, url = serving("--no-drain")
    signed = {"X-Hub-Signature-256": signature(text(1), APP_SECRET)}
    requests.post(f"{url}/api/webhook", text(1), headers=signed, timeout=30).raise_for_status()
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 0, output
    assert states(database) == ["pending"]
    assert drain_batch(database).states == {"done": 1}


# -- webhook ingest -----------------------------------------------------------------------------


class _Input(io.BytesIO):
    name = "<stdin>"


@pytest.fixture
def webhook(
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Run]:
    """Runs `webhook …` in this process, which saves the start of another."""
    handlers = {which: signal.getsignal(which) for which in (signal.SIGINT, signal.SIGTERM)}
    # What main sets for its process.
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    monkeypatch.setattr(logging, "lastResort", logging.lastResort)

    def webhook(*arguments: str, input: str = "") -> "subprocess.CompletedProcess[str]":
        monkeypatch.setattr(sys, "argv", ["messenger-pipeline", "webhook", *arguments])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(_Input(input.encode())))
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        code = ended.value.code
        assert code is None or isinstance(code, int)
        return subprocess.CompletedProcess(arguments, code or 0, captured.out, captured.err)

    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    yield webhook
    for which, handler in handlers.items():
        signal.signal(which, handler)


def test_files_with_one_body_are_ingested(webhook: Run, database: Database, tmp_path: Path) -> None:
    register(database)
    printed = json.dumps(json.loads(text(1)), indent=2).encode()
    (tmp_path / "one.json").write_bytes(printed)
    (tmp_path / "two.json").write_bytes(b"\xef\xbb\xbf" + text(2) + b"\n")
    result = webhook("ingest", "one.json", "two.json", "--json")
    ended(result, 0)
    assert json.loads(result.stdout) == {
        "deliveries": 2,
        "states": {"done": 2},
        "outcomes": {"applied": 2},
        "events": {"message_received": 2},
        "without_events": [],
    }
    assert texts(database) == ["text 1", "text 2"]
    assert query(database, "select body from webhook_inbox order by id limit 1") == [(printed,)]
    again = webhook("ingest", "one.json", "two.json")
    ended(again, 0, "message_received 2", "2 deliveries: 2 done.")
    assert texts(database) == ["text 1", "text 2"]


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_line_that_is_not_json_is_skipped_and_reported(
    webhook: Run, database: Database, tmp_path: Path, at: int
) -> None:
    register(database)
    lines = [text(1), b"", text(2)]
    lines.insert(at, b'{"object": "pa')
    (tmp_path / "lines.jsonl").write_bytes(b"\n".join(lines))
    result = webhook("ingest", "lines.jsonl", "--json")
    label = f"lines.jsonl, line {at + 1}" if at else "lines.jsonl"
    ended(result, 1, f"{label} is not JSON; it is skipped.")
    assert json.loads(result.stdout)["states"] == {"done": 2}
    assert texts(database) == ["text 1", "text 2"]


def test_lines_after_an_empty_first_are_ingested(webhook: Run, database: Database) -> None:
    register(database)
    result = webhook("ingest", "-", input=f"\n{text(1).decode()}\n\n{text(2).decode()}\n")
    ended(result, 0, "2 deliveries: 2 done.")
    assert texts(database) == ["text 1", "text 2"]


@pytest.mark.parametrize("body", [b"", b"\n\n", b"a=1", b'{\n  "object": "page",\n  "entry": [\n'])
def test_a_file_that_is_not_json_is_reported_once(
    webhook: Run, database: Database, tmp_path: Path, body: bytes
) -> None:
    (tmp_path / "broken.json").write_bytes(body)
    result = webhook("ingest", "broken.json")
    ended(result, 1, "broken.json is not JSON; it is skipped.", "0 deliveries: none.")
    assert result.stderr.count("is not JSON") == 1
    assert states(database) == []


def test_unusable_items_are_quarantined_and_reported(webhook: Run, database: Database) -> None:
    register(database)
    bodies = [
        delivery(item(message={"mid": "m_1"}, sender=None), item(read={"watermark": 5})),
        b"[" * 100 + b"]" * 100,
        delivery(changes=[{"field": "feed"}]),
    ]
    result = webhook("ingest", "-", input=b"\n".join(bodies).decode())
    ended(
        result, 0, "standard input, line 2 quarantined: nested deeper than 64 levels",
        "standard input, line 3 ignored: the change is of feed, not of messaging",
        "3 deliveries: 2 failed, 1 ignored.", "2 items could not be used", "quarantine list",
    )  # fmt: skip
    found = query(database, "select kind, reason from quarantined_records order by 1")
    assert found == [
        ("delivery", "nested deeper than 64 levels"), ("item", "it names no contact"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "code", "output"),
    [
        (["ingest"], 2, ["Missing argument"]),
        (["ingest", "nowhere.json"], 2, ["nowhere.json"]),
        (["replay"], 2, ["Give the deliveries' ids"]),
        (["replay", "x"], 2, ["not a valid integer"]),
        (["replay", "9" * 30], 2, ["not in the range"]),
        (["replay", "0"], 2, ["not in the range"]),
        (["replay", "--state", "lost"], 2, ["--state"]),
        (["replay", "--since", "soon"], 2, ["--since soon is not a time"]),
        (["replay", "12345"], 0, ["not in the inbox: 1 id.", "0 deliveries: none."]),
        (["replay", "--since", "2026-05-01"], 0, ["0 deliveries: none."]),
    ],
)
def test_wrong_arguments_are_reported(
    webhook: Run, arguments: list[str], code: int, output: list[str]
) -> None:
    ended(webhook(*arguments), code, *output)


# -- An unregistered page, and webhook replay ---------------------------------------------------


def test_deliveries_wait_for_their_page_and_are_applied_when_it_is_registered(
    webhook: Run, database: Database
) -> None:
    result = webhook("ingest", "-", input=text(1).decode())
    ended(
        result, 0, f"waiting: page {PAGE} is not registered", "1 delivery: 1 waiting.",
        "Warning: 1 delivery of pages that are not registered",
    )  # fmt: skip
    assert (states(database), texts(database)) == (["pending"], [])
    ended(webhook("replay", "--state", "pending"), 0, "1 delivery: 1 waiting.")
    register(database)
    assert drain_batch(database).states == {"done": 1}
    assert texts(database) == ["text 1"]


def test_deliveries_are_replayed_by_id_state_and_time(webhook: Run, database: Database) -> None:
    register(database)
    bodies = [text(1), text(2), delivery(changes=[{"field": "feed"}]), b"broken"]
    ids = inbox.receive(database, bodies)
    while drain_batch(database).deliveries:
        pass
    with database.transaction() as connection:
        for number, delivery_id in enumerate(ids, 1):
            connection.execute(
                "update webhook_inbox set received_at = %s where id = %s",
                [f"2026-05-0{number}T12:00Z", delivery_id],
            )
        connection.execute("delete from messenger_conversations")
    assert texts(database) == []

    def replay(*arguments: str, code: int = 0) -> Any:
        result = webhook("replay", *arguments, "--json")
        ended(result, code)
        return json.loads(result.stdout)["states"]

    assert replay(str(ids[1])) == {"done": 1}
    assert texts(database) == ["text 2"]
    assert replay("--state", "ignored") == {"ignored": 1}
    assert replay("--state", "failed") == {"failed": 1}
    assert replay("--until", "2026-05-01T12:00") == {}
    assert replay("--since", "2026-05-01T12:00", "--until", "2026-05-02") == {"done": 1}
    assert texts(database) == ["text 1", "text 2"]
    assert replay("--since", "2026-05-02T14:00+02:00", "--state", "done") == {"done": 1}
    assert replay(*map(str, ids), "--state", "done") == {"done": 2}
    assert states(database) == ["done", "done", "ignored", "failed"]


def test_replaying_a_repaired_delivery_resolves_its_quarantined_record(
    webhook: Run, database: Database
) -> None:
    """The test edits the inbox; in production a later version may parse what this one cannot."""
    register(database)
    [delivery_id] = inbox.receive(database, [b"broken"])
    assert drain_batch(database).states == {"failed": 1}
    ended(webhook("replay", str(delivery_id)), 0, "1 item could not be used")
    with database.transaction() as connection:
        connection.execute("update webhook_inbox set body = %s", [text(1)])
    ended(webhook("replay", "--state", "failed"), 0, "1 delivery: 1 done.")
    assert query(database, "select resolved_at is null from quarantined_records") == [(False,)]


def test_an_event_that_postgresql_refuses_makes_the_command_partial(
    webhook: Run, database: Database
) -> None:
    register(database)
    with database.transaction() as connection:
        connection.execute(
            "create function refuse() returns trigger language plpgsql as $$"
            " begin raise exception 'not this one'; end $$;"
            "create trigger refusing before insert on contact_interaction_events for each row"
            " when (new.metadata ->> 'text' = 'text 1') execute function refuse()"
        )
    result = webhook("ingest", "-", input=f"{text(1).decode()}\n{text(2).decode()}")
    ended(result, 3, "not this one", "Partial: 1 delivery will be retried.")
    assert texts(database) == ["text 2"]
    with database.transaction() as connection:
        connection.execute("drop trigger refusing on contact_interaction_events")
    ended(webhook("replay", "--state", "pending"), 0, "1 delivery: 1 done.")
    assert texts(database) == ["text 1", "text 2"]
