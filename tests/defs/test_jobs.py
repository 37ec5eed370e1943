"""The decisions behind sensors and schedules."""

from uuid import UUID

import dagster as dg
from hypothesis import given
from hypothesis import strategies as st

from messenger_pipeline.db.sessions import Continuation
from messenger_pipeline.defs.jobs import (
    MODE,
    PARTITION,
    continuation_request,
    partition_changes,
    without_own_run,
)

pages = st.lists(st.sampled_from("abcdef"), unique=True)


@given(pages, pages)
def test_changes_make_the_partitions_the_registered_pages(
    registered: list[str], partitions: list[str]
) -> None:
    added, removed = partition_changes(registered, partitions)
    assert (set(partitions) | set(added)) - set(removed) == set(registered)
    assert not set(added) & set(partitions)


def test_a_page_waits_for_its_own_run_but_not_for_a_long_walk() -> None:
    def run(page: str, mode: str) -> dg.DagsterRun:
        return dg.DagsterRun(job_name="sync_page", tags={PARTITION: page, MODE: mode})

    unfinished = [
        run("a", "incremental"),
        run("b", "continuation"),
        dg.DagsterRun(job_name="other"),
    ]
    assert without_own_run(["a", "b", "c", "unknown"], ["a", "b", "c"], unfinished) == ["b", "c"]


def test_a_continuation_names_its_session_and_attempt() -> None:
    session = UUID(int=1)
    request = continuation_request(Continuation(session, "10", "3"))
    assert request.run_key == f"{session}:3"
    assert request.partition_key == "10"
    assert request.tags["dagster/priority"] == "-1"
    assert request.run_config["ops"]["sync_facebook_page"]["config"] == {"session": str(session)}
