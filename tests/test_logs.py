"""Log lines are JSON, carry their context, and never contain a secret."""

import io
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest

from messenger_pipeline import logs
from messenger_pipeline.graph.client import GraphApi
from messenger_pipeline.redaction import kept_secret, redact_known, remember_secret
from messenger_pipeline.settings import load_settings

CANARY = "EAABcanary0123"
log = logging.getLogger("messenger_pipeline.canary")


@pytest.fixture
def lines() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """The lines that a process named `tests` logs during the test."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.json_lines("tests"))
    handler.setLevel(logging.INFO)
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.removeHandler(handler)
    root.setLevel(before)


Lines = Callable[[], list[dict[str, Any]]]


def test_a_line_has_its_time_event_and_context(lines: Lines) -> None:
    session = UUID(int=7)
    with logs.log_context(page_id="10", session_id=session, run_id=None):
        log.info("loaded a response of %d", 25, extra={"conversations": 25, "event": "hidden"})
    log.warning("without context")
    first, second = lines()
    assert first.pop("time").endswith("Z")
    assert first == {
        "level": "info", "process": "tests", "logger": "messenger_pipeline.canary",
        "event": "loaded a response of 25", "page_id": "10", "session_id": str(session),
        "conversations": 25,
    }  # fmt: skip
    assert "page_id" not in second


def test_other_loggers_print_json_lines_too(lines: Lines) -> None:
    logging.getLogger("elsewhere").error("no %s", "luck")
    [line] = lines()
    assert (line["logger"], line["event"], line["level"]) == ("elsewhere", "no luck", "error")


def test_an_exception_is_one_field_of_its_line(lines: Lines) -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        log.exception("it failed")
    [line] = lines()
    assert line["event"] == "it failed"
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("ValueError: two\nlines")


def test_context_reaches_another_thread_only_through_in_log_context(lines: Lines) -> None:
    def work(text: str) -> None:
        log.info(text)

    with logs.log_context(page_id="10"), ThreadPoolExecutor(2) as pool:
        # Two threads call the same function at once.
        carried = logs.in_log_context(work)
        for done in [pool.submit(carried, "carried") for _ in range(20)]:
            done.result()
        thread = threading.Thread(target=work, args=["not carried"])
        thread.start()
        thread.join()
        pool.submit(work, "not carried").result()
    found = [(line["event"], line.get("page_id")) for line in lines()]
    assert found == [("carried", "10")] * 20 + [("not carried", None)] * 2


def _chained() -> None:
    try:
        raise KeyError(CANARY)
    except KeyError as error:
        raise RuntimeError(f"because of {CANARY}") from error


LEAKS: list[Callable[[], None]] = [
    lambda: log.info(f"the token {CANARY}"),
    lambda: log.info("the token %s", CANARY),
    lambda: log.info("the tokens %(a)s", {"a": [CANARY]}),
    lambda: log.info("facts", extra={"token": CANARY}),
    lambda: log.info("facts", extra={"deep": {"er": [{"est": CANARY.encode()}]}, CANARY: 1}),
    lambda: log.info("facts", extra={"error": RuntimeError(CANARY)}),
    lambda: logging.getLogger("urllib3.connectionpool").warning("GET /x?y=%s", CANARY),
    lambda: logging.getLogger("elsewhere").warning("%s", CANARY, stack_info=True),
]


@pytest.mark.parametrize("leak", LEAKS)
def test_a_registered_secret_is_in_no_line(leak: Callable[[], None], lines: Lines) -> None:
    with kept_secret(CANARY):
        leak()
    [line] = lines()
    assert "***" in json.dumps(line)
    assert CANARY not in json.dumps(line)


def test_a_registered_secret_is_in_no_traceback(
    lines: Lines, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor in the output of other handlers, such as caplog's, which format it themselves."""
    with kept_secret(CANARY), logs.log_context(note=CANARY):
        try:
            _chained()
        except RuntimeError:
            log.exception("it failed with %s", CANARY)
    [line] = lines()
    assert "KeyError" in line["exception"], "the cause is logged, too"
    assert CANARY not in json.dumps(line)
    assert CANARY not in caplog.text


def test_a_value_under_a_secret_name_is_redacted(lines: Lines) -> None:
    log.info("facts", extra={"access_token": CANARY, "asked": {"input_token": CANARY}})
    log.info('{"access_token": "%s"} and access_token=%s', CANARY, CANARY)
    log.info("%s", json.dumps(json.dumps({"access_token": CANARY})))
    assert CANARY not in json.dumps(lines())


def test_settings_and_open_clients_register_their_secrets(
    lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = {
        "MESSENGER_APP_SECRET": "app-secret-one,app-secret-two",
        "MESSENGER_VERIFY_TOKEN": "verify-canary",
        "MESSENGER_DATABASE_URL": "postgresql://u:pass%40canary@h/db",
        "DAGSTER_PG_URL": "postgresql://u:dagster-canary@h/db",
    }
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    load_settings()
    token = "EAABclient-canary"
    with GraphApi("http://127.0.0.1:9", "v26.0").client(token):
        log.info("a %s", f"{token} app-secret-one app-secret-two verify-canary pass@canary")
        log.info("b pass%40canary dagster-canary")
    assert [line["event"] for line in lines()] == ["a *** *** *** *** ***", "b *** ***"]
    assert redact_known(token) == token, "closing a client unregisters its token"


def test_the_path_of_an_alert_url_is_redacted() -> None:
    remember_secret("https://hooks.example.com/services/T0/B0/canarycanary")
    redacted = redact_known("POST /services/T0/B0/canarycanary to hooks.example.com failed")
    assert redacted == "POST *** to hooks.example.com failed"


def test_secrets_that_are_too_short_are_not_redacted() -> None:
    with kept_secret("page"):
        assert redact_known("the page is due") == "the page is due"


def test_a_drain_that_cannot_work_logs_one_line_without_the_password() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "messenger_pipeline.web.drain_worker"],
        env={
            **os.environ,
            "MESSENGER_DATABASE_URL": "postgresql://u:canary-word@127.0.0.1:9/db",
            "MESSENGER_TOKEN_KEY": "q" * 43 + "=",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode != 0
    found = [json.loads(line) for line in ended.stderr.splitlines()]
    assert found[-1]["process"] == "drain"
    assert found[-1]["level"] == "error"
    assert "canary-word" not in ended.stderr
