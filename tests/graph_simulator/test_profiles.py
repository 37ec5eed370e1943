"""Profiles of contacts."""

from collections.abc import Callable

import pytest

from graph_simulator.profiles import is_withheld
from tests.conftest import Simulated
from tests.graph_simulator.asking import ask, ask_thread, error


@pytest.fixture
def simulated(simulate: Callable[..., Simulated]) -> Simulated:
    return simulate(conversations=60, pages=2)


def contacts(simulated: Simulated, page: int = 0) -> list[str]:
    own = simulated.pages[page]
    return [simulated.world.contact(own, number)["id"] for number in range(len(own.lengths))]


def test_a_profile_has_the_names_that_the_participants_have(simulated: Simulated) -> None:
    told = 0
    for number, contact_id in enumerate(contacts(simulated)):
        fields = "first_name,last_name,name,profile_pic"
        answer = ask(simulated, contact_id, fields=fields)
        if is_withheld(contact_id):
            continue
        told += 1
        profile = answer.json()
        thread = ask_thread(simulated, number, fields="participants").json()
        assert profile.keys() == {"id", "first_name", "last_name", "name", "profile_pic"}
        assert (profile["id"], profile["name"]) == (
            contact_id,
            thread["participants"]["data"][0]["name"],
        )
        assert f"{profile['first_name']} {profile['last_name']}" == profile["name"]
        assert contact_id in profile["profile_pic"]
    assert told > 50


def test_about_one_in_twenty_is_refused_and_always_the_same(simulated: Simulated) -> None:
    withheld = [one for one in contacts(simulated) if is_withheld(one)]
    assert withheld
    for contact_id in withheld * 2:
        assert error(ask(simulated, contact_id)) == (400, 100, 2018218)
    many = [str(6_000_000_000_000_000 + number) for number in range(4000)]
    assert 0.03 < sum(map(is_withheld, many)) / len(many) < 0.07


def test_only_what_is_asked_for_is_answered(simulated: Simulated) -> None:
    contact_id = next(one for one in contacts(simulated) if not is_withheld(one))
    names = ask(simulated, contact_id, fields="first_name").json()
    assert names.keys() == {"id", "first_name"}
    assert ask(simulated, contact_id).json().keys() == {
        "id", "first_name", "last_name", "profile_pic",
    }  # fmt: skip
    assert error(ask(simulated, contact_id, fields="shoe_size")) == (400, 100, None)


def test_contacts_of_another_page_and_of_none_are_not_found(simulated: Simulated) -> None:
    other = next(one for one in contacts(simulated, page=1) if not is_withheld(one))
    assert ask(simulated, other, page=1).ok
    for contact_id in (other, "7", simulated.pages[1].id):
        assert error(ask(simulated, contact_id)) == (400, 100, 33)


def test_a_contact_of_a_new_thread_has_a_profile_too(simulated: Simulated) -> None:
    known = len(simulated.page.lengths)
    for _ in range(5):
        simulated.backstage("POST", "messages", {"page": simulated.page.id})
    new = [one for one in contacts(simulated)[known:] if not is_withheld(one)]
    assert all(ask(simulated, contact_id).ok for contact_id in new)
    assert len(new) > 2


def test_faults_hit_profile_calls_too(simulated: Simulated) -> None:
    contact_id = next(one for one in contacts(simulated) if not is_withheld(one))
    simulated.fault("code_2", edge="profile")
    assert ask_thread(simulated).ok
    assert error(ask(simulated, contact_id)) == (500, 2, None)
    assert ask(simulated, contact_id).ok
