"""The command `alerts`, in a process."""

import json
import os
from collections.abc import Callable
from pathlib import Path

from messenger_pipeline.alerting.watch import watch
from messenger_pipeline.db.pool import Database
from tests.alerting.evaluation import expire_tokens, renew_tokens
from tests.command_server import run_command


def run(url: str, *arguments: str) -> str:
    environment = {**os.environ, "MESSENGER_DATABASE_URL": url}
    done = run_command("alerts", *arguments, environment=environment, folder=Path())
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_open_alerts_are_listed_and_closed_ones_too_with_all(
    url: str, database: Database, add_pages: Callable[..., list[str]]
) -> None:
    assert run(url) == "No alert is open.\n"
    add_pages(name="Flowers")
    expire_tokens(database)
    watch(database, None)
    shown = run(url)
    assert "page_needs_reauthorization" in shown
    assert "Page 100 (Flowers)" in " ".join(shown.split())
    assert "closed_at" not in shown
    renew_tokens(database)
    assert run(url) == "No alert is open.\n"
    assert "page_needs_reauthorization" in run(url, "--all")
    [line] = run(url, "--all", "--json").splitlines()
    listed = json.loads(line)
    assert (listed["kind"], listed["page_id"], listed["page_name"]) == (
        "page_needs_reauthorization", "100", "Flowers",
    )  # fmt: skip
    assert listed["closed_at"]
