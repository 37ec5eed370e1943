"""One failure stays one failure: what cannot be read is set aside, and the page goes on."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stamina

from messenger_pipeline.db import pages, sessions
from messenger_pipeline.db.gaps import begin_thread, list_set_aside_gaps, retry_gaps
from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.quarantine import list_quarantined
from messenger_pipeline.errors import (
    DatabaseError,
    GraphError,
    PageOwnerMustAct,
    PipelineError,
    SchemaError,
    TransientError,
)
from messenger_pipeline.graph.client import GraphClient
from tests.conftest import Simulated
from tests.walking import Connect, Simulate, let_a_minute_pass, rows, stored, truth, walk


@pytest.fixture
def small(simulate: Simulate) -> Simulated:
    return simulate(conversations=60)


@pytest.fixture(autouse=True)
def few_attempts() -> Iterator[None]:
    with stamina.set_testing(True, attempts=2):
        yield


def change(database: Database, statement: str) -> None:
    with database.transaction() as connection:
        connection.execute(statement)


def make_due(database: Database) -> None:
    change(
        database,
        "update thread_gaps set not_before = now(), first_failed_at = first_failed_at - interval"
        " '1 day'; update list_gaps set not_before = now()",
    )


def write(simulated: Simulated, text: str, *numbers: int, times: int = 1) -> None:
    now = datetime.now(UTC)
    for number in numbers:
        for _ in range(times):
            simulated.world.inject(simulated.page, number, text, now, by_page=False)


def found(database: Database, text: str) -> int:
    [(count,)] = rows(
        database,
        f"select count(*) from contact_interaction_events where metadata ->> 'text' like '{text}%'",
    )
    assert isinstance(count, int)
    return count


def alerts(database: Database) -> list[str]:
    return [kind for (kind,) in rows(database, "select kind from list_alert_conditions()")]


# -- One thread ----------------------------------------------------------------------------------


def test_a_thread_whose_history_fails_lastingly_does_not_stop_its_page(
    small: Simulated, connect: Connect, database: Database
) -> None:
    engine = connect(small)
    walk(engine, small.page.id)
    write(small, "BURST", 5, times=60)
    small.fault("code_1", edge="messages", times=10_000)
    first = walk(engine, small.page.id)
    assert (first.outcome, first.set_aside) == ("completed", 1)
    [gap] = list_set_aside_gaps(database)
    assert (gap.state, gap.attempts) == ("put_off", 1)
    assert gap.last_error

    write(small, "NEW", 1, 2, 3)
    assert walk(engine, small.page.id).outcome == "completed"
    assert found(database, "NEW") == 3
    assert walk(engine, small.page.id, mode="sweep").outcome == "completed"

    make_due(database)
    walk(engine, small.page.id)
    [gap] = list_set_aside_gaps(database)
    assert gap.attempts == 2
    assert "history_incomplete" in alerts(database)

    small.clear_faults()
    assert retry_gaps(database, [gap.id], None) == 1
    walk(engine, small.page.id)
    assert list_set_aside_gaps(database) == []
    assert "history_incomplete" not in alerts(database)
    assert stored(database) == truth(small)


def test_a_gap_is_given_up_after_eight_failures_over_a_week(
    small: Simulated, connect: Connect, database: Database
) -> None:
    engine = connect(small)
    walk(engine, small.page.id)
    write(small, "BURST", 5, times=60)
    small.fault("code_1", edge="messages", times=10_000)
    for number in range(9):
        walk(engine, small.page.id, run_id=f"run{number}")
        [gap] = list_set_aside_gaps(database)
        assert gap.state == ("put_off" if number < 7 else "unreadable")
        make_due(database)
    assert gap.attempts == 8
    calls = len(small.calls())
    walk(engine, small.page.id)
    assert not [call for call in small.calls()[calls:] if "/messages" in call], "tried for ever"


@pytest.mark.parametrize("name", ["permission_missing", "permission_revoked", "token_expired"])
def test_a_refusal_of_one_threads_history_does_not_switch_the_page_off(
    small: Simulated, connect: Connect, database: Database, name: str
) -> None:
    engine = connect(small)
    walk(engine, small.page.id)
    write(small, "BURST", 5, times=60)
    write(small, "NEW", 6, 7)
    small.fault(name, edge="messages")
    assert walk(engine, small.page.id).outcome == "completed"
    assert pages.get_page(database, small.page.id).status == "active"
    [gap] = list_set_aside_gaps(database)
    assert gap.state == "unreadable"
    assert found(database, "NEW") == 2


@pytest.mark.parametrize("error", [GraphError("gone", code=803), TransientError("unknown", code=1)])
def test_a_thread_that_a_full_walk_cannot_confirm_does_not_stop_it(
    small: Simulated,
    connect: Connect,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    error: GraphError,
) -> None:
    engine = connect(small)
    walk(engine, small.page.id)
    small.fault("deletion", thread=7)
    small.fault("deletion", thread=9)
    real = GraphClient.fetch_thread

    def fetch(self: GraphClient, thread_id: str, **sizes: Any) -> Any:
        if thread_id == small.world.thread_id(small.page, 7):
            raise error
        return real(self, thread_id, **sizes)

    monkeypatch.setattr(GraphClient, "fetch_thread", fetch)
    result = walk(engine, small.page.id, mode="full")
    assert (result.outcome, result.deleted) == ("completed", 1)
    assert "1 thread that Meta no longer lists could not be checked" in str(result.warning)
    monkeypatch.undo()
    assert walk(engine, small.page.id, mode="full").deleted == 1


def test_a_thread_of_a_refused_list_that_fails_does_not_stop_the_others(
    small: Simulated, connect: Connect, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = connect(small)
    walk(engine, small.page.id)
    write(small, "NEW", *range(20))
    small.fault("list_refused")
    real = GraphClient.fetch_thread

    def fetch(self: GraphClient, thread_id: str, **sizes: Any) -> Any:
        if thread_id == small.world.thread_id(small.page, 7):
            raise RecursionError("nobody foresaw it")
        return real(self, thread_id, **sizes)

    monkeypatch.setattr(GraphClient, "fetch_thread", fetch)
    walk(engine, small.page.id, mode="full")
    assert found(database, "NEW") == 19
    [gap] = list_set_aside_gaps(database)
    assert str(gap.last_error).startswith("unforeseen RecursionError")
    make_due(database)
    walk(engine, small.page.id)
    assert found(database, "NEW") == 20, "its gap is read from its history"


def test_a_thread_of_a_refused_list_that_ends_its_process_is_set_aside_unread(
    small: Simulated, connect: Connect, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = connect(small)
    walk(engine, small.page.id)
    write(small, "NEW", *range(20))
    small.fault("list_refused")
    deadly = small.world.thread_id(small.page, 7)
    counted = "select attempts from messenger_threads where thread_id = '{}'"
    real, requested = GraphClient.fetch_thread, []

    def fetch(self: GraphClient, thread_id: str, **sizes: Any) -> Any:
        requested.append((thread_id, rows(database, counted.format(thread_id))))
        return real(self, thread_id, **sizes)

    monkeypatch.setattr(GraphClient, "fetch_thread", fetch)
    for _ in range(3):  # as three killed runs leave it
        begin_thread(database, small.page.id, deadly)
    assert walk(engine, small.page.id, mode="full", max_conversations=5).outcome == "partial"
    begun = rows(database, "select thread_id from messenger_threads where attempts > 0")
    assert set(begun) <= {(deadly,)}, "a run that stops at a limit takes its count back"
    walk(engine, small.page.id, mode="full")
    assert {count for _, [(count,)] in requested} == {1}, "counted before the request"
    assert deadly not in dict(requested)
    assert found(database, "NEW") == 19
    [gap] = list_set_aside_gaps(database)
    assert gap.last_error == "Reading it ended the process 3 times in a row."
    make_due(database)
    walk(engine, small.page.id)
    assert found(database, "NEW") == 20
    assert rows(database, "select distinct attempts from messenger_threads") == [(0,)]


@pytest.mark.parametrize(
    ("raised", "timing"),
    [
        ("raise exception 'not this one'", "before"),
        ("perform a_function_that_is_not_there()", "before"),
        ("insert into a_table_that_is_not_there values (1)", "before"),
        ("raise exception 'no' using errcode = '42501'", "before"),  # a missing privilege
        ("raise exception 'no' using errcode = '40001'", "before"),  # a conflict, each time
        ("raise exception 'no' using errcode = '57014'", "before"),  # a statement's time-out
        ("assert false", "before"),
        ("raise exception 'no' using errcode = '23514'", "constraint after"),  # at commit
    ],
)
def test_a_trigger_of_the_owner_that_refuses_one_contact_does_not_stop_the_page(
    small: Simulated, connect: Connect, database: Database, raised: str, timing: str
) -> None:
    refused = min(entry[1] for entry in truth(small))
    at_commit = timing.startswith("constraint")
    change(
        database,
        "create function refuse() returns trigger language plpgsql as $$ begin"
        f" if new.sender_id = '{refused}' then {raised}; end if; return new; end $$;"
        f" create {'constraint' if at_commit else ''} trigger refuse"
        f" {timing.removeprefix('constraint ')} insert on messenger_conversations"
        f" {'deferrable initially deferred' if at_commit else ''}"
        " for each row execute function refuse()",
    )
    result = walk(connect(small), small.page.id)
    assert result.outcome == "completed"
    assert result.quarantined >= 1
    assert {entry[1] for entry in truth(small) - stored(database)} == {refused}


@pytest.mark.parametrize(
    "break_it",
    [
        "drop function insert_events",
        "alter table contact_interaction_events rename to mine",
    ],
)
def test_a_schema_that_is_broken_ends_the_run_and_sets_nothing_aside(
    small: Simulated, connect: Connect, database: Database, break_it: str
) -> None:
    change(database, break_it)
    with pytest.raises(SchemaError, match="db upgrade"):
        walk(connect(small), small.page.id)
    assert list(list_quarantined(database)) == []


# -- The list ------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["full", "incremental"])
def test_an_empty_first_answer_and_a_refused_cursor_do_not_stop_the_page(
    small: Simulated, connect: Connect, database: Database, mode: str
) -> None:
    engine = connect(small)
    if mode == "incremental":
        walk(engine, small.page.id)
    small.fault("empty_with_next", edge="conversations", times=1)
    small.fault("cursors_expire", edge="conversations", times=1)
    walk(engine, small.page.id)
    small.clear_faults()
    write(small, "NEW", 1)
    assert walk(engine, small.page.id).outcome == "completed"
    assert walk(engine, small.page.id, mode="full").outcome == "completed"
    assert stored(database) == truth(small)


@pytest.mark.parametrize(
    "statement",
    [
        "update facebook_pages set watermark = 'infinity'",
        "update facebook_pages set last_synced_at = '20000-01-01'",
        "update facebook_pages set sync_interval = interval '1000000 years'",
        "update sync_state set cutoff = '-infinity'",
        "update contact_interaction_events set event_timestamp = 'infinity'",
    ],
)
def test_what_the_driver_cannot_read_cannot_be_stored(
    small: Simulated, connect: Connect, database: Database, statement: str
) -> None:
    walk(connect(small), small.page.id)
    with pytest.raises(DatabaseError, match="check constraint"):
        change(database, statement)


def test_a_cursor_that_dies_less_deep_than_before_skips_no_thread(
    simulate: Simulate, connect: Connect, database: Database
) -> None:
    simulated = simulate(conversations=700)
    engine = connect(simulated)
    walk(engine, simulated.page.id, max_conversations=300, run_id="r1")
    simulated.fault("cursors_expire", edge="conversations", times=1)
    walk(engine, simulated.page.id, max_conversations=200, run_id="r2")
    simulated.fault("cursors_expire", edge="conversations", times=1)
    result = walk(engine, simulated.page.id, run_id="r3")
    assert (result.outcome, list_set_aside_gaps(database)) == ("completed", [])
    assert stored(database) == truth(simulated)


def test_what_two_refused_cursors_hide_is_a_list_gap_that_is_read_later(
    simulate: Simulate, connect: Connect, database: Database
) -> None:
    simulated = simulate(conversations=500)
    engine = connect(simulated)
    walk(engine, simulated.page.id)
    before = pages.get_page(database, simulated.page.id).watermark
    now = datetime.now(UTC)
    for number in range(300, -1, -1):
        simulated.world.inject(
            simulated.page, number, "NEW", now - timedelta(minutes=number), by_page=False
        )
    simulated.fault("cursor_depth", depth=60)
    result = walk(engine, simulated.page.id, mode="incremental", run_id="r1")
    assert result.outcome == "truncated"
    assert 0 < found(database, "NEW") < 301
    assert before is not None
    watermark = pages.get_page(database, simulated.page.id).watermark
    assert watermark is not None
    assert watermark > before
    [gap] = list_set_aside_gaps(database)
    assert (gap.kind, gap.state) == ("list", "put_off")
    assert "sync_truncated" in alerts(database)

    # The gap fails again: the page goes on, and the alert lasts.
    write(simulated, "LATER", 3)
    assert walk(engine, simulated.page.id, run_id="r2").outcome == "completed"
    assert found(database, "LATER") == 1
    assert "sync_truncated" in alerts(database)
    [gap] = list_set_aside_gaps(database)
    assert gap.attempts == 2

    simulated.clear_faults()
    make_due(database)
    assert walk(engine, simulated.page.id, run_id="r3").outcome == "completed"
    assert found(database, "NEW") == 301
    assert list_set_aside_gaps(database) == []
    assert "sync_truncated" not in alerts(database)
    assert stored(database) == truth(simulated)


def test_a_full_walk_of_a_list_that_meta_cuts_marks_nothing_and_keeps_the_rest_as_a_gap(
    simulate: Simulate, connect: Connect, database: Database
) -> None:
    simulated = simulate(conversations=700)
    engine = connect(simulated)
    walk(engine, simulated.page.id)
    simulated.fault("cursor_depth", depth=300)
    result = walk(engine, simulated.page.id, mode="full", run_id="r1")
    assert (result.outcome, result.deleted) == ("truncated", 0)
    [gap] = list_set_aside_gaps(database)
    assert gap.until_time is None
    simulated.clear_faults()
    assert walk(engine, simulated.page.id, mode="full", run_id="r2").outcome == "completed"
    assert list_set_aside_gaps(database) == [], "a walk to the end of the list has read it, too"


def test_a_refused_list_costs_one_call_while_nothing_happens(
    simulate: Simulate, connect: Connect, database: Database
) -> None:
    simulated = simulate(conversations=100)
    engine = connect(simulated)
    walk(engine, simulated.page.id)
    write(simulated, "OLD", *range(40))
    walk(engine, simulated.page.id)
    write(simulated, "NEW", *range(40))
    simulated.fault("list_refused")
    first = walk(engine, simulated.page.id, mode="incremental", run_id="r0")
    assert first.outcome == "truncated"
    assert found(database, "NEW") == 40
    for number in range(3):
        later = walk(engine, simulated.page.id, mode="incremental", run_id=f"r{number + 1}")
        assert later.api_calls == 1
    # A message that a webhook brought makes its thread due; so does time, more and more rarely.
    change(
        database,
        "update messenger_conversations set last_message_time = now() + interval '10 s'"
        " where id in (select conversation_id from messenger_threads"
        " order by updated_time desc limit 3)",
    )
    assert walk(engine, simulated.page.id, run_id="r5").api_calls == 4
    simulated.clear_faults()
    write(simulated, "LISTED", *range(60, 70))
    assert walk(engine, simulated.page.id, run_id="r6").outcome == "completed"
    assert found(database, "LISTED") == 10


# -- The page ------------------------------------------------------------------------------------


def test_a_refusal_of_the_list_that_a_control_call_does_not_confirm_is_temporary(
    small: Simulated, connect: Connect, database: Database
) -> None:
    small.fault("permission_missing", edge="conversations", times=1)
    assert walk(connect(small), small.page.id).outcome == "completed"
    assert pages.get_page(database, small.page.id).status == "active"
    assert stored(database) == truth(small)


def test_only_two_refusals_of_a_kind_a_minute_apart_switch_a_page_off(
    small: Simulated, connect: Connect, database: Database
) -> None:
    engine = connect(small)

    def refused(name: str) -> str:
        small.clear_faults()
        small.fault(name)
        with pytest.raises(PageOwnerMustAct):
            walk(engine, small.page.id)
        return pages.get_page(database, small.page.id).status

    assert refused("token_expired") == "active"
    assert refused("token_expired") == "active", "at once proves nothing"
    let_a_minute_pass(database)
    assert refused("permission_missing") == "active", "another kind"
    let_a_minute_pass(database)
    small.clear_faults()
    walk(engine, small.page.id)
    assert refused("permission_missing") == "active", "Meta answered in between"
    let_a_minute_pass(database)
    assert refused("permission_missing") == "needs_reauthorization"


def test_a_full_session_that_cannot_go_on_does_not_hold_up_incremental_ones(
    small: Simulated, connect: Connect, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = connect(small)
    walk(engine, small.page.id)
    small.fault("code_1", edge="conversations", times=4)  # the control call, too
    with pytest.raises(PipelineError):
        walk(engine, small.page.id, mode="full")
    write(small, "NEW", 1, 2)
    assert walk(engine, small.page.id, mode="incremental").outcome == "completed"
    assert found(database, "NEW") == 2
    change(
        database,
        "update sync_state set idle_attempts = 2, not_before = now() + interval '1 hour'"
        " where outcome is null",
    )
    assert walk(engine, small.page.id).mode == "incremental"


def test_a_page_that_is_removed_ends_its_run_with_that_sentence(
    small: Simulated, connect: Connect, database: Database
) -> None:
    engine = connect(small)
    real = sessions.get_session

    def removed(*arguments: Any) -> Any:
        pages.set_page_status(database, small.page.id, "removed")
        return real(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sessions, "get_session", removed)
        with pytest.raises(DatabaseError, match="was removed while this run synced it"):
            walk(engine, small.page.id)
