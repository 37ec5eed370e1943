"""What Meta refuses several pages at once is the app's, what it refuses one page is that page's."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import stamina

from messenger_pipeline.db import pages
from messenger_pipeline.db.gaps import list_set_aside_gaps
from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.refusals import record_page_answer, record_page_refusal
from messenger_pipeline.engine import Engine
from messenger_pipeline.errors import (
    ContactTermsNotAccepted,
    PageOwnerMustAct,
    RequestUnsupported,
    TokenDead,
)
from tests.alerting.evaluation import alert, kinds, kinds_once_closed
from tests.conftest import Simulated
from tests.walking import Connect, Simulate, let_a_minute_pass, rows, stored, truth, walk

ONES = ("app_removed", "permission_missing", "request_unsupported")
"""Errors that look permanent, and that all pages meet if it is the app that Meta refuses."""


@pytest.fixture(autouse=True)
def _retry_at_once() -> Iterator[None]:
    with stamina.set_testing(True, attempts=3, cap=True):
        yield


@pytest.fixture
def four(simulate: Simulate) -> Simulated:
    return simulate(conversations=20, pages=4)


def statuses(database: Database) -> set[str]:
    return {page.status for page in pages.list_pages(database)}


def let_the_pause_pass(database: Database) -> None:
    rows(database, "update graph_api_budget set blocked_until = now() returning 1")
    let_a_minute_pass(database)


def refuse_all(engine: Engine, simulated: Simulated) -> list[str | None]:
    """Sync all pages; returns why each run stopped, None if it failed."""
    stopped: list[str | None] = []
    for page in simulated.pages:
        try:
            stopped.append(walk(engine, page.id).stopped)
        except (PageOwnerMustAct, RequestUnsupported):
            stopped.append(None)
    return stopped


@pytest.mark.parametrize("name", ONES)
def test_an_error_of_several_pages_at_once_pauses_the_app_and_is_one_alert(
    four: Simulated, connect: Connect, database: Database, name: str
) -> None:
    engine = connect(four)
    four.fault(name)
    first, second, third, fourth = refuse_all(engine, four)
    assert (first, second) == (None, None), "two pages may be two pages"
    assert "Meta refuses the app's calls for several pages" in str(third)
    assert "see the alert app_refused. Meta's words: " in str(fourth)
    assert "rate limited" not in str(fourth), "the reason is another one"
    assert str(fourth).partition(": see")[2] == str(third).partition(": see")[2]
    calls = len(four.calls())
    let_a_minute_pass(database)
    assert None not in refuse_all(engine, four)
    assert len(four.calls()) == calls, "no page calls during the pause"

    assert statuses(database) == {"active"}
    assert kinds(database) == [("app_refused", None)]
    found = alert(database, "app_refused")
    assert found.severity == "error"
    assert "3 pages met the same error since" in found.summary
    assert "There are 4 active pages" in found.summary
    assert rows(database, "select 1 from thread_gaps where unreadable") == []


@pytest.mark.parametrize("name", ONES)
def test_the_first_refusal_of_a_page_says_that_it_is_tried_again(
    four: Simulated, connect: Connect, database: Database, name: str
) -> None:
    engine, page_id = connect(four), four.pages[0].id
    four.fault(name)
    with pytest.raises((PageOwnerMustAct, RequestUnsupported)) as caught:
        walk(engine, page_id)
    assert str(caught.value).startswith(f"Meta refuses page {page_id}: ")
    assert "It is tried again by itself." in str(caught.value)
    assert statuses(database) == {"active"}


@pytest.mark.parametrize("name", ONES)
def test_the_first_answer_ends_the_refusal_of_the_app(
    four: Simulated, connect: Connect, database: Database, name: str
) -> None:
    engine = connect(four)
    four.fault(name)
    refuse_all(engine, four)
    pauses = (
        "select pauses, ceil(extract(epoch from b.blocked_until - now()) / 60)::int from"
        " app_refusals cross join graph_api_budget b where scope like 'refused:%'"
    )
    assert rows(database, pauses) == [(1, 5)]
    let_the_pause_pass(database)
    assert None not in refuse_all(engine, four)
    assert rows(database, pauses) == [(2, 10)]

    four.clear_faults()
    let_the_pause_pass(database)
    assert {walk(engine, page.id).outcome for page in four.pages} == {"completed"}
    assert stored(database) == truth(four)
    assert kinds_once_closed(database) == []
    assert rows(database, "select 1 from page_refusals") == []
    assert rows(database, "select 1 from graph_api_budget where scope like 'refused:%'") == []


def test_an_error_of_two_pages_of_four_is_theirs(
    four: Simulated, connect: Connect, database: Database
) -> None:
    engine = connect(four)
    for page in four.pages[:2]:
        four.fault("token_expired", page=page.id)
    for _ in range(2):
        refuse_all(engine, four)
        let_a_minute_pass(database)
    found = [page.status for page in pages.list_pages(database)]
    assert found == ["needs_reauthorization"] * 2 + ["active"] * 2
    assert [kind for kind, _ in kinds(database)] == ["page_needs_reauthorization"] * 2


def test_pages_that_were_switched_off_before_the_others_met_the_error_are_active_again(
    four: Simulated, connect: Connect, database: Database
) -> None:
    engine, first = connect(four), four.page.id
    four.fault("app_removed")
    for _ in range(2):
        with pytest.raises(TokenDead):
            walk(engine, first)
        let_a_minute_pass(database)
    assert pages.get_page(database, first).status == "needs_reauthorization"
    refuse_all(engine, four)
    assert statuses(database) == {"active"}
    assert kinds(database) == [("app_refused", None)]


def test_three_pages_of_one_owner_hold_up_the_others_once(
    four: Simulated, connect: Connect, database: Database
) -> None:
    """An answer shows that the app is not refused. Then three pages are no longer enough."""
    engine = connect(four)
    for page in four.pages[:3]:
        four.fault("token_password_changed", page=page.id)
    refuse_all(engine, four)
    assert kinds(database) == [("app_refused", None)]
    let_the_pause_pass(database)
    assert walk(engine, four.pages[3].id).outcome == "completed"
    for _ in range(2):
        refuse_all(engine, four)
        let_a_minute_pass(database)
    found = [page.status for page in pages.list_pages(database)]
    assert found == ["needs_reauthorization"] * 3 + ["active"]
    assert [kind for kind, _ in kinds_once_closed(database)] == ["page_needs_reauthorization"] * 3


def test_a_new_token_is_tried_at_once(
    four: Simulated, connect: Connect, database: Database
) -> None:
    engine = connect(four)
    four.fault("app_removed")
    refuse_all(engine, four)
    four.clear_faults()
    connect(four)
    assert walk(engine, four.page.id).outcome == "completed"


def test_of_pages_that_meet_an_error_at_the_same_time_none_is_overlooked(
    database: Database,
) -> None:
    with ThreadPoolExecutor(4) as workers:
        paused = list(
            workers.map(
                lambda page: record_page_refusal(database, page, "1", "190/458", "removed"), "abcd"
            )
        )
    assert sum(seconds is None for seconds in paused) == 2
    record_page_answer(database, "e", "other app")
    assert rows(database, "select pages from app_refusals where answered_at is null") == [(4,)]
    record_page_answer(database, "e", "1")
    assert rows(database, "select 1 from page_refusals") == []


def test_different_errors_of_several_pages_are_theirs(database: Database) -> None:
    errors = zip("abcd", ["190/458", "190/460", "10", "unsupported"], strict=True)
    found = [record_page_refusal(database, page, "1", error, "refused") for page, error in errors]
    assert found == [None] * 4


def test_a_page_whose_admin_must_accept_terms_resumes_by_itself(
    four: Simulated, connect: Connect, database: Database
) -> None:
    engine, page = connect(four), four.page
    four.fault("contact_terms")
    for each in four.pages:
        with pytest.raises(ContactTermsNotAccepted, match="Page Contact Terms") as caught:
            walk(engine, each.id)
        assert caught.value.exit_code == 5
        let_a_minute_pass(database)
    assert len(four.calls()) == 2 * len(four.pages), "the list, and the control call"
    assert statuses(database) == {"active"}, "a new token would not help"
    [(hour,)] = rows(
        database,
        "select extract(epoch from not_before - now()) / 3600 from sync_state"
        f" where page_id = '{page.id}'",
    )
    assert 0.9 < hour <= 1
    rows(database, "update sync_state set idle_attempts = 5 returning 1")
    assert kinds(database) == [
        ("page_terms_not_accepted", each.id) for each in sorted(four.pages, key=lambda one: one.id)
    ]

    four.clear_faults()
    assert {walk(engine, each.id).outcome for each in four.pages} == {"completed"}
    assert kinds_once_closed(database) == []
    assert stored(database) == truth(four)


def test_a_page_that_may_not_send_is_read_and_has_an_alert(
    simulate: Simulate, connect: Connect, database: Database
) -> None:
    simulated = simulate(conversations=20)
    simulated.fault("long_thread", thread=0, messages=100)
    engine = connect(simulated)
    simulated.fault("sending_restricted", edge="messages")
    assert walk(engine, simulated.page.id).outcome == "completed"
    assert {gap.state for gap in list_set_aside_gaps(database)} == {"put_off"}
    assert pages.get_page(database, simulated.page.id).status == "active"
    assert ("page_restricted", simulated.page.id) in kinds(database)

    simulated.clear_faults()
    rows(database, "update thread_gaps set not_before = now() returning 1")
    walk(engine, simulated.page.id)
    assert stored(database) == truth(simulated)


@pytest.mark.parametrize("name", ["request_unsupported", "contact_terms"])
def test_what_is_not_an_objects_error_leaves_no_thread_unreadable(
    simulate: Simulate, connect: Connect, database: Database, name: str
) -> None:
    simulated = simulate(conversations=20)
    simulated.fault("long_thread", thread=0, messages=100)
    engine = connect(simulated)
    simulated.fault(name, edge="messages")
    assert walk(engine, simulated.page.id).outcome == "completed"
    assert {gap.state for gap in list_set_aside_gaps(database)} == {"put_off"}
    simulated.clear_faults()
    rows(database, "update thread_gaps set not_before = now() returning 1")
    walk(engine, simulated.page.id)
    assert stored(database) == truth(simulated)


def test_a_page_that_was_removed_is_no_sign_that_meta_refuses_the_app(
    simulate: Simulate, connect: Connect, database: Database
) -> None:
    simulated = simulate(conversations=3, pages=3)
    engine = connect(simulated)
    simulated.fault("token_expired")
    first, *others = simulated.pages
    with pytest.raises(TokenDead):
        walk(engine, first.id)
    pages.set_page_status(database, first.id, "removed")
    for _ in range(2):
        for page in others:
            with pytest.raises(TokenDead):
                walk(engine, page.id)
        let_a_minute_pass(database)
    assert statuses(database) == {"needs_reauthorization"}
