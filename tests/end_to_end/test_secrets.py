"""Secrets are set wherever a setting or input takes one, and faults are injected; then no output,
log, answer, row or file contains any of them."""

import hashlib
import hmac
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import psycopg
import pytest
import requests

from messenger_pipeline.db.embedded import database_url
from messenger_pipeline.vault import new_key
from tests.conftest import Simulated
from tests.end_to_end.test_stack import COMMAND, free_port
from tests.webhook.bodies import body, text

APP_SECRET = "canary-app-secret-b81fc0aa"
VERIFY_TOKEN = "canary-verify-token-55d0e1"
API_KEY = "canary-api-key-90ce7d21"
PASSWORD = "canary-password-7711ab"
SINK = "canary-path-of-the-sink-3f09"
DEAD = "http://127.0.0.1:9"


@dataclass
class Ground:
    """The environment with the secrets, and the output so far."""

    environment: dict[str, str]
    folder: Path
    output: list[str] = field(default_factory=list)

    def run(self, *arguments: str, given: str = "", **settings: str) -> None:
        """Run a command; it may fail."""
        self._record([*COMMAND, *arguments], given, settings)

    def run_job(self, name: str, **settings: str) -> None:
        """A Dagster job, as a run that the instance keeps."""
        program = (
            "import sys; from messenger_pipeline.commands.console import dagster_environment\n"
            "from messenger_pipeline.definitions import defs\n"
            "from messenger_pipeline.defs.launch import open_instance\n"
            "with dagster_environment(), open_instance() as instance:\n"
            f"    defs.resolve_job_def('{name}').execute_in_process("
            "instance=instance, raise_on_error=False)\n"
        )
        self._record([sys.executable, "-c", program], "", settings)

    def _record(self, command: list[str], given: str, settings: dict[str, str]) -> None:
        done = subprocess.run(
            command, input=given, env=self.environment | settings, cwd=self.folder,
            capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip
        self.output.append(done.stdout + done.stderr)


@pytest.fixture
def sink() -> Iterator[str]:
    """An address for alerts that refuses each, and repeats its path."""

    class Sink(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(500)
            self.end_headers()
            self.wfile.write(self.path.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/{SINK}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def ground(server: str, url: str, simulated: Simulated, sink: str, tmp_path: Path) -> Ground:
    name = url.partition("?")[0].rpartition("/")[2]
    return Ground(
        {
            **os.environ,
            "MESSENGER_DATABASE_URL": _with_password(url),
            "DAGSTER_PG_URL": _with_password(database_url(server, f"{name}_dagster")),
            "MESSENGER_HOME": str(tmp_path / "home"),
            "MESSENGER_GRAPH_URL": simulated.url,
            "MESSENGER_CALLS_PER_SECOND": "1000",
            "MESSENGER_APP_ID": "4711",
            "MESSENGER_APP_SECRET": APP_SECRET,
            "MESSENGER_VERIFY_TOKEN": VERIFY_TOKEN,
            "MESSENGER_API_KEY": API_KEY,
            "MESSENGER_ALERT_URL": sink,
            "MESSENGER_TOKEN_KEY": new_key(),
        },
        tmp_path,
    )


@pytest.fixture
def simulated(simulate: Callable[..., Simulated]) -> Simulated:
    return simulate(conversations=120, pages=2, app_secret=APP_SECRET)


def _with_password(url: str) -> str:
    scheme, _, rest = url.partition("://")
    credentials, at, place = rest.partition("@")
    user = credentials.partition(":")[0] if at else "postgres"
    return f"{scheme}://{user}:{PASSWORD}@{place if at else rest}"


@contextmanager
def served(ground: Ground) -> Iterator[str]:
    """The receiver; its log is part of the output when it has ended."""
    port = free_port()
    log = ground.folder / "receiver.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [*COMMAND, "serve", "--port", port],
            env=ground.environment, cwd=ground.folder, stdout=output, stderr=output,
        )  # fmt: skip
        address = f"http://127.0.0.1:{port}"
        try:
            deadline = time.monotonic() + 60
            while True:
                try:
                    requests.get(f"{address}/readyz", timeout=5)
                    break
                except (requests.ConnectionError, requests.Timeout):
                    assert time.monotonic() < deadline, log.read_text()
            yield address
        finally:
            process.terminate()
            process.wait(30)
    ground.output.append(log.read_text())


def use_the_receiver(ground: Ground, address: str, page: str, other: str) -> None:
    """Every route, with right and wrong requests."""
    key = {"X-API-Key": API_KEY}
    signed = body(text(1, "m1", f"hi {page}", page=page), page=page)

    def ask(method: str, path: str, **options: object) -> requests.Response:
        answer = requests.request(method, address + path, timeout=30, **options)  # type: ignore[arg-type]
        ground.output.append(f"{answer.headers}\n{answer.text}")
        return answer

    for name, given in (
        ("X-Hub-Signature-256", _signature(signed)),
        ("X-Hub-Signature-256", API_KEY),
    ):
        ask("POST", "/api/webhook", data=signed, headers={name: given})
    ask("GET", "/api/webhook", params={"hub.mode": "subscribe", "hub.verify_token": VERIFY_TOKEN,
                                       "hub.challenge": "1"})  # fmt: skip
    ask("GET", "/api/webhook", params={"hub.mode": "x", "hub.verify_token": VERIFY_TOKEN})
    ask("POST", "/login", json={"key": API_KEY})
    ask("POST", "/login", json={"key": API_KEY + "wrong"})
    ask("POST", "/login", json={"key": [API_KEY]})
    for headers in ({}, key, {"X-API-Key": API_KEY + "x"}, {"Authorization": f"Bearer {API_KEY}"}):
        ask("POST", "/api/conversations/sync", json={"pageId": page}, headers=headers)
    ask("POST", "/api/conversations/sync", data=APP_SECRET, headers=key)
    ask("POST", "/api/conversations/sync", json={"pageId": API_KEY, "mode": "no"}, headers=key)
    session = ask("POST", "/api/conversations/sync", json={"pageId": other}, headers=key).json()
    for path in ("", "/events"):
        with requests.get(
            f"{address}/api/conversations/sync/{session.get('sync_session_id')}{path}",
            headers=key, stream=True, timeout=30,
        ) as answer:  # fmt: skip
            ground.output.append(next(answer.iter_lines(decode_unicode=True), ""))
    for path in ("/", "/metrics", "/docs", "/openapi.json", "/healthz", "/readyz",
                 "/api/overview", "/api/pages", f"/nothing/{API_KEY}"):  # fmt: skip
        ask("GET", path, headers=key)


def _signature(signed: bytes) -> str:
    return "sha256=" + hmac.new(APP_SECRET.encode(), signed, hashlib.sha256).hexdigest()


def rows_of(url: str) -> str:
    """Every row of every table, as text."""
    found = []
    with psycopg.connect(url) as connection:
        tables = connection.execute(
            "select format('%I.%I', schemaname, tablename) from pg_tables"
            " where schemaname not in ('pg_catalog', 'information_schema')"
        ).fetchall()
        for (table,) in tables:
            rows = connection.execute(f"select t::text from {table} t").fetchall()
            found += [f"{table}: {row}" for (row,) in rows]
            if table.endswith("webhook_inbox"):
                rows = connection.execute(f"select encode(body, 'escape') from {table}").fetchall()
                found += [row for (row,) in rows]
    assert len(found) > 200
    return "\n".join(found)


@pytest.mark.large
def test_no_output_row_or_file_contains_a_secret(
    ground: Ground, simulated: Simulated, url: str, server: str
) -> None:
    page, other = simulated.pages
    for one in simulated.pages:
        ground.run("pages", "add", one.id, given=one.token)
    ground.run("pages", "add", page.id, given=page.token, MESSENGER_GRAPH_URL=DEAD)
    ground.run("pages", "add", page.id, given=page.token, MESSENGER_APP_SECRET="canary-wrong")
    ground.run("pages", "add", page.token, given=page.id)
    ground.run("sync", page.token)
    ground.run("pages", "remove", page.token)
    # Records that cannot be used are stored raw, with the addresses that Meta put into them.
    simulated.fault("participants_page_only", times=2)
    simulated.fault("message_without_time", times=3)
    simulated.fault("code_2", times=2)
    ground.run("sync", page.id)
    ground.run("sync", page.id, "--full", "--json", MESSENGER_GRAPH_URL=DEAD)
    ground.run("sync", page.id, MESSENGER_TOKEN_KEY=new_key())
    ground.run("sync", page.id, MESSENGER_APP_SECRET="canary-wrong")
    ground.run("sync", page.id, MESSENGER_DATABASE_URL=f"postgresql://u:{PASSWORD}@127.0.0.1:9/x")
    ground.run("status", MESSENGER_DATABASE_URL=f"postgresql://u:{PASSWORD}@@127.0.0.1:9/x")
    ground.run("status", MESSENGER_ALERT_URL=f"no address {SINK}")
    ground.run("sync", page.id, MESSENGER_TOKEN_KEY="canary-no-key")
    for name in ("html", "truncated_json", "connection_dropped"):
        simulated.fault(name, times=1)
    ground.run("sync", page.id, "--full")
    ground.run_job("check_pages")
    simulated.clear_faults()
    for one in simulated.pages:
        one.access = "expired"
    ground.run("sync", page.id)
    ground.run_job("check_tables")
    with psycopg.connect(url) as connection:  # each page's daily check is due again
        connection.execute(
            "update messenger_pipeline.page_checks set checked_at = checked_at - interval '2 days'"
        )
    ground.run_job("check_pages", MESSENGER_GRAPH_URL=DEAD)
    with served(ground) as address:
        use_the_receiver(ground, address, page.id, other.id)
    ground.run("serve", "--port", "0", MESSENGER_VERIFY_TOKEN="")
    for command in (("status", "--json"), ("alerts", "--json"), ("quarantine", "list")):
        ground.run(*command)

    places = {
        "the output": "\n".join(ground.output),
        "the data": rows_of(url),
        "Dagster's rows": rows_of(
            database_url(server, url.partition("?")[0].rpartition("/")[2] + "_dagster")
        ),
        "files": "\n".join(
            path.read_text(errors="replace") for path in ground.folder.rglob("*") if path.is_file()
        ),
    }
    secrets = {
        "page token": page.token, "other page's token": other.token, "app secret": APP_SECRET,
        "wrong app secret": "canary-wrong", "verify token": VERIFY_TOKEN, "API key": API_KEY,
        "password": PASSWORD, "sink": SINK, "bad key": "canary-no-key",
        "token key": ground.environment["MESSENGER_TOKEN_KEY"],
    }  # fmt: skip
    found = [
        f"the {name} in {place}: …{content[max(0, content.index(secret) - 300) :][:400]}…"
        for name, secret in secrets.items()
        for place, content in places.items()
        if secret in content
    ]
    assert not found, "\n\n".join(found)
    # The output really has the texts in which a secret could stand.
    for word in ("is registered; its token works", "Session has expired", '"level"', "quarantine"):
        assert word in places["the output"], word
