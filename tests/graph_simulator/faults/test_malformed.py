"""Malformed records, in responses and in the truth."""

from collections.abc import Callable
from typing import Any

import pytest

from graph_simulator.faults.malformed import UNUSABLE
from tests.conftest import Simulated
from tests.graph_simulator.graph_calls import FIELDS, get_list, get_messages, get_thread, thread_id

Record = Any

MALFORMED = 5
"""The number of the malformed thread. It has several messages."""


def newest(thread: Record) -> Record:
    return thread["messages"]["data"][0]


def parties(thread: Record) -> Record:
    return thread["participants"]["data"]


def contact(thread: Record) -> Record:
    return parties(thread)[0]


THREADS: dict[str, Callable[[Record], bool]] = {
    "participants_null": lambda thread: thread["participants"] is None,
    "participants_missing": lambda thread: "participants" not in thread,
    "participants_without_id": lambda thread: contact(thread).keys() == {"name", "email"},
    "participants_without_name": lambda thread: contact(thread).keys() == {"id", "email"},
    "participants_bare_list": lambda thread: isinstance(thread["participants"], list),
    "participants_single_object": lambda thread: isinstance(parties(thread), dict),
    "participants_page_only": lambda thread: [one["id"][0] for one in parties(thread)] == ["1"],
    "participants_numeric_ids": lambda thread: isinstance(contact(thread)["id"], int),
    "count_too_high": lambda thread: thread["message_count"] == 43 + 7,
    "messages_null": lambda thread: thread["messages"] is None,
    "messages_missing": lambda thread: "messages" not in thread,
    "thread_without_id": lambda thread: "id" not in thread and "participants" in thread,
    "thread_without_time": lambda thread: "updated_time" not in thread and "id" in thread,
    "thread_is_null": lambda thread: thread is None,
    "thread_is_text": lambda thread: isinstance(thread, str),
    "unknown_fields": lambda thread: (
        "unknown_object" in thread
        and newest(thread)["unknown_object"]["deep"] == {"deeper": [1, {"null": None}]}
    ),
}

MESSAGES: dict[str, Callable[[Record], bool]] = {
    "message_without_from": lambda message: "from" not in message,
    "message_from_null": lambda message: message["from"] is None,
    "message_without_text": lambda message: "message" not in message,
    "message_nul": lambda message: message["message"] == "before \x00 after",
    "message_lone_surrogate": lambda message: message["message"] == "half an emoji \ud83d",
    "message_huge": lambda message: len(message["message"]) > 1_000_000,
    "message_without_time": lambda message: "created_time" not in message,
    "message_without_id": lambda message: "id" not in message,
    "message_bad_time": lambda message: message["created_time"] == "yesterday",
    "message_huge_id": lambda message: len(message["id"]) == 5000,
    "infinite_number": lambda message: float("inf") in sizes(message),
    "deep_json": lambda message: depth(message.get("attachments")) == 63,
}


def sizes(message: Record) -> list[float]:
    return [one["size"] for one in message.get("attachments", {"data": []})["data"]]


def depth(value: Any) -> int:
    if isinstance(value, list):
        return max((depth(one) for one in value), default=0)
    if isinstance(value, dict):
        return 1 + max((depth(one) for one in value.values()), default=0)
    return 0


@pytest.fixture
def simulated(simulate: Callable[..., Simulated]) -> Simulated:
    return simulate(conversations=30)


def at(simulated: Simulated, number: int) -> int:
    """A thread's index in the list."""
    return [key.number for key in simulated.page.order].index(number)


def listed(simulated: Simulated) -> list[Record]:
    found: list[Record] = get_list(simulated, limit=30, fields=FIELDS).json()["data"]
    return found


@pytest.mark.parametrize("name", THREADS)
def test_one_thread_is_malformed_and_the_others_are_unchanged(
    simulated: Simulated, name: str
) -> None:
    normal = listed(simulated)
    simulated.fault(name, thread=MALFORMED)
    found = listed(simulated)
    place = at(simulated, MALFORMED)
    assert not THREADS[name](normal[place])
    assert THREADS[name](found[place])
    assert without_addresses(found, place) == without_addresses(normal, place)
    assert simulated.hits(name) == 1
    simulated.clear_faults()
    assert without_addresses(listed(simulated)) == without_addresses(normal)


def without_addresses(threads: list[Record], excluded: int | None = None) -> list[str]:
    """The threads without the excluded one, and without the addresses of pictures, which every
    response signs again."""
    for thread in (one for one in threads if isinstance(one, dict) and one.get("messages")):
        for message in thread["messages"]["data"]:
            message.pop("attachments", None)
    return [str(thread) for place, thread in enumerate(threads) if place != excluded]


@pytest.mark.parametrize("name", MESSAGES)
def test_one_message_is_malformed_in_every_response_that_contains_it(
    simulated: Simulated, name: str
) -> None:
    simulated.fault(name, thread=MALFORMED)
    fields = "id,created_time,from,message,attachments"
    nested = listed(simulated)[at(simulated, MALFORMED)]["messages"]["data"]
    single = get_thread(simulated, MALFORMED, fields=FIELDS).json()["messages"]["data"]
    own = get_messages(simulated, MALFORMED, fields=fields).json()["data"]
    for messages in (nested, single, own):
        assert [MESSAGES[name](message) for message in messages[:3]] == [True, False, False]
    assert simulated.hits(name) == 3


def test_the_parameter_message_selects_the_malformed_message(simulated: Simulated) -> None:
    simulated.fault("message_bad_time", thread=MALFORMED, message=0)
    simulated.fault("message_nul", thread=MALFORMED, message=-2)
    found = get_messages(simulated, MALFORMED, fields="id,message,created_time", limit=100).json()[
        "data"
    ]
    assert found[-1]["created_time"] == "yesterday"
    assert found[1]["message"] == "before \x00 after"


def test_fields_that_were_not_requested_are_not_malformed(simulated: Simulated) -> None:
    for name in ("message_nul", "infinite_number", "participants_null", "message_from_null"):
        simulated.fault(name, thread=MALFORMED)
    thread = get_thread(simulated, MALFORMED, fields="id,messages.limit(1){created_time}").json()
    assert thread.keys() == {"id", "messages"}
    assert newest(thread).keys() == {"id", "created_time"}


def test_an_infinite_number_is_valid_json(simulated: Simulated) -> None:
    simulated.fault("infinite_number", thread=MALFORMED)
    found = get_messages(simulated, MALFORMED, fields="id,attachments").text
    assert '"size": 1e999' in found
    assert "Infinity" not in found


def test_a_text_that_contains_infinity_is_unchanged(simulated: Simulated) -> None:
    text = 'He said "size": Infinity, and ": Infinity'
    thread = thread_id(simulated, MALFORMED)
    body = {"page": simulated.page.id, "thread": thread, "text": text}
    simulated.admin("POST", "messages", body)
    assert get_messages(simulated, MALFORMED, fields="message").json()["data"][0]["message"] == text


@pytest.mark.parametrize("name", [*THREADS, *MESSAGES])
def test_the_truth_leaves_out_only_records_that_cannot_be_stored(
    simulated: Simulated, name: str
) -> None:
    world, page = simulated.world, simulated.page
    before = [*world.truth(page)]
    ids = [message["id"] for message in world.messages(page, MALFORMED, None, 10_000)]
    simulated.fault(name, thread=MALFORMED)
    after, unusable = [*world.truth(page)], [*world.truth(page, unusable=True)]
    lost = {"thread": ids, "message": ids[:1]}[name.partition("_")[0]] if name in UNUSABLE else []
    normal = [row for row in before if row["message_id"] not in {ids[0], *lost}]
    assert [row for row in after if row in normal] == normal
    assert len(after) == len(before) - len(lost)
    assert len(unusable) == len(lost)


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("message_without_from", {"event_type": "message"}),
        ("message_from_null", {"event_type": "message"}),
        ("message_without_text", {"text": None}),
        ("message_nul", {"text": "before \ufffd after"}),
        ("message_lone_surrogate", {"text": "half an emoji \ufffd"}),
    ],
)
def test_the_truth_of_a_malformed_message_is_a_complete_row(
    simulated: Simulated, name: str, changed: dict[str, Any]
) -> None:
    world, page = simulated.world, simulated.page
    message_id = world.messages(page, MALFORMED, None, 1)[0]["id"]
    [normal] = [row for row in world.truth(page) if row["message_id"] == message_id]
    simulated.fault(name, thread=MALFORMED)
    [found] = [row for row in world.truth(page) if row["message_id"] == message_id]
    assert found == normal | changed


def test_a_record_that_is_malformed_for_one_call_stays_in_the_truth(simulated: Simulated) -> None:
    before = [*simulated.world.truth(simulated.page)]
    simulated.fault("thread_is_null", thread=MALFORMED, times=1)
    assert [*simulated.world.truth(simulated.page)] == before
    place = at(simulated, MALFORMED)
    assert [listed(simulated)[place] is None for _ in range(2)] == [True, False]
