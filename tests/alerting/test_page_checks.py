"""The daily check of tokens and subscriptions, against the simulator."""

import logging
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stamina

from graph_simulator.bodies import APP_ID
from messenger_pipeline.alerting.page_checks import check_page, check_pages
from messenger_pipeline.db import pages
from messenger_pipeline.db.page_checks import list_pages_to_check
from messenger_pipeline.db.pages import get_page
from messenger_pipeline.engine import Engine
from messenger_pipeline.graph.client import GraphApi
from messenger_pipeline.vault import TokenVault, new_key
from tests.alerting.evaluation import kinds
from tests.conftest import Simulated
from tests.db.test_load import query
from tests.walking import Connect, Simulate, let_a_minute_pass

SECRET = "the secret of the app"


@pytest.fixture(autouse=True)
def _retry_at_once() -> Any:
    with stamina.set_testing(True, attempts=3, cap=True):
        yield


@pytest.fixture
def simulated(simulate: Simulate) -> Simulated:
    return simulate(conversations=3, pages=3, app_secret=SECRET)


@pytest.fixture
def engine(connect: Connect, simulated: Simulated) -> Engine:
    """An engine with an app id and secret."""
    plain = connect(simulated)
    api = GraphApi(simulated.url, "v26.0", SECRET)
    return Engine(plain.database, api, plain.vault, 10_000, APP_ID)


def check(engine: Engine, *page_ids: str) -> Any:
    return check_pages(engine, list(page_ids), threading.Event())


def stored(engine: Engine) -> list[tuple[Any, ...]]:
    return query(
        engine.database,
        "select page_id, token_valid, subscribed, 'messages' = any (subscribed_fields), error"
        " from page_checks order by page_id",
    )


def test_tokens_of_several_pages_that_are_invalid_at_once_mark_none_of_them(
    engine: Engine, simulated: Simulated
) -> None:
    ids = [page.id for page in simulated.pages]
    for page_id in ids:
        simulated.admin("POST", f"pages/{page_id}/token", {"state": "expired"})
    check(engine, *ids)
    for _ in range(2):
        let_a_minute_pass(engine.database)
        check(engine, *ids)
    assert {page.status for page in pages.list_pages(engine.database)} == {"active"}
    assert kinds(engine.database) == [("app_refused", None)]


def test_a_check_stores_the_token_and_subscription(engine: Engine, simulated: Simulated) -> None:
    page = simulated.page
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(days=50)
    simulated.admin(
        "POST",
        f"pages/{page.id}/token",
        {"expires_at": int(at.timestamp()), "data_access_expires_at": 0},
    )
    checked = check_page(engine, page.id, threading.Event())
    assert (checked.token_valid, checked.token_expires_at, checked.data_access_expires_at) == (
        True,
        at,
        None,
    )
    assert checked.scopes == ["pages_messaging", "pages_show_list"]
    [row] = query(
        engine.database, "select token_valid, token_expires_at, data_access_expires_at, scopes,"
        " subscribed, error from page_checks",
    )  # fmt: skip
    assert row == (True, at, None, checked.scopes, True, None)


@pytest.mark.parametrize("app", [APP_ID, "default", "999"])
def test_a_dead_token_marks_its_page(engine: Engine, simulated: Simulated, app: str) -> None:
    """Whether the check asks as the app, as the page because no app is configured, or as the page
    because Meta refuses the app."""
    engine = Engine(engine.database, engine.graph, engine.vault, 10_000, app)
    page, other = simulated.pages[:2]
    simulated.admin("POST", f"pages/{page.id}/token", {"state": "expired"})
    checked = check(engine, page.id, other.id)
    assert (checked.pages, checked.dead, checked.incomplete) == (2, 1, 0)
    assert check(engine, page.id).dead == 1
    assert get_page(engine.database, page.id).status == "active", "at once proves nothing"
    let_a_minute_pass(engine.database)
    check(engine, page.id)
    marked = get_page(engine.database, page.id)
    assert marked.status == "needs_reauthorization"
    assert "Session has expired" in (marked.status_reason or "")
    assert get_page(engine.database, other.id).status == "active"


def test_a_page_with_a_new_token_is_not_marked_for_the_old_one(
    engine: Engine, simulated: Simulated
) -> None:
    page = simulated.page
    old = get_page(engine.database, page.id)
    simulated.admin("POST", f"pages/{page.id}/token", {"state": "expired"})
    pages.register_page(
        engine.database, page.id, name=None, user_id=None, platform=None,
        token_encrypted=engine.vault.encrypt("a new token"),
    )  # fmt: skip
    found = engine.database.value(
        "record_page_check",
        page_id=page.id,
        token_encrypted=old.token_encrypted,
        check='{"token_valid": false}',
        dead="it expired",
    )
    assert found is False
    assert get_page(engine.database, page.id).status == "active"
    assert stored(engine) == []


def test_a_missing_permission_leaves_page_and_subscription_unchanged(
    engine: Engine, simulated: Simulated
) -> None:
    page = simulated.page
    check(engine, page.id)
    simulated.fault("permission_missing", page=page.id, edge="page")
    assert check(engine, page.id).incomplete == 1
    [(_, valid, subscribed, messages, error)] = stored(engine)
    assert (valid, subscribed, messages) == (True, True, True), "as the last check found"
    assert "does not have permission" in error
    assert get_page(engine.database, page.id).status == "active"


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("http_500", {"times": 100}),
        ("html_200", {"times": 100}),
        ("page_limit", {"times": 100, "seconds": 600}),
    ],
)
def test_a_failure_of_one_page_does_not_affect_the_others(
    engine: Engine, simulated: Simulated, name: str, parameters: dict[str, Any]
) -> None:
    first, second, third = simulated.pages
    simulated.fault(name, page=second.id, **parameters)
    checked = check(engine, first.id, second.id, third.id)
    assert (checked.pages, checked.dead, checked.incomplete) == (3, 0, 1)
    rows = {row[0]: row[1:] for row in stored(engine)}
    assert rows[first.id] == rows[third.id] == (True, True, True, None)
    assert get_page(engine.database, second.id).status == "active"
    assert second.id not in list_pages_to_check(engine.database) or name == "page_limit"


def test_a_token_that_cannot_be_decrypted_does_not_affect_the_others(
    engine: Engine, simulated: Simulated
) -> None:
    first, second, _ = simulated.pages
    pages.register_page(
        engine.database, first.id, name=None, user_id=None, platform=None,
        token_encrypted=TokenVault([new_key()]).encrypt(first.token),
    )  # fmt: skip
    assert check(engine, first.id, second.id).incomplete == 1
    rows = {row[0]: row for row in stored(engine)}
    assert rows[first.id][1] is None
    assert rows[first.id][4]
    assert rows[second.id][1:] == (True, True, True, None)


def test_pages_are_due_once_a_day_and_at_once_after_a_new_token(
    engine: Engine, simulated: Simulated
) -> None:
    ids = sorted(page.id for page in simulated.pages)
    database = engine.database
    assert list_pages_to_check(database) == ids
    check(engine, *ids)
    assert list_pages_to_check(database) == []
    assert list_pages_to_check(database, ids[1]) == [ids[1]]

    def age(page_id: str, hours: float, error: str | None = None) -> None:
        query(
            database,
            "update page_checks set checked_at = now() - make_interval(secs => %s), error = %s"
            " where page_id = %s returning 1",
            hours * 3600, error, page_id,
        )  # fmt: skip

    age(ids[0], 25)
    age(ids[1], 1.1, "no answer")
    age(ids[2], 23)
    assert list_pages_to_check(database) == [ids[0], ids[1]]
    pages.register_page(
        database, ids[2], name=None, user_id=None, platform=None,
        token_encrypted=engine.vault.encrypt("another"),
    )  # fmt: skip
    pages.set_page_status(database, ids[0], "paused")
    assert sorted(list_pages_to_check(database)) == [ids[1], ids[2]]


def test_the_check_uses_the_shared_rate_limit(engine: Engine, simulated: Simulated) -> None:
    page = simulated.page
    slow = Engine(engine.database, engine.graph, engine.vault, 4, APP_ID)
    began = datetime.now(UTC)
    check(slow, page.id)
    check(slow, page.id)
    # Four calls, a quarter of a second apart.
    assert datetime.now(UTC) - began >= timedelta(seconds=0.7)
    scopes = query(engine.database, "select scope from graph_api_budget")
    assert (f"page:{page.id}",) in scopes


def test_no_token_is_in_any_output(
    engine: Engine, simulated: Simulated, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    page = simulated.page
    check(engine, page.id)
    unreachable = Engine(
        engine.database, GraphApi("http://127.0.0.1:1", "v26.0", SECRET), engine.vault, 10_000,
        APP_ID,
    )  # fmt: skip
    check(unreachable, page.id)
    output = caplog.text + str(stored(engine))
    assert "debug_token?input_token=***" in caplog.text, "urllib3 logged the call"
    assert "No answer from" in str(stored(engine))
    assert page.token not in output
    assert SECRET not in output
