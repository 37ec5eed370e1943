"""Quarantined records: stored, listed and replayed."""

import json
import os
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from messenger_pipeline import quarantine
from messenger_pipeline.db import inbox
from messenger_pipeline.db.load import encode
from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.quarantine import (
    discard_quarantined,
    list_quarantined,
    resolve_quarantined,
)
from messenger_pipeline.errors import MostlyRefused
from messenger_pipeline.quarantine import replay, retry_due
from messenger_pipeline.rows import ConversationRow, EventRow
from messenger_pipeline.webhook.deliveries import parse_delivery
from messenger_pipeline.webhook.drain import drain_batch
from messenger_pipeline.webhook.outcome import Outcome
from tests.command_server import run_command
from tests.conftest import Simulated
from tests.walking import Connect, Simulate, rows, stored, truth, walk
from tests.webhook.bodies import CONTACT, NOON, PAGE, body, item, text


@pytest.fixture
def small(simulate: Simulate) -> Simulated:
    return simulate(conversations=110)


def execute(database: Database, statement: str) -> None:
    with database.transaction() as connection:
        connection.execute(statement.encode())


def refuse(database: Database, condition: str) -> None:
    """Make PostgreSQL refuse the events that do not meet a condition."""
    execute(
        database,
        f"alter table contact_interaction_events add constraint picky check ({condition})",
    )


def accept(database: Database) -> None:
    execute(database, "alter table contact_interaction_events drop constraint picky")


def poison(simulated: Simulated, *numbers: int) -> set[str]:
    """Give the newest message of each thread a text that is refused. Returns the message ids."""
    found = [simulated.world.messages(simulated.page, number, None, 1)[0] for number in numbers]
    for message in found:
        message["message"] = "poison"
    return {message["id"] for message in found}


def test_rows_that_postgresql_refuses_are_quarantined_and_the_rest_loads(
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


def test_a_conversation_is_not_stored_if_all_its_events_are_refused(
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


def test_a_response_that_is_mostly_refused_does_not_move_the_cursor(
    small: Simulated, connect: Connect, database: Database
) -> None:
    refuse(database, "event_type <> 'message_received'")
    with pytest.raises(MostlyRefused, match=r"PostgreSQL rejected .* rows of the response"):
        walk(connect(small), small.page.id)
    assert rows(database, "select step, last_cursor from sync_state") == [(0, None)]
    assert stored(database) == {}
    assert list(list_quarantined(database)) == []


def test_an_error_of_the_server_quarantines_nothing(
    small: Simulated, connect: Connect, database: Database
) -> None:
    """Only data errors are bisected; any other error fails the whole response."""
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


def test_a_refused_event_loads_when_it_is_replayed_after_a_fix(
    small: Simulated, connect: Connect, database: Database
) -> None:
    poison(small, 3, 4)
    refuse(database, "metadata ->> 'text' <> 'poison'")
    walk(connect(small), small.page.id)
    records = list(list_quarantined(database))
    assert [replay(database, record) for record in records] != [None, None]
    assert len(list(list_quarantined(database))) == 2, "both are still refused"

    accept(database)
    assert [replay(database, record) for record in records] == [None, None]
    assert list(list_quarantined(database)) == []
    assert stored(database) == truth(small)
    assert [replay(database, record) for record in records] == [None, None], (
        "replaying a resolved record changes nothing"
    )
    assert stored(database) == truth(small)


@pytest.mark.parametrize("name", ["message_bad_time", "thread_without_time"])
def test_an_unreadable_record_loads_when_it_is_replayed_after_a_fix(
    small: Simulated, connect: Connect, database: Database, name: str
) -> None:
    small.fault(name)
    walk(connect(small), small.page.id)
    small.clear_faults()
    [record] = list_quarantined(database)
    reason = replay(database, record)
    assert reason is not None
    assert "time" in reason
    # As a version that can parse such times would see it.
    field = "created_time" if record.kind == "message" else "updated_time"
    fixed = {**record.record, field: "2026-02-01T00:00:00+0000"}
    rows(database, f"update quarantined_records set record = '{_sql(fixed)}' returning 1")
    [record] = list_quarantined(database)
    assert replay(database, record) is None
    assert {entry[2] for entry in truth(small)} == {entry[2] for entry in stored(database)}
    assert list(list_quarantined(database)) == []


def test_a_message_of_an_unknown_thread_stays_quarantined(
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
    assert "thread t_other is not stored: sync the page first" in (replay(database, record) or "")
    assert len(list(list_quarantined(database))) == 1


def test_a_record_that_arrives_again_is_counted_not_duplicated(
    small: Simulated, connect: Connect, database: Database
) -> None:
    small.fault("message_bad_time")
    engine = connect(small)
    for _ in range(3):
        small.world.inject(small.page, 0, "new", _now())
        walk(engine, small.page.id)
    [record] = list_quarantined(database)
    assert record.seen_count == 3


IMAGE = [{"type": "image", "payload": {"url": "https://example.org/1.jpg"}}]
ITEMS = {
    "message": item(0.9, message={"mid": "m1", "text": "hi", "attachments": IMAGE}),
    "reaction": item(0.9, reaction={"mid": "m1", "action": "react", "emoji": "❤"}),
    "message without a time": text(0, "m1", "hi") | {"timestamp": 0},
}


@pytest.mark.parametrize("later_answer", [False, True])
@pytest.mark.parametrize("name", ITEMS)
def test_a_replayed_item_ends_in_the_same_rows_as_a_drained_one(
    database: Database, name: str, later_answer: bool
) -> None:
    """Also after an answer of the API of the same second, which states the content differently."""
    database.call(
        "register_page", page_id=PAGE, name="Page", user_id=None, platform=None,
        token_encrypted="X",
    )  # fmt: skip
    sent = body(ITEMS[name], time=0)

    inbox.receive(database, [sent])
    assert drain_batch(database).states == {"done": 1}
    if later_answer:
        load_answer(database)
    drained = facts(database)

    execute(database, "truncate messenger_conversations cascade")
    execute(database, "update webhook_inbox set state = 'pending', settled_at = null")
    quarantine_items(database)
    execute(database, "update quarantined_records set first_seen_at = now() + interval '1 day'")
    [record] = list_quarantined(database)
    assert replay(database, record) is None
    if later_answer:
        load_answer(database)
    assert facts(database) == drained
    assert len(drained) == 1 + (later_answer and name == "reaction")


def quarantine_items(database: Database) -> None:
    """Quarantine the items of all pending deliveries, as a version that cannot parse them would."""
    with database.transaction() as connection:
        for delivery in inbox.claim(connection, 10):
            items = [
                replace(one, events=[], unusable="unknown to this version")
                for one in parse_delivery(delivery.body, delivery.received_at)
            ]
            outcome = Outcome(delivery, items, {})
            for page_id, records in outcome.quarantined().items():
                inbox.quarantine(connection, page_id, records)
            inbox.settle(connection, [outcome.settled()])


def load_answer(database: Database) -> None:
    """Load the message as an answer of the API states it, in the second of noon."""
    event: EventRow = {
        "event_type": "message_received",
        "event_timestamp": NOON,
        "message_id": "m1",
        "metadata": {
            "source": "incremental_sync",
            "text": "hi",
            "attachments": [{"id": "77", "mime_type": "image/jpeg"}],
        },
    }
    row: ConversationRow = {
        "sender_id": CONTACT, "sender_name": None, "as_of": NOON, "events": [event],
    }  # fmt: skip
    database.call(
        "bulk_upsert_conversations_with_events", page_id=PAGE, conversations=encode([row])
    )


def facts(database: Database) -> list[tuple[Any, ...]]:
    """The rows of event_facts, each with its as_of."""
    return rows(
        database,
        "select f.*, e.as_of from event_facts f join contact_interaction_events e"
        " on (e.page_id, e.event_type, e.message_id) = (f.page_id, f.event_type, f.message_id)"
        " order by e.event_type",
    )


def test_the_commands_list_and_replay(
    small: Simulated, connect: Connect, database: Database, url: str, tmp_path: Path
) -> None:
    poison(small, 3, 4)
    refuse(database, "metadata ->> 'text' <> 'poison'")
    walk(connect(small), small.page.id)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": "/usr/bin:/bin", "MESSENGER_DATABASE_URL": url}
        return run_command("quarantine", *arguments, environment=environment, folder=tmp_path)

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


def quarantined(database: Database, page: str = PAGE, identity: str = "x") -> None:
    record = {"source": "sync", "kind": "message", "identity": identity, "reason": "no time",
              "record": {"id": identity}}  # fmt: skip
    database.call("quarantine", page_id=page, records=encode([record]))


def test_a_discarded_record_stays_discarded_if_it_is_seen_again(database: Database) -> None:
    quarantined(database)
    [record] = list_quarantined(database)
    assert discard_quarantined(database, [record.id], "ann", "an old test") == 1
    assert discard_quarantined(database, [record.id], "bob", "again") == 0
    quarantined(database)
    assert list(list_quarantined(database)) == []
    [kept] = list_quarantined(database, discarded=True)
    assert (kept.discarded_by, kept.discard_reason, kept.seen_count) == ("ann", "an old test", 2)
    assert kept.record == {"id": "x"}
    # Another problem of the same record is another row.
    other = {"source": "sync", "kind": "message", "identity": "x", "reason": "no id", "record": 1}
    database.call("quarantine", page_id=PAGE, records=encode([other]))
    assert [one.reason for one in list_quarantined(database)] == ["no id"]


def test_a_replayed_record_that_is_seen_again_is_unresolved_again(database: Database) -> None:
    quarantined(database)
    [record] = list_quarantined(database)
    assert resolve_quarantined(database, record, [])
    assert list(list_quarantined(database)) == []
    quarantined(database)
    assert [one.id for one in list_quarantined(database)] == [record.id]


def test_a_discarded_record_that_is_replayed_is_discarded_no_more(database: Database) -> None:
    quarantined(database)
    [record] = list_quarantined(database)
    discard_quarantined(database, [record.id], "ann", "a mistake")
    assert resolve_quarantined(database, record, [])
    assert list(list_quarantined(database, discarded=True)) == []
    assert not resolve_quarantined(database, record, [])


def test_a_record_that_breaks_its_parser_does_not_stop_a_replay(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    quarantined(database)
    [record] = list_quarantined(database)

    def failing(_: object) -> object:
        raise RecursionError("a customer's words")

    monkeypatch.setattr(quarantine, "parse_message_record", failing)
    reason = replay(database, record) or ""
    assert "unforeseen RecursionError" in reason
    assert "customer" not in reason


def test_records_are_tried_again_more_and_more_rarely_until_they_load(
    database: Database,
) -> None:
    """A record that cannot be used stops no other; a whole delivery is not tried again."""
    event = {
        "sender_id": CONTACT, "sender_name": None, "as_of": NOON.isoformat(),
        "events": [{"event_type": "message_received", "event_timestamp": NOON.isoformat(),
                    "message_id": "m1", "metadata": {"source": "webhook", "text": "hi"}}],
    }  # fmt: skip
    for kind, record in (("message", {}), ("event", event), ("delivery", {"delivery": 1})):
        one = {"source": "x", "kind": kind, "identity": kind, "reason": "?", "record": record}
        database.call("quarantine", page_id=PAGE, records=encode([one]))
    assert retry_due(database) == 0, "nothing is due within ten minutes"

    def pauses() -> list[Any]:
        return rows(
            database,
            "select kind, retries, round(extract(epoch from retry_at - now()) / 60)"
            " from quarantined_records where resolved_at is null order by id",
        )

    expected = [20, 40, 80, 160, 320, 640, 1280, 1440, 1440]
    for attempt, minutes in enumerate(expected, 1):
        execute(database, "update quarantined_records set retry_at = now()")
        assert retry_due(database) == (1 if attempt == 1 else 0)
        assert pauses() == [("message", attempt, minutes), ("delivery", 0, 0)]
    assert rows(database, "select message_id from event_facts") == [("m1",)]


def test_the_records_of_a_removed_page_are_not_tried_again(database: Database) -> None:
    database.call(
        "register_page", page_id=PAGE, name="Page", user_id=None, platform=None,
        token_encrypted="X",
    )  # fmt: skip
    quarantined(database)
    execute(database, "update quarantined_records set retry_at = now()")
    execute(database, "update facebook_pages set status = 'removed'")
    retry_due(database)
    assert rows(database, "select retries from quarantined_records") == [(0,)]


def test_the_command_discards_and_keeps_who_and_why(
    database: Database, url: str, tmp_path: Path
) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "MESSENGER_DATABASE_URL": url}
        return run_command("quarantine", *arguments, environment=environment, folder=tmp_path)

    for number in range(4):
        quarantined(database, page="10" if number < 3 else "11", identity=str(number))
    first, *_, last = (one.id for one in list_quarantined(database))
    assert run("discard", str(first)).returncode == 2, "a reason is required"
    assert run("discard", "--reason", "x").returncode == 2
    one = run("discard", str(first), "999", "--reason", "known", "--by", "ann")
    assert (one.returncode, one.stdout) == (0, "1 record discarded.\n")
    assert one.stderr == "Warning: not in quarantine: 1 id.\n"
    unconfirmed = run("discard", "--page", "10", "--reason", "known")
    assert unconfirmed.returncode == 2
    assert "This discards 2 records. Add --yes." in unconfirmed.stderr
    assert run("discard", "--page", "10", "--reason", "known", "--yes").stdout == (
        "2 records discarded.\n"
    )
    assert [record.id for record in list_quarantined(database)] == [last]
    listed = [json.loads(line) for line in run("list", "--discarded", "--json").stdout.splitlines()]
    assert (listed[0]["discarded_by"], listed[0]["discard_reason"]) == ("ann", "known")
    assert all(row["discarded_by"] and row["resolved_at"] for row in listed)
    assert "known" in run("list", "--discarded").stdout
    again = run("replay", str(first))
    assert again.returncode == 1, "it is tried, and still cannot be used"
    assert f"record {first} still cannot be used" in again.stderr


def _now() -> datetime:
    return datetime.now(UTC)


def _sql(value: object) -> str:
    return json.dumps(value).replace("'", "''")


def test_different_records_without_an_id_are_kept_apart_and_the_same_one_is_counted(
    database: Database,
) -> None:
    """Without an id of its own, a record is identified by its content."""
    records = [
        {"source": "sync", "kind": "message", "identity": "", "thread_id": thread_id,
         "reason": "id: Field required", "record": {"message": content}}
        for thread_id, content in [("t_1", "a"), ("t_1", "b"), ("t_2", "b"), ("t_1", "a")]
    ]  # fmt: skip
    for _ in range(2):
        with database.transaction() as connection:
            inbox.quarantine(connection, PAGE, records)
    kept = [(one.thread_id, one.record["message"], one.seen_count)
            for one in list_quarantined(database)]  # fmt: skip
    assert sorted(kept) == [("t_1", "a", 2), ("t_1", "b", 2), ("t_2", "b", 2)]


def test_a_record_without_an_identity_is_one_record_when_meta_signs_its_urls_again(
    database: Database,
) -> None:
    for signature in ("a", "b"):
        url = f"https://scontent.xx.fbcdn.net/v/1.jpg?oh={signature}"
        record = {"source": "sync", "kind": "thread", "identity": "", "reason": "no id",
                  "record": {"messages": [{"image_data": {"url": url}}]}}  # fmt: skip
        database.call("quarantine", page_id=PAGE, records=encode([record]))
    assert [one.seen_count for one in list_quarantined(database)] == [2]
