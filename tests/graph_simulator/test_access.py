"""debug_token and subscribed_apps report what the admin API has set."""

import time
from collections.abc import Callable
from typing import Any

import pytest
import requests

from graph_simulator.bodies import APP_ID
from tests.conftest import Simulated
from tests.graph_simulator.graph_calls import error, get, get_list

SECRET = "the app's secret"


@pytest.fixture
def simulated(simulate: Callable[..., Simulated]) -> Simulated:
    return simulate(conversations=3, pages=2)


def debug(simulated: Simulated, **query: Any) -> Any:
    parameters = {"input_token": simulated.page.token, **query}
    return get(simulated, "debug_token", page=1, **parameters).json()["data"]


def set_token(simulated: Simulated, **changes: Any) -> None:
    simulated.admin("POST", f"pages/{simulated.page.id}/token", changes)


def apps(simulated: Simulated, fields: str = "id,subscribed_fields") -> Any:
    return get(simulated, f"{simulated.page.id}/subscribed_apps", fields=fields).json()["data"]


def test_debug_token_returns_the_times_of_a_token(simulated: Simulated) -> None:
    data = debug(simulated)
    assert (data["is_valid"], data["expires_at"], data["data_access_expires_at"]) == (True, 0, 0)
    soon = int(time.time()) + 3600
    set_token(simulated, expires_at=soon, data_access_expires_at=soon + 1)
    data = debug(simulated)
    assert (data["is_valid"], data["expires_at"]) == (True, soon)
    assert data["data_access_expires_at"] == soon + 1
    assert get_list(simulated).ok


def test_a_token_is_refused_after_its_expiry_time(simulated: Simulated) -> None:
    set_token(simulated, expires_at=int(time.time()) - 1)
    assert debug(simulated)["is_valid"] is False
    assert error(get_list(simulated)) == (400, 190, 463)
    assert error(get(simulated, "debug_token", input_token="x")) == (400, 190, 463), (
        "an expired token may not call debug_token"
    )
    set_token(simulated, expires_at=0)
    assert get_list(simulated).ok


def test_an_unknown_token_is_not_valid(simulated: Simulated) -> None:
    data = debug(simulated, input_token="unknown")
    assert data["is_valid"] is False
    assert data["error"]["code"] == 190


def test_the_app_token_can_debug_each_token(simulate: Callable[..., Simulated]) -> None:
    simulated = simulate(conversations=3, app_secret=SECRET)

    def debug_as(caller: str) -> requests.Response:
        return requests.get(
            f"{simulated.url}/v26.0/debug_token",
            {"input_token": simulated.page.token},
            headers={"Authorization": f"Bearer {caller}"},
            timeout=30,
        )

    set_token(simulated, state="expired")
    assert debug_as(f"{APP_ID}|{SECRET}").json()["data"]["is_valid"] is False
    assert error(debug_as(f"{APP_ID}|another")) == (400, 190, None)


def test_subscribed_apps_returns_the_subscription_that_was_set(simulated: Simulated) -> None:
    [app] = apps(simulated)
    assert app["id"] == APP_ID
    assert "messages" in app["subscribed_fields"]
    path = f"pages/{simulated.page.id}/subscription"
    simulated.admin("POST", path, {"subscribed": True, "fields": ["message_reads"]})
    assert apps(simulated) == [{"id": APP_ID, "subscribed_fields": ["message_reads"]}]
    assert apps(simulated, fields="id") == [{"id": APP_ID}]
    simulated.admin("POST", path, {"subscribed": False})
    assert apps(simulated) == []
    simulated.admin("POST", path, {"subscribed": True})
    assert "messages" in apps(simulated)[0]["subscribed_fields"]
