"""What is known of threads before they are loaded."""

from datetime import UTC, datetime

from messenger_pipeline.rows import ThreadState
from messenger_pipeline.sync.pending_threads import PendingThreads

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def state(thread_id: str, newest: str) -> ThreadState:
    return ThreadState(thread_id, "20", NOW, None, newest, NOW, NOW, newest, False)


def test_a_pending_thread_is_known_until_its_response_is_loaded() -> None:
    pending = PendingThreads()
    pending.add("load 1", {"t_1": state("t_1", "m_1"), "t_2": state("t_2", "m_2")})
    assert pending.find(["t_1", "t_9"]) == {"t_1": state("t_1", "m_1")}
    pending.remove("load 1")
    assert pending.find(["t_1", "t_2"]) == {}


def test_of_two_pending_responses_with_a_thread_the_later_counts() -> None:
    pending = PendingThreads()
    pending.add("load 1", {"t_1": state("t_1", "m_1")})
    pending.add("load 2", {"t_1": state("t_1", "m_2")})
    assert pending.find(["t_1"]) == {"t_1": state("t_1", "m_2")}
    pending.remove("load 1")
    assert pending.find(["t_1"]) == {"t_1": state("t_1", "m_2")}


def test_removing_a_response_that_is_not_pending_changes_nothing() -> None:
    pending = PendingThreads()
    pending.add("load 1", {"t_1": state("t_1", "m_1")})
    pending.remove("load 2")
    assert pending.find(["t_1"]) != {}
