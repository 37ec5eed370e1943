"""The steps, by the commands that docs/migration.md has a team type."""

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg
import uvicorn

from graph_simulator import World, create_app
from messenger_pipeline.vault import new_key
from tools.replaced_application import (
    OfWorld,
    Shape,
    build,
    compare_rows,
    describe_schema,
    find_unexplained,
    keep_checksums,
)

PARTIAL = 3
ADOPTED = "checksums_adopted"
Run = Callable[[list[str], dict[str, str]], tuple[int, str]]
"""Runs a command in an environment. Returns its exit code and what it said."""
_COUNTS = (
    "select (select count(*) from messenger_conversations),"
    " (select count(*) from contact_interaction_events),"
    " (select count(distinct (page_id::text, sender_id)) from messenger_conversations)"
)
_STORED = (
    "select e.page_id, c.sender_id, e.message_id, e.event_timestamp, e.event_type,"
    " e.metadata ->> 'text' from contact_interaction_events e"
    " join messenger_conversations c on c.id = e.conversation_id where e.message_id is not null"
)


def run_process(arguments: list[str], environment: dict[str, str]) -> tuple[int, str]:
    """Run a command as a person does, without the settings of this process."""
    others = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MESSENGER_", "DAGSTER_"))
    }
    done = subprocess.run(
        [sys.executable, "-m", "messenger_pipeline.cli", *arguments],
        env=others | environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


class RehearsalFailed(Exception):
    """A step did not end as the guide promises."""


@dataclass
class Rehearsal:
    """One rehearsal in two databases of a server, both empty.

    data, dagster: their URLs. home: a folder for Dagster. say: shows a line.
    """

    data: str
    dagster: str
    home: str
    world: World
    shape: Shape = field(default_factory=Shape)
    say: Callable[[str], None] = print
    run_command: Run = run_process
    report: list[tuple[str, str]] = field(default_factory=list)
    _graph_url: str = ""
    _key: str = field(default_factory=new_key)

    def run(self) -> list[tuple[str, str]]:
        """Run every step. Returns the report: what was done, and how it went. Raises
        RehearsalFailed."""
        build(self.data, self.shape, OfWorld(self.world))
        keep_checksums(self.data)
        schema = describe_schema(self.data)
        self._note("the replaced application's database", self._counted())
        with self._simulated():
            self._command("db", "upgrade", "--plan")
            self._require(describe_schema(self.data) == schema, "the plan changed something")
            self._timed("adopted", "db", "upgrade")
            keep_checksums(self.data, kept=ADOPTED)
            for page in self.world.pages.values():
                if not page.is_instagram:
                    self._sync(page.id)
            self._command("db", "verify")
        self._compare_messages()
        since = compare_rows(self.data, kept=ADOPTED)
        self._timed("rolled back", "db", "downgrade", "--yes")
        self._require_schema(schema)
        self._compare_rows({table: one.changed + one.gone for table, one in since.items()})
        return self.report

    # -- Steps --------------------------------------------------------------------------------

    def _timed(self, what: str, *arguments: str) -> None:
        began = time.monotonic()
        self._command(*arguments)
        self._note(what, f"{self._counted()}, in {time.monotonic() - began:.0f} s")

    def _sync(self, page_id: str) -> None:
        code = PARTIAL
        while code == PARTIAL:
            code = self._command("sync", page_id, allowed=(0, PARTIAL))

    def _compare_messages(self) -> None:
        """Every message of the simulated pages is stored, once, as Meta has it."""
        stored = Counter(self._rows(_STORED))
        expected = Counter(
            (
                row["page_id"], row["sender_id"], row["message_id"],
                datetime.strptime(row["created_time"], "%Y-%m-%dT%H:%M:%S%z"),
                row["event_type"], row["text"],
            )
            for page in self.world.pages.values()
            if not page.is_instagram
            for row in self.world.truth(page)
        )  # fmt: skip
        missing, more = expected - stored, stored - expected
        self._require(
            not missing and not more,
            f"{missing.total()} messages are missing, {more.total()} are stored that Meta has not",
        )
        self._note("synced and verified", f"{stored.total():,} messages, each once, as Meta has it")

    def _require_schema(self, before: list[str]) -> None:
        after = describe_schema(self.data)
        different = sorted(set(before) ^ set(after))
        self._require(not different, "the schema is another one:\n" + "\n".join(different[:10]))
        self._note("schema after the rollback", f"the same {len(before)} definitions")

    def _compare_rows(self, since: dict[str, list[str]]) -> None:
        """A row is as it was unless the adoption merged it or a sync changed it."""
        for table, rows in find_unexplained(self.data, since).items():
            self._require(
                not rows, f"{table}: {len(rows)} rows are others without a reason: {rows[:3]}"
            )
        for table, compared in compare_rows(self.data).items():
            self._note(
                f"{table} after the rollback",
                f"{compared.same:,} rows as before, {len(compared.changed):,} changed,"
                f" {len(compared.gone):,} merged, {len(compared.new):,} new",
            )

    # -- Means --------------------------------------------------------------------------------

    def _note(self, what: str, how: str) -> None:
        self.report.append((what, how))

    def _require(self, holds: bool, otherwise: str) -> None:
        if not holds:
            raise RehearsalFailed(otherwise)

    def _counted(self) -> str:
        [(conversations, events, contacts)] = self._rows(_COUNTS)
        return f"{conversations:,} conversations of {contacts:,} contacts, {events:,} events"

    def _rows(self, query: str) -> list[Any]:
        with psycopg.connect(self.data) as connection:
            return connection.execute(query).fetchall()

    def _command(self, *arguments: str, allowed: tuple[int, ...] = (0,)) -> int:
        """Run a command of messenger-pipeline, and show it with what it prints."""
        self.say(f"$ messenger-pipeline {' '.join(arguments)}")
        code, said = self.run_command([*arguments], self._environment())
        self.say(said.rstrip() + "\n")
        self._require(code in allowed, f"`{' '.join(arguments)}` ended with {code}: {said[-2000:]}")
        return code

    def _environment(self) -> dict[str, str]:
        return {
            "MESSENGER_HOME": self.home,
            "MESSENGER_DATABASE_URL": self.data,
            "DAGSTER_PG_URL": self.dagster,
            "MESSENGER_GRAPH_URL": self._graph_url,
            "MESSENGER_TOKEN_KEY": self._key,
            "MESSENGER_CALLS_PER_SECOND": "1000",
        }

    @contextmanager
    def _simulated(self) -> Iterator[None]:
        """Serve the world as Meta's Graph API would."""
        server = uvicorn.Server(
            uvicorn.Config(create_app(self.world), port=0, log_level="error", lifespan="off")
        )
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
            port = server.servers[0].sockets[0].getsockname()[1]
            self._graph_url = f"http://127.0.0.1:{port}"
            yield
        finally:
            server.should_exit = True
            thread.join()
