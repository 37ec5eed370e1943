"""Faults that change a page during a walk."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from tests.conftest import Simulated
from tests.graph_simulator.graph_calls import (
    error,
    get_list,
    get_messages,
    get_thread,
    thread_id,
    walk,
    walk_flat,
)

NAMES = (
    "reorder", "insertion", "deletion", "hidden", "unsorted", "future_time", "equal_seconds",
    "long_thread", "shared_contact", "deleted_account",
)  # fmt: skip

Simulate = Callable[..., Simulated]


@pytest.fixture
def simulated(simulate: Simulate) -> Simulated:
    return simulate(conversations=30)


def listed(simulated: Simulated) -> list[int]:
    return [key.number for key in simulated.page.order]


def truth(simulated: Simulated, **query: str) -> list[dict[str, Any]]:
    parameters = {"page": simulated.page.id, **query}
    response = requests.get(f"{simulated.url}/_simulator/truth", parameters, timeout=30)
    return [json.loads(line) for line in response.text.splitlines()]


def test_a_thread_moves_to_the_head_before_the_second_response(simulated: Simulated) -> None:
    before = listed(simulated)
    simulated.fault("reorder", after=1, thread=before[20])
    seen = walk_flat(simulated, 10)
    assert seen == [number for number in before if number != before[20]], "the walk skips it"
    assert walk(simulated, 30)[0][0] == before[20]


def test_by_default_the_last_thread_moves_to_the_head(simulated: Simulated) -> None:
    before = listed(simulated)
    simulated.fault("reorder", times=2)
    assert walk(simulated, 10)[0][0] == before[-1]
    assert sorted(listed(simulated)[:2]) == sorted(before[-2:])


def test_with_offsets_a_reorder_repeats_one_thread_and_skips_another(simulate: Simulate) -> None:
    simulated = simulate(conversations=30, cursors="offset")
    before = listed(simulated)
    simulated.fault("reorder", after=1)
    first, second, third = walk(simulated, 10)
    assert first[-1] == second[0]
    assert sorted({*first, *second, *third}) == sorted(before[:-1]), "the moved one is skipped"


def test_with_offsets_an_insertion_repeats_a_thread(simulate: Simulate) -> None:
    simulated = simulate(conversations=30, cursors="offset")
    before = listed(simulated)
    simulated.fault("insertion", after=1)
    responses = walk(simulated, 10)
    assert responses == [before[:10], before[9:19], before[19:29], before[29:]]


def test_with_offsets_a_deletion_makes_a_walk_skip_a_thread(simulate: Simulate) -> None:
    simulated = simulate(conversations=30, cursors="offset")
    before = listed(simulated)
    simulated.fault("deletion", after=1, thread=before[0])
    assert walk(simulated, 10) == [before[:10], before[11:21], before[21:]]


def test_with_positions_insertions_and_deletions_elsewhere_change_no_page(
    simulated: Simulated,
) -> None:
    before = listed(simulated)
    simulated.fault("insertion", after=1)
    simulated.fault("deletion", after=1, thread=before[9])
    assert walk(simulated, 10) == [before[:10], before[10:20], before[20:]]


def test_a_deleted_thread_is_missing_everywhere_until_it_is_restored(
    simulated: Simulated,
) -> None:
    whole = truth(simulated)
    before = listed(simulated)
    simulated.fault("deletion", thread=3)
    seen = walk_flat(simulated, 10)
    assert seen == [number for number in before if number != 3]
    assert error(get_thread(simulated, 3)) == (400, 100, 33)
    assert error(get_messages(simulated, 3)) == (400, 100, 33)
    contact = simulated.world.contact(simulated.page, 3)["id"]
    assert truth(simulated) == [row for row in whole if row["sender_id"] != contact]
    assert truth(simulated, deleted="1") == [row for row in whole if row["sender_id"] == contact]
    [page] = simulated.admin("GET", "pages")
    assert (page["conversations"], page["messages"]) == (29, len(truth(simulated)))

    simulated.world.restore(simulated.page, 3)
    assert listed(simulated) == before
    assert truth(simulated) == whole
    assert get_thread(simulated, 3).ok


def test_a_deletion_can_precede_a_call_of_the_threads_messages(simulated: Simulated) -> None:
    simulated.fault("deletion", thread=3, edge="messages", after=1)
    assert 3 in walk_flat(simulated, 10)
    assert get_messages(simulated, 3).ok
    assert error(get_messages(simulated, 3)) == (400, 100, 33)
    assert 3 not in walk_flat(simulated, 10)


def test_the_truth_includes_an_inserted_thread(simulated: Simulated) -> None:
    simulated.fault("insertion")
    head = walk(simulated, 10)[0][0]
    assert head == 30
    contact = simulated.world.contact(simulated.page, head)["id"]
    assert [row["text"] for row in truth(simulated) if row["sender_id"] == contact] == [
        "A first message during the walk"
    ]


def test_a_hidden_thread_still_answers_calls_and_a_message_lists_it_again(
    simulated: Simulated,
) -> None:
    whole, before = truth(simulated), listed(simulated)
    simulated.fault("hidden", thread=5)
    assert walk(simulated, 30) == [[number for number in before if number != 5]]
    assert get_thread(simulated, 5).ok
    assert truth(simulated) == whole
    message = {"page": simulated.page.id, "thread": thread_id(simulated, 5)}
    simulated.admin("POST", "messages", message)
    assert walk(simulated, 30)[0][0] == 5


def test_a_thread_is_hidden_after_the_calls_that_pass(simulated: Simulated) -> None:
    last = listed(simulated)[-1]
    simulated.fault("hidden", thread=last, after=1)
    assert last in walk(simulated, 30)[0]
    assert last not in walk(simulated, 30)[0]


def test_an_unsorted_list_has_each_pair_of_neighbours_swapped(simulated: Simulated) -> None:
    before = listed(simulated)
    simulated.fault("unsorted")
    swapped = [before[at ^ 1] for at in range(30)]
    assert walk_flat(simulated, 7) == swapped
    times = [thread["updated_time"] for thread in get_list(simulated, limit=30).json()["data"]]
    assert times != sorted(times, reverse=True)
    simulated.clear_faults()
    assert walk_flat(simulated, 7) == before


def test_a_thread_in_the_future_is_at_the_head(simulated: Simulated) -> None:
    before = listed(simulated)
    simulated.fault("future_time", thread=before[-1], seconds=86_400)
    head = get_list(simulated).json()["data"][0]
    assert head["id"] == thread_id(simulated, before[-1])
    time = datetime.strptime(head["updated_time"], "%Y-%m-%dT%H:%M:%S%z")
    assert time - datetime.now(UTC) > timedelta(hours=23)
    simulated.clear_faults()
    assert listed(simulated) == before


def test_equal_seconds_gives_all_messages_of_a_thread_one_time(simulated: Simulated) -> None:
    ids = [message["id"] for message in get_messages(simulated, 0).json()["data"]]
    simulated.fault("equal_seconds", thread=0)
    messages = get_messages(simulated, 0).json()["data"]
    assert [message["id"] for message in messages] == ids
    assert len(ids) > 1
    assert len({message["created_time"] for message in messages}) == 1
    ids_and_times = {row["message_id"]: row["created_time"] for row in truth(simulated)}
    assert all(ids_and_times[message["id"]] == message["created_time"] for message in messages)


def test_a_long_thread_gets_older_messages_and_keeps_its_own(simulated: Simulated) -> None:
    before = simulated.world.messages(simulated.page, 4, None, 10_000)
    simulated.fault("long_thread", thread=4, messages=20_000)
    assert get_thread(simulated, 4, fields="message_count").json()["message_count"] == 20_000
    messages = simulated.world.messages(simulated.page, 4, None, 30_000)
    assert messages[: len(before)] == before
    assert len({message["id"] for message in messages}) == 20_000
    assert len(truth(simulated)) == 20_000 + sum(simulated.page.lengths) - 20_000


def test_a_shared_contact_belongs_to_two_threads(simulated: Simulated) -> None:
    rows = len(truth(simulated))
    simulated.fault("shared_contact", thread=7, other=2)
    fields = "participants,messages.limit(100){from,to}"
    one, other = (get_thread(simulated, number, fields=fields).json() for number in (7, 2))
    assert one["id"] != other["id"]
    assert one["participants"] == other["participants"]
    contact = simulated.world.contact(simulated.page, 2)["id"]
    parties = {
        party["id"]
        for message in one["messages"]["data"]
        for party in (message["from"], *message["to"]["data"])
    }
    assert parties == {contact, simulated.page.id}
    assert len(truth(simulated)) == rows
    own = [row for row in truth(simulated) if row["sender_id"] == contact]
    assert len(own) == simulated.page.lengths[7] + simulated.page.lengths[2]


@pytest.mark.parametrize(
    ("kind", "ids"),
    [("none", {}), ("empty", {"id": ""}), ("zero", {"id": "0"}), ("number", {"id": 0})],
)
def test_a_deleted_account_has_a_name_that_all_share_and_no_id_of_its_own(
    simulated: Simulated, kind: str, ids: dict[str, Any]
) -> None:
    simulated.fault("deleted_account", thread=3, id=kind)
    body = get_thread(simulated, 3, fields="participants,messages.limit(100){from,to}").json()
    gone = {"name": "Facebook User", "email": "@facebook.com", **ids}
    assert body["participants"]["data"][0] == gone
    for message in body["messages"]["data"]:
        assert gone in (message["from"], message["to"]["data"][0])
    rows = [row for row in truth(simulated) if row["sender_id"] == thread_id(simulated, 3)]
    assert len(rows) == simulated.world.length(simulated.page, 3)
    assert {row["event_type"] for row in rows} <= {"message_sent", "message_received"}
