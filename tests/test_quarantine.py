"""Records that cannot be used: kept, listed, and tried again."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.quarantine import list_quarantined
from messenger_pipeline.errors import MostlyRefused
from messenger_pipeline.quarantine import replay
from tests.conftest import Simulated
from tests.walking import Connect, Simulate, rows, stored, truth, walk


@pytest.fixture
def small(simulate: Simulate) -> Simulated:
    return simulate(conversations=110)


def execute(database: Database, statement: str) -> None:
    with database.transaction() as connection:
        connection.execute(statement.encode())


def refuse(database: Database, condition: str) -> None:
    """From now on PostgreSQL refuses the events for which a condition does not hold."""
    execute(
        database,
        f"alter table contact_interaction_events add constraint picky check ({condition})",
    )


def accept(database: Database) -> None:
    execute(database, "alter table contact_interaction_events drop constraint picky")


def poison(simulated: Simulated, *numbers: int) -> set[str]:
    """The newest message of each thread gets a text that will be refused; their ids."""
    found = [simulated.world.messages(simulated.page, number, None, 1)[0] for number in numbers]
    for message in found:
        message["message"] = "poison"
    return {message["id"] for message in found}


def test_rows_that_postgresql_refuses_are_found_and_kept_and_the_rest_loads(
    small: Simulated, connect: Connect, database: Database
) -> None:
    bad = poison(small, 3, 4, 77)
    refuse(database, "metadata ->> 'text' <> 'poison'")
    result = walk(connect(small), small.page.id)
    assert (result.outcome, result.quarantined) == ("completed", 3)
    assert {entry[2] for entry in truth(small) - stored(database)} == bad
    kept = list(list_quarantined(database))
    assert {record.identity for record in kept} == bad
    assert {record.kind for record in kept} == {"event"}
    assert all(record.reason.startswith("23514: ") for record in kept)
    [(quarantined, failed)] = rows(database, "select quarantined, failed_batches from sync_state")
    assert quarantined == 3
    assert failed == result.failed_batches > 0


def test_a_conversation_all_of_whose_events_are_refused_is_not_there(
    small: Simulated, connect: Connect, database: Database
) -> None:
    small.world.inject(small.page, None, "poison", _now())
    refuse(database, "metadata ->> 'text' <> 'poison'")
    walk(connect(small), small.page.id)
    [(conversations,)] = rows(database, "select count(*) from messenger_conversations")
    assert conversations == 110
    assert (
        rows(
            database,
            "select 1 from messenger_conversations c where not exists"
            " (select from contact_interaction_events e where e.conversation_id = c.id)",
        )
        == []
    )


def test_a_response_that_is_mostly_refused_moves_no_cursor(
    small: Simulated, connect: Connect, database: Database
) -> None:
    refuse(database, "event_type <> 'message_received'")
    with pytest.raises(MostlyRefused, match="of the answer's rows are refused"):
        walk(connect(small), small.page.id)
    assert rows(database, "select step, last_cursor from sync_state") == [(0, None)]
    assert stored(database) == {}
    assert list(list_quarantined(database)) == []


def test_an_error_of_the_server_is_no_poison(
    small: Simulated, connect: Connect, database: Database
) -> None:
    """Only what is wrong with data itself is looked for; else the whole response fails."""
    execute(
        database,
        "create function fail() returns trigger language plpgsql as"
        " $$begin raise exception 'no' using errcode = '55000'; end$$;"
        "create trigger fail before insert on contact_interaction_events"
        " for each row execute function fail()",
    )
    with pytest.raises(Exception, match="no"):
        walk(connect(small), small.page.id)
    assert list(list_quarantined(database)) == []


def test_what_was_refused_loads_when_it_is_replayed_after_a_fix(
    small: Simulated, connect: Connect, database: Database
) -> None:
    poison(small, 3, 4)
    refuse(database, "metadata ->> 'text' <> 'poison'")
    walk(connect(small), small.page.id)
    records = list(list_quarantined(database))
    assert [replay(database, record) for record in records] != [None, None]
    assert len(list(list_quarantined(database))) == 2, "still refused, still kept"

    accept(database)
    assert [replay(database, record) for record in records] == [None, None]
    assert list(list_quarantined(database)) == []
    assert stored(database) == truth(small)
    assert [replay(database, record) for record in records] == [None, None], "once is enough"
    assert stored(database) == truth(small)


@pytest.mark.parametrize("name", ["message_bad_time", "thread_without_time"])
def test_what_could_not_be_read_loads_when_it_is_replayed_after_a_fix(
    small: Simulated, connect: Connect, database: Database, name: str
) -> None:
    small.fault(name)
    walk(connect(small), small.page.id)
    small.clear_faults()
    [record] = list_quarantined(database)
    reason = replay(database, record)
    assert reason is not None
    assert "time" in reason
    # What a version that knows such times would make of it.
    field = "created_time" if record.kind == "message" else "updated_time"
    fixed = {**record.record, field: "2026-02-01T00:00:00+0000"}
    rows(database, f"update quarantined_records set record = '{_sql(fixed)}' returning 1")
    [record] = list_quarantined(database)
    assert replay(database, record) is None
    assert {entry[2] for entry in truth(small)} == {entry[2] for entry in stored(database)}
    assert list(list_quarantined(database)) == []


def test_a_message_of_a_thread_that_is_not_known_waits_for_it(
    small: Simulated, connect: Connect, database: Database
) -> None:
    small.fault("message_bad_time")
    engine = connect(small)
    walk(engine, small.page.id)
    rows(
        database,
        "update quarantined_records set thread_id = 't_other', record = jsonb_set(record,"
        " '{created_time}', '\"2026-02-01T00:00:00+0000\"') returning 1",
    )
    [record] = list_quarantined(database)
    assert "thread t_other is not known: sync the page first" in (replay(database, record) or "")
    assert len(list(list_quarantined(database))) == 1


def test_a_record_that_comes_again_is_counted_not_doubled(
    small: Simulated, connect: Connect, database: Database
) -> None:
    small.fault("message_bad_time")
    engine = connect(small)
    for _ in range(3):
        small.world.inject(small.page, 0, "new", _now())
        walk(engine, small.page.id)
    [record] = list_quarantined(database)
    assert record.seen_count == 3


def test_the_commands_list_and_replay(
    small: Simulated, connect: Connect, database: Database, url: str, tmp_path: Path
) -> None:
    poison(small, 3, 4)
    refuse(database, "metadata ->> 'text' <> 'poison'")
    walk(connect(small), small.page.id)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "messenger_pipeline.cli", "quarantine", *arguments],
            env={"PATH": "/usr/bin:/bin", "MESSENGER_DATABASE_URL": url},
            cwd=tmp_path, capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    listed = run("list")
    assert listed.returncode == 0, listed.stderr
    assert "23514" in listed.stdout
    ids = [str(json.loads(line)["id"]) for line in run("list", "--json").stdout.splitlines()]
    assert len(ids) == 2
    assert run("replay").returncode == 2
    refused = run("replay", "--all")
    assert (refused.returncode, refused.stdout) == (1, "0 records resolved, 2 left.\n")
    assert f"record {ids[0]} still cannot be used: " in refused.stderr
    accept(database)
    one = run("replay", ids[0])
    assert (one.returncode, one.stdout) == (0, "1 record resolved, 0 left.\n")
    assert run("replay", "--page", small.page.id).stdout == "1 record resolved, 0 left.\n"
    assert run("list").stdout == "Nothing is quarantined.\n"
    assert stored(database) == truth(small)


def _now() -> datetime:
    return datetime.now(UTC)


def _sql(value: object) -> str:
    return json.dumps(value).replace("'", "''")
