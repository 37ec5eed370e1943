"""What is told of tokens and subscriptions, and how it is changed under /_simulator."""

import time
from collections.abc import Callable
from typing import Any

import pytest
import requests

from graph_simulator.answers import APP_ID
from tests.conftest import Simulated
from tests.graph_simulator.asking import ask, ask_list, error

SECRET = "the app's secret"


@pytest.fixture
def simulated(simulate: Callable[..., Simulated]) -> Simulated:
    return simulate(conversations=3, pages=2)


def debug(simulated: Simulated, **query: Any) -> Any:
    asked = {"input_token": simulated.page.token, **query}
    return ask(simulated, "debug_token", page=1, **asked).json()["data"]


def set_token(simulated: Simulated, **asked: Any) -> None:
    simulated.backstage("POST", f"pages/{simulated.page.id}/token", asked)


def apps(simulated: Simulated, fields: str = "id,subscribed_fields") -> Any:
    return ask(simulated, f"{simulated.page.id}/subscribed_apps", fields=fields).json()["data"]


def test_a_token_is_told_with_its_times(simulated: Simulated) -> None:
    told = debug(simulated)
    assert (told["is_valid"], told["expires_at"], told["data_access_expires_at"]) == (True, 0, 0)
    soon = int(time.time()) + 3600
    set_token(simulated, expires_at=soon, data_access_expires_at=soon + 1)
    told = debug(simulated)
    assert (told["is_valid"], told["expires_at"]) == (True, soon)
    assert told["data_access_expires_at"] == soon + 1
    assert ask_list(simulated).ok


def test_a_token_dies_at_its_time(simulated: Simulated) -> None:
    set_token(simulated, expires_at=int(time.time()) - 1)
    assert debug(simulated)["is_valid"] is False
    assert error(ask_list(simulated)) == (400, 190, 463)
    assert error(ask(simulated, "debug_token", input_token="x")) == (400, 190, 463), (
        "nor may it ask"
    )
    set_token(simulated, expires_at=0)
    assert ask_list(simulated).ok


def test_an_unknown_token_is_not_valid(simulated: Simulated) -> None:
    told = debug(simulated, input_token="nobody's")
    assert told["is_valid"] is False
    assert told["error"]["code"] == 190


def test_the_app_may_ask_of_each_token(simulate: Callable[..., Simulated]) -> None:
    simulated = simulate(conversations=3, app_secret=SECRET)

    def ask_as(asker: str) -> requests.Response:
        return requests.get(
            f"{simulated.url}/v26.0/debug_token",
            {"input_token": simulated.page.token},
            headers={"Authorization": f"Bearer {asker}"},
            timeout=30,
        )

    set_token(simulated, state="expired")
    assert ask_as(f"{APP_ID}|{SECRET}").json()["data"]["is_valid"] is False
    assert error(ask_as(f"{APP_ID}|another")) == (400, 190, None)


def test_a_subscription_is_told_as_it_was_set(simulated: Simulated) -> None:
    [app] = apps(simulated)
    assert app["id"] == APP_ID
    assert "messages" in app["subscribed_fields"]
    path = f"pages/{simulated.page.id}/subscription"
    simulated.backstage("POST", path, {"subscribed": True, "fields": ["message_reads"]})
    assert apps(simulated) == [{"id": APP_ID, "subscribed_fields": ["message_reads"]}]
    assert apps(simulated, fields="id") == [{"id": APP_ID}]
    simulated.backstage("POST", path, {"subscribed": False})
    assert apps(simulated) == []
    simulated.backstage("POST", path, {"subscribed": True})
    assert "messages" in apps(simulated)[0]["subscribed_fields"]
