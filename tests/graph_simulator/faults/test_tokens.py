"""Faults of tokens and permissions that begin in the middle of a walk."""

from collections.abc import Callable

import pytest

from tests.conftest import Simulated
from tests.graph_simulator.graph_calls import error, get, get_list, get_messages, get_thread

ERRORS = {
    "token_expired": (400, 190, 463),
    "token_checkpoint": (400, 190, 459),
    "token_password_changed": (400, 190, 460),
    "app_removed": (400, 190, 458),
    "permission_revoked": (403, 230, None),
    "permission_missing": (403, 10, None),
    "sending_restricted": (403, 10, 1893063),
    "contact_terms": (500, 2, 2018344),
    "request_unsupported": (400, 100, None),
    "blocked": (400, 368, 1390008),
    "bad_proof": (400, 100, None),
}
OTHERS = ("thread_permission_lost",)


@pytest.fixture
def simulated(simulate: Callable[..., Simulated]) -> Simulated:
    return simulate(conversations=30, pages=2)


@pytest.mark.parametrize("name", ERRORS)
def test_access_ends_after_some_calls_until_the_faults_are_cleared(
    simulated: Simulated, name: str
) -> None:
    simulated.fault(name, page=simulated.page.id, after=2)
    assert [get_list(simulated).ok for _ in range(2)] == [True, True]
    for response in (get_list(simulated), get_thread(simulated), get(simulated, simulated.page.id)):
        assert error(response) == ERRORS[name]
    assert get_list(simulated, page=1).ok
    simulated.clear_faults()
    assert get_list(simulated).ok


@pytest.mark.parametrize("name", ERRORS)
def test_debug_token_reports_invalidated_tokens(simulated: Simulated, name: str) -> None:
    def valid() -> bool:
        query = {"input_token": simulated.page.token}
        return bool(get(simulated, "debug_token", **query).json()["data"]["is_valid"])

    simulated.fault(name, after=1)
    assert valid()
    get_list(simulated)
    assert valid() is (ERRORS[name][1] != 190)


def test_a_lost_permission_on_threads_looks_like_a_deletion(simulated: Simulated) -> None:
    simulated.fault("thread_permission_lost")
    assert error(get_thread(simulated)) == (400, 100, 33)
    assert error(get_messages(simulated)) == (400, 100, 33)
    assert len(get_list(simulated, limit=100).json()["data"]) == 30
