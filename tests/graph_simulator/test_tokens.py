"""Tokens and permissions that end in the middle of a walk."""

from collections.abc import Callable

import pytest

from tests.conftest import Simulated
from tests.graph_simulator.asking import ask, ask_list, ask_messages, ask_thread, error

ANSWERS = {
    "token_expired": (400, 190, 463),
    "token_checkpoint": (400, 190, 459),
    "token_password": (400, 190, 460),
    "app_removed": (400, 190, 458),
    "permission_revoked": (403, 230, None),
    "permission_missing": (403, 10, None),
    "blocked": (400, 368, 1390008),
    "bad_proof": (400, 100, None),
}
OTHERS = ("thread_permission_lost",)


@pytest.fixture
def simulated(simulate: Callable[..., Simulated]) -> Simulated:
    return simulate(conversations=30, pages=2)


@pytest.mark.parametrize("name", ANSWERS)
def test_access_ends_after_some_calls_and_for_good(simulated: Simulated, name: str) -> None:
    simulated.fault(name, page=simulated.page.id, after=2)
    assert [ask_list(simulated).ok for _ in range(2)] == [True, True]
    for answer in (ask_list(simulated), ask_thread(simulated), ask(simulated, simulated.page.id)):
        assert error(answer) == ANSWERS[name]
    assert ask_list(simulated, page=1).ok
    simulated.clear_faults()
    assert ask_list(simulated).ok


@pytest.mark.parametrize("name", ANSWERS)
def test_debug_token_knows_which_tokens_are_dead(simulated: Simulated, name: str) -> None:
    def valid() -> bool:
        asked = {"input_token": simulated.page.token}
        return bool(ask(simulated, "debug_token", **asked).json()["data"]["is_valid"])

    simulated.fault(name, after=1)
    assert valid()
    ask_list(simulated)
    assert valid() is (ANSWERS[name][1] != 190)


def test_a_lost_permission_on_threads_looks_like_deletion(simulated: Simulated) -> None:
    simulated.fault("thread_permission_lost")
    assert error(ask_thread(simulated)) == (400, 100, 33)
    assert error(ask_messages(simulated)) == (400, 100, 33)
    assert len(ask_list(simulated, limit=100).json()["data"]) == 30
