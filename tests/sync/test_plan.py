"""What the walk does with a thread."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messenger_pipeline.graph.models import Thread
from messenger_pipeline.rows import ThreadState
from messenger_pipeline.sync.plan import Page, Plan, is_unchanged, plan_threads, reaches

T = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)
PAGE = Page("10", "incremental_sync")


def second(number: int) -> datetime:
    return T + timedelta(seconds=number)


def thread(*seconds: int, more: bool = False, count: int | None = None) -> Thread:
    """A thread with a message at each second, newest first; the second is in the id."""
    nested: dict[str, Any] = {
        "data": [
            {"id": f"m_{at}", "created_time": second(at), "from": {"id": "20"}} for at in seconds
        ]
    }
    if more:
        nested["paging"] = {"cursors": {"after": "C"}, "next": "https://graph.facebook.com/next"}
    return {
        "id": "t_1",
        "updated_time": second(max(seconds)),
        "participants": [{"id": "20", "name": "A"}],
        "message_count": count,
        "messages": nested,  # type: ignore[typeddict-item]
    }


def state(**changes: Any) -> ThreadState:
    """The state after thread(5), answered a minute later."""
    fields = {
        "thread_id": "t_1",
        "sender_id": "20",
        "updated_time": second(5),
        "message_count": None,
        "newest_message_id": "m_5",
        "answered_at": second(65),
        "newest_loaded_at": second(5),
        "newest_loaded_message_id": "m_5",
        "has_gap": False,
    }
    return ThreadState(**{**fields, **changes})


def planned(given: Thread, known: ThreadState | None) -> Plan:
    return plan_threads([given], {"t_1": known} if known else {}, PAGE, second(100))


def test_a_thread_equal_to_its_state_is_unchanged() -> None:
    assert is_unchanged(thread(5), state())
    assert planned(thread(5), state()) == Plan(seen=["t_1"])


@pytest.mark.parametrize(
    "changes",
    [
        {"updated_time": second(4)},
        {"newest_message_id": "m_4"},
        {"message_count": 7},
        {"has_gap": True},
        # Meta's times are whole seconds: another message of that second may have followed.
        {"answered_at": second(6)},
    ],
)
def test_a_thread_of_which_anything_may_have_changed_is_read_again(changes: dict[str, Any]) -> None:
    assert not is_unchanged(thread(5), state(**changes))


def test_a_new_thread_longer_than_the_answer_leaves_a_gap_to_its_first_message() -> None:
    plan = planned(thread(5, 4, 3, more=True), None)
    assert plan.gaps == [
        {"thread_id": "t_1", "resume_cursor": "C", "newest_time": second(3), "until_time": None}
    ]
    assert plan.threads[0]["newest_loaded_at"] == second(5)


def test_messages_down_past_the_newest_loaded_one_leave_no_gap() -> None:
    assert planned(thread(9, 8, 5, 4, more=True), state()).gaps == []


def test_messages_down_to_the_second_of_the_newest_loaded_one_leave_a_gap() -> None:
    """Two messages may share a second, in any order: only an older one proves that all of that
    second are listed."""
    [gap] = planned(thread(9, 8, 5, more=True), state()).gaps
    assert gap["until_time"] == second(5)


def test_a_thread_read_to_its_first_message_leaves_no_gap() -> None:
    assert planned(thread(9, 8, 7), state()).gaps == []


def test_a_thread_without_messages_only_gets_a_state() -> None:
    bare: Thread = {"id": "t_1", "updated_time": T, "participants": [{"id": "20"}]}
    plan = planned(bare, None)
    assert (plan.conversations, plan.gaps, len(plan.threads)) == ([], [], 1)


@pytest.mark.parametrize("party", [{}, {"id": ""}, {"id": "0"}, {"id": "00"}, {"id": None}])
def test_a_contact_without_an_id_is_the_thread(party: Any) -> None:
    """Deleted accounts all have one name, and are different people."""
    gone: Any = {"name": "Facebook User", **party}
    nobody = thread(5)
    nobody["participants"] = [gone, {"id": "10"}]
    assert nobody["messages"] is not None
    nobody["messages"]["data"][0]["from"] = gone  # type: ignore[index]
    plan = planned(nobody, None)
    [row] = plan.conversations
    assert (row["sender_id"], row["thread_id"], row["sender_name"]) == (
        "t_1", "t_1", "Facebook User",
    )  # fmt: skip
    assert [event["event_type"] for event in row["events"]] == ["message_received"]
    assert [one["sender_id"] for one in plan.threads] == ["t_1"]
    assert plan.rejects == []


def test_a_thread_of_the_page_alone_is_its_own_contact() -> None:
    nobody = thread(5)
    nobody["participants"] = [{"id": "10"}]
    assert nobody["messages"] is not None
    nobody["messages"]["data"][0]["from"] = {"id": "10"}  # type: ignore[index]
    [row] = planned(nobody, None).conversations
    assert (row["sender_id"], row["events"][0]["event_type"]) == ("t_1", "message_sent")


def test_whoever_has_any_id_of_the_account_is_the_page() -> None:
    """Instagram's participants can have two ids, of which one is known."""
    found = thread(5)
    found["participants"] = [{"id": "277", "user_id": "10"}, {"id": "20", "username": "ann"}]
    assert found["messages"] is not None
    found["messages"]["data"][0]["from"] = {"id": "277"}  # type: ignore[index]
    plan = planned(found, None)
    [row] = plan.conversations
    assert (row["sender_id"], row["events"][0]["event_type"]) == ("20", "message_sent")
    assert plan.account_ids == {"277"}


def test_of_a_thread_listed_twice_in_one_answer_the_newer_one_counts() -> None:
    plan = plan_threads([thread(5), thread(9, 5)], {}, PAGE, second(100))
    assert [row["updated_time"] for row in plan.threads] == [second(9)]
    assert sum(len(row["events"]) for row in plan.conversations) == 2


@given(st.lists(st.integers(0, 30), min_size=1, max_size=12, unique=True), st.integers(0, 30))
def test_every_message_since_the_newest_loaded_one_is_loaded_or_in_the_gap(
    seconds: list[int], newest_loaded: int
) -> None:
    """Nothing may be lost, however many of a thread's messages an answer contains."""
    seconds = sorted(seconds, reverse=True)
    for share in range(1, len(seconds) + 1):
        given = thread(*seconds[:share], more=share < len(seconds))
        plan = planned(
            given, state(newest_loaded_at=second(newest_loaded), newest_message_id="m_older")
        )
        loaded = {event["event_timestamp"] for row in plan.conversations for event in row["events"]}
        missing = {second(at) for at in seconds if at >= newest_loaded} - loaded
        if missing:
            [gap] = plan.gaps
            assert max(missing) <= gap["newest_time"]
            assert gap["until_time"] == second(newest_loaded)
            assert gap["resume_cursor"]


def test_messages_out_of_order_leave_a_gap() -> None:
    """A message older than the newest loaded one may be listed among newer ones."""
    [gap] = planned(thread(30, 29, 1, 28, 27, more=True), state()).gaps
    assert gap["until_time"] == second(5)
    [gap] = planned(thread(30, 29, 1, 28, 2, more=True), state()).gaps
    assert gap["until_time"] == second(5)


def test_a_known_thread_without_participants_keeps_its_contact() -> None:
    bare = thread(9, 8)
    del bare["participants"]
    for message in bare["messages"]["data"]:  # type: ignore[index,union-attr]
        message["from"] = {"id": "10"}
    [row] = planned(bare, state()).conversations
    assert row["sender_id"] == "20"


def test_messages_of_several_contacts_belong_to_their_senders() -> None:
    """As in webhooks, and whatever the answer."""
    given = thread(9, 8, 7)
    given["participants"] = [{"id": "30", "name": "B"}, {"id": "20", "name": "A"}, {"id": "10"}]
    for message, sender in zip(given["messages"]["data"], ("10", "30", "20"), strict=True):  # type: ignore[index,arg-type]
        message["from"] = {"id": sender}
    rows = planned(given, None).conversations
    assert {
        row["sender_id"]: (row["sender_name"], [event["message_id"] for event in row["events"]])
        for row in rows
    } == {"20": ("A", ["m_9", "m_7"]), "30": ("B", ["m_8"])}


def test_reaches_needs_an_older_message() -> None:
    messages = thread(5, 4)["messages"]["data"]  # type: ignore[index]
    assert messages
    assert reaches(messages, second(5))
    assert not reaches(messages, second(4))
    assert not reaches(messages, None)
