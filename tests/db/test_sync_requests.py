"""Requested syncs, from the row to the run, with real walks."""

import threading
from contextlib import ExitStack
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from messenger_pipeline.db import pages
from messenger_pipeline.db.lease import held_lease
from messenger_pipeline.db.pool import Database, call
from messenger_pipeline.db.progress import SessionProgress, add_effort, list_progress
from messenger_pipeline.db.sessions import open_session, request_continuations
from messenger_pipeline.db.sync_requests import (
    ClaimedRequest,
    RequestOutcome,
    claim_requests,
    request_sync,
)
from messenger_pipeline.engine import Engine
from messenger_pipeline.errors import PipelineError
from messenger_pipeline.vault import TokenVault, new_key
from tests.conftest import Simulated
from tests.walking import Connect, Simulate, rows, stored, truth, walk


@pytest.fixture
def small(simulate: Simulate) -> Simulated:
    return simulate(conversations=130)


@pytest.fixture
def engine(small: Simulated, connect: Connect) -> Engine:
    return connect(small)


def ask(database: Database, page_id: str, **options: Any) -> RequestOutcome:
    asked = {"mode": "auto", "session": None, "max_conversations": None, "requested_by": "test"}
    return request_sync(database, page_id, **asked | options)


def accepted(database: Database, page_id: str, **options: Any) -> UUID:
    found = ask(database, page_id, **options)
    assert found.outcome == "accepted"
    assert found.sync_session_id
    return found.sync_session_id


def shown(database: Database, session: UUID) -> SessionProgress:
    return list_progress(database, [session])[session]


def count(database: Database, what: str) -> int:
    return int(rows(database, f"select count(*) from {what}")[0][0])


def run_of(engine: Engine, request: ClaimedRequest) -> Any:
    return walk(
        engine,
        request.page_id,
        session=request.sync_session_id,
        max_conversations=request.max_conversations,
        run_id=f"run of request {request.id}",
    )


def test_a_requested_sync_is_walked_by_its_run(
    engine: Engine, small: Simulated, database: Database
) -> None:
    session = accepted(database, small.page.id)
    assert shown(database, session).state == "requested"

    [request] = claim_requests(database, [])
    assert (request.page_id, request.sync_session_id) == (small.page.id, session)
    result = run_of(engine, request)

    assert (result.sync_session_id, result.mode) == (str(session), "full")
    assert stored(database) == truth(small)
    ended = shown(database, session)
    assert (ended.state, ended.total_synced) == ("completed", 130)
    assert ended.changes > 3
    assert ended.worked_seconds > 0
    add_effort(database, session, {"api_calls": 0, "seconds": 1, "waited_seconds": 0}, None)
    assert shown(database, session).changes == ended.changes  # its end was announced


def test_one_of_many_concurrent_requests_is_accepted_and_all_learn_the_session(
    engine: Engine, small: Simulated, database: Database
) -> None:
    barrier, found = threading.Barrier(8), []

    def ask_at_once() -> None:
        barrier.wait()
        found.append(ask(database, small.page.id))

    threads = [threading.Thread(target=ask_at_once) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.outcome for one in found) == ["accepted"] + ["in_progress"] * 7
    assert len({one.sync_session_id for one in found}) == 1
    assert rows(database, "select count(*) from sync_state") == [(1,)]


def test_a_repeated_request_is_accepted_again(
    engine: Engine, small: Simulated, database: Database
) -> None:
    asked = {
        "request_id": uuid4(), "page_id": small.page.id, "mode": "full", "session": None,
        "max_conversations": None, "requested_by": "test",
    }  # fmt: skip
    first, again = (database.call("request_sync", RequestOutcome, **asked) for _ in range(2))
    assert first == again
    assert first[0].outcome == "accepted"


def test_while_a_run_walks_the_page_it_is_in_progress_with_that_runs_session(
    engine: Engine, small: Simulated, database: Database
) -> None:
    page_id = small.page.id
    with held_lease(database, page_id, "another run") as fence:
        assert ask(database, page_id).sync_session_id is None  # it has not chosen one yet
        session = open_session(database, page_id, fence, "auto", "another run", None)
        assert session
        found = ask(database, page_id)
        assert (found.outcome, found.locked_by) == ("in_progress", "another run")
        assert found.sync_session_id == session.sync_session_id
        assert shown(database, session.sync_session_id).state == "running"
    assert ask(database, page_id).outcome == "accepted"


def test_an_open_session_is_resumed_under_its_id_and_a_full_one_begins_anew(
    engine: Engine, small: Simulated, database: Database
) -> None:
    cut = walk(engine, small.page.id, max_conversations=100)
    assert cut.has_more
    resumed = accepted(database, small.page.id)
    assert str(resumed) == cut.sync_session_id
    [request] = claim_requests(database, [])
    run_of(engine, request)

    cut = walk(engine, small.page.id, mode="full", max_conversations=100)
    anew = accepted(database, small.page.id, mode="full")
    assert str(anew) != cut.sync_session_id
    assert shown(database, UUID(cut.sync_session_id)).state == "superseded"
    assert shown(database, anew).expected == 130


def test_a_named_session_is_resumed_and_one_that_ended_or_is_anothers_is_told(
    engine: Engine, small: Simulated, database: Database
) -> None:
    page_id = small.page.id
    done = walk(engine, page_id)
    assert ask(database, page_id, session=UUID(done.sync_session_id)).outcome == "session_ended"
    assert ask(database, page_id, session=uuid4()).outcome == "unknown_session"
    cut = walk(engine, page_id, mode="full", max_conversations=100)
    named = accepted(database, page_id, mode="incremental", session=UUID(cut.sync_session_id))
    assert str(named) == cut.sync_session_id


def test_a_limit_asked_for_ends_the_first_run_and_the_session_goes_on_by_itself(
    engine: Engine, small: Simulated, database: Database
) -> None:
    session = accepted(database, small.page.id, max_conversations=30)
    [request] = claim_requests(database, [])
    result = run_of(engine, request)
    assert result.has_more
    assert shown(database, session).state == "resumable"
    [continuation] = request_continuations(database, [])
    assert continuation.sync_session_id == session


def test_a_run_that_came_first_serves_the_request(
    engine: Engine, small: Simulated, database: Database
) -> None:
    session = accepted(database, small.page.id)
    result = walk(engine, small.page.id, run_id="a scheduled run")
    assert result.sync_session_id == str(session)
    assert claim_requests(database, []) == []
    assert rows(database, "select run_id, error from sync_requests") == [("a scheduled run", None)]


def test_a_request_is_given_out_once_and_again_only_after_its_run_was_lost(
    engine: Engine, small: Simulated, database: Database
) -> None:
    accepted(database, small.page.id)
    assert claim_requests(database, [small.page.id]) == []  # a run of the page is not finished
    [first] = claim_requests(database, [])
    assert claim_requests(database, []) == []
    # No continuation is made of it meanwhile either.
    assert request_continuations(database, []) == []
    with database.transaction() as connection:
        connection.execute("update sync_requests set not_before = now()")
    [again] = claim_requests(database, [])
    assert (again.id, again.attempt) == (first.id, first.attempt + 1)


@pytest.mark.parametrize("status", ["removed", "needs_reauthorization"])
def test_a_request_for_a_page_that_cannot_be_synced_any_more_ends_with_the_reason(
    engine: Engine, small: Simulated, database: Database, status: str
) -> None:
    session = accepted(database, small.page.id)
    before = shown(database, session).changes
    pages.set_page_status(database, small.page.id, status)
    assert claim_requests(database, []) == []
    shown_session = shown(database, session)
    assert (shown_session.state, shown_session.last_error) == (
        status,
        f"The page's status is {status}.",
    )
    assert shown_session.changes > before


def test_why_a_request_came_to_nothing_is_past_once_its_session_goes_on(
    engine: Engine, small: Simulated, database: Database
) -> None:
    session = accepted(database, small.page.id)
    pages.set_page_status(database, small.page.id, "needs_reauthorization")
    claim_requests(database, [])
    assert shown(database, session).last_error
    pages.set_page_status(database, small.page.id, "active")
    for limit in (30, None):
        assert walk(engine, small.page.id, max_conversations=limit).sync_session_id == str(session)
        assert shown(database, session).last_error is None


def test_a_request_that_no_run_can_begin_with_ends_after_five(
    engine: Engine, small: Simulated, database: Database
) -> None:
    session = accepted(database, small.page.id)
    other = replace(engine, vault=TokenVault([new_key()]))  # the token cannot be decrypted
    for attempt in range(1, 6):
        [request] = claim_requests(database, [])
        assert request.attempt == attempt
        with pytest.raises(PipelineError):
            run_of(other, request)
        rows(database, "update sync_requests set not_before = now() returning 1")
    assert claim_requests(database, [small.page.id]) == []  # its run may still begin
    assert ask(database, small.page.id).outcome == "in_progress"
    assert claim_requests(database, []) == []
    shown_session = shown(database, session)
    assert shown_session.state == "resumable"
    assert "None of 5 runs started the requested sync" in (shown_session.last_error or "")
    assert ask(database, small.page.id).outcome == "accepted"


def test_a_run_does_not_open_a_session_that_a_request_supersedes_at_that_moment(
    engine: Engine, small: Simulated, database: Database, url: str
) -> None:
    page_id = small.page.id
    cut = UUID(walk(engine, page_id, max_conversations=30).sync_session_id)
    opened: list[Any] = []

    def open_it(fence: int) -> None:
        opened.append(open_session(database, page_id, fence, "auto", "run 2", cut))

    with Database(url, timeout=10) as own, ExitStack() as asking:
        connection = asking.enter_context(own.transaction())
        call(
            connection, "request_sync", request_id=uuid4(), page_id=page_id, mode="full",
            session=None, max_conversations=None, requested_by="test",
        )  # fmt: skip
        # The request has looked for a lease, and found none.
        with held_lease(database, page_id, "run 2") as fence:
            thread = threading.Thread(target=open_it, args=(fence,))
            thread.start()
            waits = f"pg_stat_activity where datname = '{connection.info.dbname}'"
            while not count(own, f"{waits} and wait_event_type = 'Lock'"):
                assert thread.is_alive()
            asking.close()  # committed
            thread.join()
    assert opened == [None]


def test_a_run_whose_session_another_ended_says_how_it_ended(
    engine: Engine, small: Simulated, database: Database
) -> None:
    cut = walk(engine, small.page.id, max_conversations=30)
    accepted(database, small.page.id, mode="full")
    late = walk(engine, small.page.id, session=UUID(cut.sync_session_id))
    assert (late.sync_session_id, late.outcome) == (cut.sync_session_id, "superseded")
    assert (late.mode, late.api_calls) == ("full", 0)


def test_a_request_whose_session_was_superseded_ends(
    engine: Engine, small: Simulated, database: Database
) -> None:
    session = accepted(database, small.page.id)
    walk(engine, small.page.id, mode="full")
    assert claim_requests(database, []) == []
    assert shown(database, session).state == "superseded"


def test_effort_waits_and_errors_are_those_that_the_api_saw(
    engine: Engine, small: Simulated, database: Database
) -> None:
    small.fault("code_2", times=2)
    session = accepted(database, small.page.id)
    [request] = claim_requests(database, [])
    result = run_of(engine, request)

    shown_session = shown(database, session)
    assert shown_session.api_calls == result.api_calls == len(small.calls())
    assert 0 < shown_session.worked_seconds <= result.duration_seconds + 0.1
    [(calls, errors, conversations, sessions, runs)] = rows(
        database,
        "select api_calls, api_errors, conversations, sessions, runs from sync_totals",
    )
    assert (calls, errors) == (shown_session.api_calls, {"2": 2})
    assert conversations == {"inserted": 130, "updated": 0, "unchanged": 0}
    assert (sessions, runs) == ({"full completed": 1}, {"completed": 1})
