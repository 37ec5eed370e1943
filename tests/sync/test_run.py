"""The walk, against the simulator over HTTP and a real database."""

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from messenger_pipeline.db import load, migrate, pages, sessions
from messenger_pipeline.db.lease import held_lease
from messenger_pipeline.db.pool import Database
from messenger_pipeline.engine import Engine
from messenger_pipeline.errors import (
    ConfigurationError,
    LeaseLost,
    PageOwnerMustAct,
    SyncInProgress,
    UnexpectedAnswer,
    UnknownPage,
    UnknownSession,
)
from messenger_pipeline.graph.client import GraphApi, GraphClient
from messenger_pipeline.graph.models import Thread
from messenger_pipeline.graph.pace import Pace, Unpaced
from messenger_pipeline.sync.plan import Page, plan_threads
from messenger_pipeline.sync.run import SyncRequest, SyncResult, sync_page
from messenger_pipeline.vault import TokenVault, new_key
from tests.conftest import Simulated
from tests.walking import Connect, Simulate, let_a_minute_pass, rows, stored, truth, walk


@pytest.fixture
def small(simulate: Simulate) -> Simulated:
    """One page of 230 threads: three answers of the list, and some threads with long history."""
    return simulate(conversations=230)


def test_a_first_sync_stores_every_message_once(
    small: Simulated, connect: Connect, database: Database
) -> None:
    """Including threads with more messages than an answer nests."""
    result = walk(connect(small), small.page.id)

    assert stored(database) == truth(small)
    assert max(small.page.lengths) > 125, "the world has no thread that needs several answers"
    assert (result.mode, result.has_more, result.fetched) == ("full", False, 230)
    assert (result.inserted, result.updated) == (230, 0)
    assert result.events == sum(small.page.lengths)
    assert set(migrate.verify(database).values()) == {None}


def test_a_sync_moves_the_pages_watermark_to_the_newest_update(
    small: Simulated, connect: Connect, database: Database
) -> None:
    walk(connect(small), small.page.id)
    page = pages.get_page(database, small.page.id)
    [(newest,)] = rows(database, "select max(event_timestamp) from contact_interaction_events")
    assert page.watermark == newest
    assert page.last_synced_at is not None
    assert page.next_sync_at > datetime.now(UTC)


def test_syncing_an_unchanged_page_makes_at_most_two_calls_and_writes_no_row(
    small: Simulated, connect: Connect, database: Database
) -> None:
    engine = connect(small)
    walk(engine, small.page.id)
    tables = ("messenger_conversations", "contact_interaction_events", "messenger_threads")
    # xmin is the transaction that wrote the row.
    written = [
        rows(database, f"select xmin::text, t.* from {table} t order by 2, 3") for table in tables
    ]
    before = len(small.calls())

    result = walk(engine, small.page.id)

    again = [
        rows(database, f"select xmin::text, t.* from {table} t order by 2, 3") for table in tables
    ]
    assert again == written
    assert len(small.calls()) - before <= 2
    assert (result.mode, result.inserted, result.updated, result.events) == ("incremental", 0, 0, 0)
    assert result.unchanged == result.fetched


def test_a_full_sync_over_unchanged_threads_writes_no_conversation_and_no_event(
    small: Simulated, connect: Connect, database: Database
) -> None:
    engine = connect(small)
    walk(engine, small.page.id)
    tables = ("messenger_conversations", "contact_interaction_events")
    written = [
        rows(database, f"select xmin::text, t.* from {table} t order by 2") for table in tables
    ]

    result = walk(engine, small.page.id, mode="full")

    assert (result.mode, result.fetched, result.unchanged) == ("full", 230, 230)
    assert written == [
        rows(database, f"select xmin::text, t.* from {table} t order by 2") for table in tables
    ]
    [(walks,)] = rows(database, "select count(distinct last_session_id) from messenger_threads")
    assert walks == 1, "a full walk notes every thread that it saw"


def test_an_incremental_sync_loads_the_new_messages_and_nothing_else(
    small: Simulated, connect: Connect, database: Database
) -> None:
    engine = connect(small)
    walk(engine, small.page.id)
    versions = dict(rows(database, "select sender_id, version from messenger_conversations"))
    now = datetime.now(UTC)
    for number in (0, 1, 200):
        small.world.inject(small.page, number, "new", now)
    small.world.inject(small.page, 0, "an answer", now, by_page=True)
    small.world.inject(small.page, None, "from a new contact", now)

    result = walk(engine, small.page.id)

    assert stored(database) == truth(small)
    assert (result.inserted, result.updated, result.events) == (1, 3, 5)
    changed = {small.world.contact(small.page, number)["id"] for number in (0, 1, 200)}
    new = small.world.contact(small.page, 230)["id"]
    after = dict(rows(database, "select sender_id, version from messenger_conversations"))
    assert after == {
        **{sender: version + (sender in changed) for sender, version in versions.items()},
        new: 0,
    }


def test_new_messages_beyond_the_nested_ones_are_fetched_from_the_threads_history(
    small: Simulated, connect: Connect, database: Database
) -> None:
    engine = connect(small)
    walk(engine, small.page.id)
    for number in range(140):
        small.world.inject(small.page, 7, f"number {number}", datetime.now(UTC))

    walk(engine, small.page.id)

    assert stored(database) == truth(small)
    assert rows(database, "select * from thread_gaps") == []


def test_a_sync_that_reached_a_limit_is_resumed_where_it_stopped(
    small: Simulated, connect: Connect, database: Database
) -> None:
    """Each thread is listed once, however many runs it takes."""
    engine = connect(small)
    results = [walk(engine, small.page.id, max_conversations=60)]
    while results[-1].has_more:
        results.append(walk(engine, small.page.id, max_conversations=60))

    assert [result.fetched for result in results] == [60, 60, 60, 50]
    assert len({result.sync_session_id for result in results}) == 1
    assert stored(database) == truth(small)
    lists = [call for call in small.calls() if "/conversations" in call]
    assert len(lists) == len(set(lists)) == 4


def test_each_run_of_a_sync_limited_by_time_makes_progress(
    small: Simulated, connect: Connect, database: Database
) -> None:
    engine = connect(small)
    runs = 1
    while walk(engine, small.page.id, max_seconds=0.001).has_more:
        runs += 1
        assert runs < 500
    assert runs > 3
    assert stored(database) == truth(small)


def test_a_run_that_is_asked_to_stop_ends_after_the_current_response(
    small: Simulated, connect: Connect, database: Database
) -> None:
    stop = threading.Event()
    stop.set()
    result = sync_page(connect(small), SyncRequest(small.page.id, "run"), stop)
    assert result.has_more
    assert result.stopped == "stop requested"
    assert result.fetched == 100


def test_an_explicit_full_sync_supersedes_an_open_one(
    small: Simulated, connect: Connect, database: Database
) -> None:
    engine = connect(small)
    first = walk(engine, small.page.id, max_conversations=60)
    second = walk(engine, small.page.id, mode="full")
    assert rows(
        database,
        "select sync_session_id::text, outcome, is_complete from sync_state order by started_at",
    ) == [(first.sync_session_id, "superseded", False), (second.sync_session_id, "completed", True)]
    assert stored(database) == truth(small)


def test_gaps_that_a_superseded_session_left_are_closed_by_the_next(
    small: Simulated, connect: Connect, database: Database
) -> None:
    engine = connect(small)
    walk(engine, small.page.id, max_conversations=200)
    [(open_gaps,)] = rows(database, "select count(*) from thread_gaps")
    assert open_gaps > 0
    walk(engine, small.page.id, mode="full")
    assert rows(database, "select * from thread_gaps") == []
    assert stored(database) == truth(small)


def test_last_synced_at_set_to_null_asks_for_a_full_sync(
    small: Simulated, connect: Connect, database: Database
) -> None:
    engine = connect(small)
    walk(engine, small.page.id)
    with database.transaction() as connection:
        connection.execute("update facebook_pages set last_synced_at = null")
    result = walk(engine, small.page.id, max_conversations=60)
    assert result.mode == "full"
    result = walk(engine, small.page.id)
    assert (result.mode, result.fetched, result.has_more) == ("full", 170, False)
    assert walk(engine, small.page.id).mode == "incremental"


def test_last_synced_at_set_to_null_during_a_sync_is_not_overwritten(
    small: Simulated, connect: Connect, database: Database
) -> None:
    engine = connect(small)
    walk(engine, small.page.id)
    small.world.inject(small.page, 1, "new", datetime.now(UTC))
    walk(engine, small.page.id, mode="incremental", max_conversations=1)
    with database.transaction() as connection:
        connection.execute("update facebook_pages set last_synced_at = null")
    [session] = [
        s
        for s in sessions.list_sessions(database, datetime(2000, 1, 1, tzinfo=UTC))
        if not s.outcome
    ]
    assert not walk(engine, small.page.id, session=session.sync_session_id).has_more
    assert pages.get_page(database, small.page.id).last_synced_at is None
    assert walk(engine, small.page.id).mode == "full"


def test_an_incremental_sync_runs_while_a_first_full_sync_is_open(
    small: Simulated, connect: Connect, database: Database
) -> None:
    """It covers what is new since the full one started, which covers the rest once it completes."""
    engine = connect(small)
    walk(engine, small.page.id, max_conversations=60)
    small.world.inject(small.page, 220, "new", datetime.now(UTC))

    between = walk(engine, small.page.id, mode="incremental")

    assert (between.mode, between.events > 0, between.has_more) == ("incremental", True, False)
    assert pages.get_page(database, small.page.id).watermark is None
    assert pages.get_page(database, small.page.id).last_synced_at is None
    last = walk(engine, small.page.id)
    assert (last.mode, last.has_more) == ("full", False)
    assert stored(database) == truth(small)
    watermark = pages.get_page(database, small.page.id).watermark
    assert watermark is not None
    assert watermark > datetime(2026, 6, 1, tzinfo=UTC), "what the incremental sync covered counts"


def test_the_second_of_two_concurrent_syncs_of_a_page_fails_as_in_progress(
    simulate: Simulate, connect: Connect, database: Database
) -> None:
    simulated = simulate(conversations=230, latency=0.05)
    engine = connect(simulated)
    both = threading.Barrier(2)
    ended: dict[str, SyncResult | SyncInProgress] = {}

    def run(run_id: str) -> None:
        both.wait()
        try:
            ended[run_id] = walk(engine, simulated.page.id, run_id=run_id)
        except SyncInProgress as error:
            ended[run_id] = error

    threads = [threading.Thread(target=run, args=(name,)) for name in ("one", "other")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    [winner] = [name for name, end in ended.items() if isinstance(end, SyncResult)]
    [refusal] = [end for end in ended.values() if isinstance(end, SyncInProgress)]
    assert f"is being walked by run {winner} since 20" in str(refusal)
    assert refusal.exit_code == 4
    assert stored(database) == truth(simulated)
    assert rows(database, "select * from sync_locks") == []


def test_a_run_whose_lease_was_taken_cannot_write(
    small: Simulated, connect: Connect, database: Database
) -> None:
    engine = connect(small)
    with held_lease(database, small.page.id, "first") as fence:
        session = sessions.open_session(database, small.page.id, fence, "auto", "first", None)
        assert session is not None
        with database.transaction() as connection:
            connection.execute("update sync_locks set expires_at = now() - interval '1 second'")
        walk(engine, small.page.id, run_id="second", max_conversations=50)
        before = stored(database)
        response = {"conversations": [], "threads": [], "fetched": 1}
        with pytest.raises(LeaseLost, match="the lease on page"):
            load.load_response(
                database, session.sync_session_id, fence, 1, load.encode_response(response)
            )
    assert stored(database) == before


def test_a_dead_token_marks_its_page_and_no_other(
    simulate: Simulate, connect: Connect, database: Database
) -> None:
    simulated = simulate(conversations=230, pages=2)
    engine = connect(simulated)
    dead, alive = simulated.pages
    walk(engine, dead.id, max_conversations=60)
    dead.access = "expired"

    with pytest.raises(PageOwnerMustAct, match="Session has expired") as caught:
        walk(engine, dead.id)
    assert caught.value.exit_code == 5
    let_a_minute_pass(database)
    with pytest.raises(PageOwnerMustAct):
        walk(engine, dead.id)
    assert pages.get_page(database, dead.id).status == "needs_reauthorization"
    with pytest.raises(PageOwnerMustAct, match=r"needs re-authorization: .*pages add"):
        walk(engine, dead.id)
    assert not walk(engine, alive.id).has_more

    # With a new token the session is resumed.
    dead.access = "valid"
    connect(simulated)
    result = walk(engine, dead.id)
    assert (result.mode, result.fetched, result.has_more) == ("full", 170, False)
    assert stored(database) == truth(simulated)


def test_the_error_for_an_unknown_page_names_it(
    database: Database, simulate: Simulate, connect: Connect
) -> None:
    with pytest.raises(UnknownPage, match="Page 12345 is not in the registry"):
        walk(connect(simulate()), "12345")


def test_a_page_without_threads_is_complete(
    simulate: Simulate, connect: Connect, database: Database
) -> None:
    simulated = simulate(conversations=1)
    simulated.page.order.clear()
    engine = connect(simulated)
    assert walk(engine, simulated.page.id).mode == "full"
    assert walk(engine, simulated.page.id).mode == "incremental"
    assert stored(database) == Counter()


def test_resuming_a_completed_session_does_nothing(small: Simulated, connect: Connect) -> None:
    engine = connect(small)
    session = UUID(walk(engine, small.page.id).sync_session_id)
    result = walk(engine, small.page.id, session=session)
    assert (result.has_more, result.fetched) == (False, 0)
    with pytest.raises(UnknownSession):
        walk(engine, small.page.id, session=UUID(int=1))


def test_an_unusable_record_is_quarantined_and_the_rest_is_loaded(
    small: Simulated, connect: Connect, database: Database
) -> None:
    world, page = small.world, small.page
    bad = world.messages(page, 3, None, 1)[0]
    good_time, bad["created_time"] = bad["created_time"], "yesterday"

    result = walk(connect(small), page.id)

    assert (result.quarantined, result.failed_batches, result.has_more) == (1, 1, False)
    [(source, identity, reason, record)] = rows(
        database, "select source, identity, reason, record from quarantined_records"
    )
    assert (source, identity) == ("sync", bad["id"])
    assert "created_time: Input should be a valid datetime" in reason
    assert record["created_time"] == "yesterday"
    assert page.token not in str(record)
    bad["created_time"] = good_time
    missing = truth(small) - stored(database)
    assert [entry[2] for entry in missing] == [bad["id"]]


def test_an_answer_that_is_mostly_unusable_is_not_loaded(
    small: Simulated, connect: Connect, database: Database
) -> None:
    """Meta changed something: continuing would lose most of what follows."""
    world, page = small.world, small.page
    for number in range(len(page.lengths)):
        for message in world.messages(page, number, None, 10_000):
            message["created_time"] = "yesterday"
    with pytest.raises(UnexpectedAnswer, match="Meta changed something"):
        walk(connect(small), page.id)
    assert stored(database) == Counter()
    assert rows(database, "select step, last_cursor from sync_state") == [(0, None)]


# -- What a run leaves behind, and changes during a run --------------------------------------------


def test_text_with_escapes_nul_and_half_an_emoji_is_stored(
    small: Simulated, connect: Connect, database: Database
) -> None:
    for text in (r"C strings end with \u0000", r"\\u0000", "half an emoji \ud83d", "NUL \x00 here"):
        small.world.inject(small.page, 0, text, datetime.now(UTC))
    walk(connect(small), small.page.id)
    texts = {text for *_, text in stored(database)}
    assert {
        r"C strings end with \u0000",
        r"\\u0000",
        "half an emoji \ufffd",
        "NUL \ufffd here",
    } <= texts


def test_a_page_whose_syncs_fail_is_retried_with_growing_pauses(
    small: Simulated, connect: Connect, database: Database
) -> None:
    engine = connect(small)
    for message in small.world.messages(small.page, 0, None, 5):
        message["created_time"] = "never"
    small.page.order = [key for key in small.page.order if key.number == 0]
    waits = []
    for number in range(6):
        with pytest.raises(UnexpectedAnswer):
            walk(engine, small.page.id, run_id=f"run-{number}")
        waits += rows(
            database, "select extract(epoch from not_before - now())::int from sync_state"
        )
        rows(database, "update sync_state set not_before = now() returning 1")
        assert sessions.request_continuations(database, [])
    assert waits[0][0] <= 30
    assert waits[-1][0] > 400
    assert pages.list_due_pages(database) == []


def test_a_page_whose_token_cannot_be_decrypted_is_not_due_at_once(
    small: Simulated, connect: Connect, database: Database
) -> None:
    engine = replace(connect(small), vault=TokenVault([new_key()]))
    with pytest.raises(ConfigurationError):
        walk(engine, small.page.id)
    assert pages.list_due_pages(database) == []


def test_a_full_sync_restores_deleted_conversation_rows(
    small: Simulated, connect: Connect, database: Database
) -> None:
    engine = connect(small)
    walk(engine, small.page.id)
    rows(database, "delete from messenger_conversations where message_count > 30 returning 1")
    result = walk(engine, small.page.id, mode="full")
    assert result.inserted > 0
    assert stored(database) == truth(small)


def test_a_gap_keeps_its_contact_when_an_answer_has_no_participants(
    small: Simulated, connect: Connect, database: Database
) -> None:
    engine = connect(small)
    walk(engine, small.page.id, max_conversations=200)
    page_id = small.page.id
    [(thread_id, session_id, step)] = rows(
        database, "select thread_id, s.sync_session_id, s.step from thread_gaps"
        " join sync_state s using (sync_session_id) limit 1",
    )  # fmt: skip
    bare: Thread = {"id": thread_id, "updated_time": datetime.now(UTC)}
    known = sessions.list_thread_states(database, page_id, [thread_id], session_id)
    plan = plan_threads([bare], known, Page(page_id, "initial_sync"), datetime.now(UTC))
    with held_lease(database, page_id, "run") as fence:
        moved = {"threads": plan.threads}
        load.load_response(database, session_id, fence, step, load.encode_response(moved))
    walk(engine, page_id)
    assert stored(database) == truth(small)


def test_an_incremental_sync_does_not_satisfy_a_request_for_a_full_one(
    small: Simulated, connect: Connect, database: Database
) -> None:
    engine = connect(small)
    walk(engine, small.page.id, max_conversations=60)
    small.world.inject(small.page, 220, "new", datetime.now(UTC))
    between = walk(engine, small.page.id, mode="incremental", max_conversations=1)
    assert not walk(engine, small.page.id).has_more
    rows(database, "update facebook_pages set last_synced_at = null returning 1")
    walk(engine, small.page.id, session=UUID(between.sync_session_id))
    assert pages.get_page(database, small.page.id).last_synced_at is None


def test_last_synced_at_is_when_a_resumed_session_started_not_when_it_ended(
    small: Simulated, connect: Connect, database: Database
) -> None:
    engine = connect(small)
    walk(engine, small.page.id, max_conversations=60)
    rows(database, "update sync_state set started_at = now() - interval '2 days' returning 1")
    assert not walk(engine, small.page.id).has_more
    page = pages.get_page(database, small.page.id)
    assert page.last_synced_at is not None
    assert datetime.now(UTC) - page.last_synced_at > timedelta(days=1)
    assert pages.list_due_pages(database) == [small.page.id]


def during_a_walk(
    engine: Engine, simulated: Simulated, happens: Callable[[], object]
) -> pytest.ExceptionInfo[PageOwnerMustAct]:
    """Call `happens` once a run has its session; then let its token die."""
    pace_calls: list[object] = []

    class Interrupted(GraphApi):
        def client(self, token: str, pace: Pace = Unpaced()) -> GraphClient:  # noqa: B008
            class Before(Unpaced):
                def wait(self) -> None:
                    if not pace_calls:
                        pace_calls.append(happens())
                        simulated.page.access = "expired"
                    pace.wait()

            return super().client(token, Before())

    graph = Interrupted(engine.graph.url, engine.graph.version)
    with pytest.raises(PageOwnerMustAct) as caught:
        walk(replace(engine, graph=graph), simulated.page.id)
    return caught


def test_a_run_with_an_old_token_does_not_mark_a_page_that_has_a_new_one(
    small: Simulated, connect: Connect, database: Database
) -> None:
    engine = connect(small)
    during_a_walk(engine, small, lambda: connect(small))
    assert pages.get_page(database, small.page.id).status == "active"


def test_a_page_removed_during_a_run_stays_removed(
    small: Simulated, connect: Connect, database: Database
) -> None:
    engine, page_id = connect(small), small.page.id
    during_a_walk(engine, small, lambda: pages.set_page_status(database, page_id, "removed"))
    assert pages.get_page(database, page_id).status == "removed"
    assert pages.list_pages(database) == []


def test_a_run_whose_lease_was_lost_does_not_mark_the_page(
    small: Simulated, connect: Connect, database: Database
) -> None:
    engine, page_id = connect(small), small.page.id

    def lose() -> None:
        rows(database, "update sync_locks set expires_at = now() returning 1")
        database.call("take_lease", page_id=page_id, locked_by="other", seconds=60)

    during_a_walk(engine, small, lose)
    assert pages.get_page(database, page_id).status == "active"


def test_pages_can_be_removed_by_registry_id_and_paused_pages_stay_paused(
    small: Simulated, connect: Connect, database: Database
) -> None:
    connect(small)
    page = pages.get_page(database, small.page.id)
    pages.set_page_status(database, page.facebook_page_id, "paused")
    connect(small)
    assert pages.get_page(database, small.page.id).status == "paused"
    pages.set_page_status(database, str(page.id), "removed")
    assert pages.get_page(database, small.page.id).status == "removed"
    with pytest.raises(UnknownPage):
        pages.set_page_status(database, str(page.id), "removed")


def test_a_thread_whose_id_holds_nul_is_unknown(
    small: Simulated, connect: Connect, database: Database
) -> None:
    """PostgreSQL's text cannot hold NUL: looking it up would fail the whole answer."""
    result = walk(connect(small), small.page.id)
    known = small.world.thread_id(small.page, 0)
    ids = ["t_\0", known]
    found = sessions.list_thread_states(database, small.page.id, ids, UUID(result.sync_session_id))
    assert [*found] == [known]
