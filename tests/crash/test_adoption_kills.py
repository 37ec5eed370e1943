"""SIGKILL during an adoption, which goes on when it is run again and ends the same."""

import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from messenger_pipeline.db import migrate
from messenger_pipeline.db.pool import Database
from messenger_pipeline.project import PROJECT
from tests.crash.databases import cloned
from tests.db.test_migrate import described
from tools.replaced_application import Generated, OldWriter, Shape, build

_TABLES = {
    "facebook_pages": "to_jsonb(t) - 'next_sync_at'",
    "messenger_conversations": "to_jsonb(t)",
    "contact_interaction_events": "to_jsonb(t)",
    "tags": "to_jsonb(t)",
    "notes": "to_jsonb(t)",
    "messenger_pipeline.merged_rows": "(to_jsonb(t) #- '{row_before,next_sync_at}') - 'merged_at'",
    "messenger_pipeline.adopted_values": "to_jsonb(t)",
    "messenger_pipeline.adopted_pages": "to_jsonb(t) - 'adopted_at'",
    "messenger_pipeline.adopted_conversations": "to_jsonb(t)",
    "messenger_pipeline.adoption_changes": "to_jsonb(t) - array['id', 'changed_at']",
    "messenger_pipeline.page_tokens": "to_jsonb(t) - 'updated_at'",
}


def state(url: str) -> Any:
    """What an adoption leaves: a digest of each table's rows, and the schema."""
    with psycopg.connect(url) as connection:
        digests = {
            table: connection.execute(
                f"select count(*), md5(string_agg(r, ',' order by r))"
                f" from (select md5(({row})::text) as r from {table} t) rows"
            ).fetchone()
            for table, row in _TABLES.items()
        }
    return digests, described(url)


def run(url: str, statement: int) -> int | None:
    """Run an adoption that is killed at a statement. Returns how many it sent, unless it was
    killed."""
    command = [sys.executable, "-m", "tests.crash.adoption_run", url, str(statement)]
    ended = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert ended.returncode in (0, -9), ended.stderr
    return int(ended.stdout) if ended.returncode == 0 else None


def kill_and_compare(server: str, url: str, kills: int, seed: int) -> None:
    """Adopt a copy of the database without a kill, and the database itself with kills."""
    with cloned(server, str(conninfo_to_dict(url)["dbname"])) as whole:
        statements = run(whole, 0)
        assert statements is not None
        expected = state(whole)
    chance = random.Random(seed)
    for _ in range(kills):
        # What is done is not sent again, except the two transactions of the end.
        assert run(url, chance.randint(1, statements // 2)) is None
    run(url, 0)
    assert state(url) == expected
    with Database(url) as database:
        assert set(migrate.verify(database).values()) == {None}


@pytest.mark.parametrize(
    "shape",
    [Shape(age="before", ids="bigint", constraint="none", page_id="reference", shared_pages=True,
           contested_tags=True)],
)  # fmt: skip
def test_an_adoption_that_is_killed_goes_on_and_ends_the_same(
    server: str, empty_url: str, shape: Shape
) -> None:
    build(empty_url, shape, Generated(100, 1_000))
    kill_and_compare(server, empty_url, kills=3, seed=1)


@pytest.mark.large
@pytest.mark.parametrize("seed", range(4))
def test_an_adoption_that_is_killed_twenty_times_ends_the_same(
    server: str, empty_url: str, seed: int
) -> None:
    ids, page_id = (("uuid", "account"), ("integer", "reference"), ("text", "number"),
                    ("bigint", "account"))[seed]  # fmt: skip
    shape = Shape(
        age=("before", "after")[seed % 2],
        ids=ids,  # type: ignore[arg-type]
        page_id=page_id,  # type: ignore[arg-type]
        shared_pages=True,
        contested_tags=True,
    )
    build(empty_url, shape, Generated(2_000, 20_000, 10))
    kill_and_compare(server, empty_url, kills=20, seed=seed)


class Probe(threading.Thread):
    """Does something again and again, and keeps its longest time."""

    def __init__(self, work: Callable[[int], None]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._stop_asked = threading.Event()
        self.longest, self.times, self.errors = 0.0, 0, set[str]()

    def run(self) -> None:
        while not self._stop_asked.is_set():
            began = time.monotonic()
            try:
                self._work(self.times)
            except psycopg.Error as error:
                self.errors.add(type(error).__name__)
            self.longest = max(self.longest, time.monotonic() - began)
            self.times += 1
            self._stop_asked.wait(0.01)

    def stop(self) -> None:
        self._stop_asked.set()
        self.join()


def adopt_with_kills(url: str, kills: int, output: Path) -> int:
    """Adopt in a process that is killed again and again. Returns how often it was."""
    command = [sys.executable, "-m", "tests.crash.adoption_run", url, "0"]
    chance, killed = random.Random(7), 0
    while True:
        with output.open("w") as file:
            process = subprocess.Popen(command, cwd=PROJECT, stdout=file, stderr=file)
            try:
                process.wait(chance.uniform(3, 25) if killed < kills else None)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                killed += 1
                continue
        assert process.returncode == 0, output.read_text()
        return killed


@pytest.mark.large
def test_a_million_events_are_adopted_beside_the_replaced_application(
    empty_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With 20 kills. Shows how long readers and the old writer waited at most."""
    shape = Shape(age="after", ids="bigint")
    build(empty_url, shape, Generated(100_000, 1_000_000, 50))
    with (
        psycopg.connect(empty_url, autocommit=True) as connection,
        OldWriter(empty_url, shape) as writer,
    ):

        def read(number: int) -> None:
            connection.execute("select count(*) from facebook_pages")
            connection.execute(
                "select m.last_message, count(e.id) from messenger_conversations m left join"
                " contact_interaction_events e on e.conversation_id = m.id where m.id = %s"
                " group by 1",
                [number % 100_000 + 1],
            )

        def write(number: int) -> None:
            at = datetime.now(UTC)
            contact = str(6_000_000_000_000_000 + number % 3_000)
            found = writer.receive(str(100_000_000_000_001 + number % 50), contact, "live", at)
            writer.add_event(found, f"m_live_{number}", "live", at)

        probes = {"reader": Probe(read), "writer": Probe(write)}
        for probe in probes.values():
            probe.start()
        began = time.monotonic()
        killed = adopt_with_kills(empty_url, 20, tmp_path / "output")
        took = time.monotonic() - began
        for probe in probes.values():
            probe.stop()
    with capsys.disabled():
        sys.stdout.write(f"\nadopted in {took:.0f} s with {killed} kills\n")
        for name, probe in probes.items():
            sys.stdout.write(f"{name}: {probe.times} times, longest {probe.longest:.3f} s\n")
    assert killed == 20
    # What it writes twice is refused.
    assert probes["reader"].errors == set()
    assert probes["writer"].errors <= {"UniqueViolation"}
    with Database(empty_url) as database:
        assert set(migrate.verify(database).values()) == {None}
