"""alerts: the command, as its users run it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable

from messenger_pipeline.alerting.watch import watch
from messenger_pipeline.db.pool import Database
from tests.alerting.looking import let_pages_come_back, let_pages_go


def run(url: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "messenger_pipeline.cli", "alerts", *arguments],
        env={**os.environ, "MESSENGER_DATABASE_URL": url},
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return done.stdout


def test_open_alerts_are_shown_and_all_of_them_with_all(
    url: str, database: Database, add_pages: Callable[..., list[str]]
) -> None:
    assert run(url) == "Nothing is wrong.\n"
    add_pages(name="Flowers")
    let_pages_go(database)
    watch(database, None)
    shown = run(url)
    assert "page_needs_reauthorization" in shown
    assert "Page 100 (Flowers)" in " ".join(shown.split())
    assert "closed_at" not in shown
    let_pages_come_back(database)
    assert run(url) == "Nothing is wrong.\n"
    assert "page_needs_reauthorization" in run(url, "--all")
    [line] = run(url, "--all", "--json").splitlines()
    told = json.loads(line)
    assert (told["kind"], told["page_id"], told["page_name"]) == (
        "page_needs_reauthorization", "100", "Flowers",
    )  # fmt: skip
    assert told["closed_at"]
