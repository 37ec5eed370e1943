"""The decisions of sensors and schedules, and their run requests."""

from uuid import UUID

import dagster as dg
from hypothesis import given
from hypothesis import strategies as st

from messenger_pipeline.db.sessions import Continuation
from messenger_pipeline.defs.decisions import partition_changes, without_own_run
from messenger_pipeline.defs.run_requests import continuation_request
from messenger_pipeline.defs.tags import MODE, PARTITION

pages = st.lists(st.sampled_from("abcdef"), unique=True)


@given(pages, pages)
def test_partition_changes_make_the_partitions_equal_the_registered_pages(
    registered: list[str], partitions: list[str]
) -> None:
    added, removed = partition_changes(registered, partitions)
    assert (set(partitions) | set(added)) - set(removed) == set(registered)
    assert not set(added) & set(partitions)


def test_a_due_page_waits_for_its_own_run_but_not_for_a_continuation() -> None:
    def run(page: str, mode: str) -> dg.DagsterRun:
        return dg.DagsterRun(job_name="sync_page", tags={PARTITION: page, MODE: mode})

    unfinished = [
        run("a", "incremental"),
        run("b", "continuation"),
        dg.DagsterRun(job_name="other"),
    ]
    assert without_own_run(["a", "b", "c", "unknown"], ["a", "b", "c"], unfinished) == ["b", "c"]


def test_the_run_key_of_a_continuation_holds_its_session_and_attempt() -> None:
    session = UUID(int=1)
    request = continuation_request(Continuation(session, "10", "3"))
    assert request.run_key == f"{session}:3"
    assert request.partition_key == "10"
    assert request.tags["dagster/priority"] == "-1"
    assert request.run_config["ops"]["sync_facebook_page"]["config"] == {"session": str(session)}
