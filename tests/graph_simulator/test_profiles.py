"""Profiles of contacts."""

from collections.abc import Callable

import pytest

from graph_simulator.profiles import is_withheld
from tests.conftest import Simulated
from tests.graph_simulator.graph_calls import error, get, get_thread


@pytest.fixture
def simulated(simulate: Callable[..., Simulated]) -> Simulated:
    return simulate(conversations=60, pages=2)


def contacts(simulated: Simulated, page: int = 0) -> list[str]:
    own = simulated.pages[page]
    return [simulated.world.contact(own, number)["id"] for number in range(len(own.lengths))]


def test_a_profile_has_the_same_name_as_the_participant(simulated: Simulated) -> None:
    compared = 0
    for number, contact_id in enumerate(contacts(simulated)):
        fields = "first_name,last_name,name,profile_pic"
        response = get(simulated, contact_id, fields=fields)
        if is_withheld(contact_id):
            continue
        compared += 1
        profile = response.json()
        thread = get_thread(simulated, number, fields="participants").json()
        assert profile.keys() == {"id", "first_name", "last_name", "name", "profile_pic"}
        assert (profile["id"], profile["name"]) == (
            contact_id,
            thread["participants"]["data"][0]["name"],
        )
        assert f"{profile['first_name']} {profile['last_name']}" == profile["name"]
        assert contact_id in profile["profile_pic"]
    assert compared > 50


def test_about_one_profile_in_twenty_is_refused_and_always_the_same_ones(
    simulated: Simulated,
) -> None:
    withheld = [one for one in contacts(simulated) if is_withheld(one)]
    assert withheld
    for contact_id in withheld * 2:
        assert error(get(simulated, contact_id)) == (400, 100, 2018218)
    many = [str(6_000_000_000_000_000 + number) for number in range(4000)]
    assert 0.03 < sum(map(is_withheld, many)) / len(many) < 0.07


def test_a_profile_has_only_the_requested_fields(simulated: Simulated) -> None:
    contact_id = next(one for one in contacts(simulated) if not is_withheld(one))
    names = get(simulated, contact_id, fields="first_name").json()
    assert names.keys() == {"id", "first_name"}
    assert get(simulated, contact_id).json().keys() == {
        "id", "first_name", "last_name", "profile_pic",
    }  # fmt: skip
    assert error(get(simulated, contact_id, fields="shoe_size")) == (400, 100, None)


def test_contacts_of_another_page_and_unknown_ids_are_not_found(simulated: Simulated) -> None:
    other = next(one for one in contacts(simulated, page=1) if not is_withheld(one))
    assert get(simulated, other, page=1).ok
    for contact_id in (other, "7", simulated.pages[1].id):
        assert error(get(simulated, contact_id)) == (400, 100, 33)


def test_the_contact_of_a_new_thread_has_a_profile(simulated: Simulated) -> None:
    known = len(simulated.page.lengths)
    for _ in range(5):
        simulated.admin("POST", "messages", {"page": simulated.page.id})
    new = [one for one in contacts(simulated)[known:] if not is_withheld(one)]
    assert all(get(simulated, contact_id).ok for contact_id in new)
    assert len(new) > 2


def test_faults_apply_to_profile_calls(simulated: Simulated) -> None:
    contact_id = next(one for one in contacts(simulated) if not is_withheld(one))
    simulated.fault("code_2", edge="profile")
    assert get_thread(simulated).ok
    assert error(get(simulated, contact_id)) == (500, 2, None)
    assert get(simulated, contact_id).ok
