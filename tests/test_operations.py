"""docs/operations.md: its queries run, its commands exist, and its claims are true."""

import re
import shlex
import threading
from pathlib import Path

import click
import pytest

from messenger_pipeline.commands.group import cli
from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.progress import list_progress
from messenger_pipeline.engine import Engine
from messenger_pipeline.errors import LeaseLost
from messenger_pipeline.progress import describe, succeeded
from tests.conftest import Simulated
from tests.walking import Connect, Simulate, rows, stored, truth, walk

TEXT = (Path(__file__).parents[1] / "docs" / "operations.md").read_text()
QUERIES = re.findall(r"```sql\n(.*?)```", TEXT, re.DOTALL)
COMMANDS = sorted({*re.findall(r"`(messenger-pipeline [^`]+)`", TEXT),
                   *re.findall(r"^ *(messenger-pipeline .+)$", TEXT, re.MULTILINE)})  # fmt: skip


@pytest.fixture
def small(simulate: Simulate) -> Simulated:
    return simulate(conversations=230)


@pytest.fixture
def engine(small: Simulated, connect: Connect) -> Engine:
    return connect(small)


def test_every_query_runs_and_shows_what_a_database_in_trouble_holds(
    engine: Engine, small: Simulated, database: Database
) -> None:
    small.fault("unknown_fields")
    walk(engine, small.page.id)
    walk(engine, small.page.id, mode="full", max_conversations=100)
    database.call("acquire_sync_lock", page_id=small.page.id, locked_by="somebody")
    assert len(QUERIES) > 8
    found = {}
    for query in QUERIES:
        for statement in filter(None, map(str.strip, query.split(";"))):
            with database.transaction() as connection:
                cursor = connection.execute(statement.replace("%", "%%"), None)
                found[statement] = cursor.fetchall() if cursor.description else []
    results = {one: answer for one, answer in found.items() if one.startswith("select")}
    # The lease, the open session, the page and the unknown fields are shown.
    for table in ("sync_locks", "active_syncs", "sync_statistics", "jsonb_each_text"):
        assert any(answer for one, answer in results.items() if table in one), table


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_exists_with_its_options(line: str) -> None:
    words = shlex.split(line)[1:]
    command: click.Command = cli
    while isinstance(command, click.Group) and words:
        found = command.get_command(click.Context(command), words.pop(0))
        assert found, line
        command = found
    options = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options


def test_a_run_whose_lease_is_deleted_cannot_write_and_another_run_resumes(
    engine: Engine, small: Simulated, database: Database
) -> None:
    small.fault("stall", after=1, seconds=2)
    ended: list[BaseException] = []

    def sync() -> None:
        try:
            walk(engine, small.page.id, run_id="the run that loses its lease")
        except LeaseLost as lost:
            ended.append(lost)

    thread = threading.Thread(target=sync)
    thread.start()
    while not rows(database, "select from sync_state where step > 0"):
        pass
    with database.transaction() as connection:
        connection.execute("delete from sync_locks")
    thread.join()
    assert "No run holds it" in str(ended[0])
    assert walk(engine, small.page.id).outcome == "completed"
    assert stored(database) == truth(small)


def test_a_long_rate_limit_is_shown_with_its_end(
    engine: Engine, small: Simulated, database: Database
) -> None:
    small.fault("app_limit", after=1, seconds=300)
    assert walk(engine, small.page.id).has_more
    assert rows(
        database,
        "select state, not_before > now() + interval '1 minute', last_error is null,"
        " waiting_for is not null from active_syncs",
    ) == [("backing_off", True, True, True)]
    [progress] = list_progress(database).values()
    assert succeeded(progress) is None
    assert "limit" in describe(progress, progress.updated_at)
    [(scope,)] = rows(database, "select scope from graph_api_budget where blocked_until > now()")
    assert scope.startswith("app:")
