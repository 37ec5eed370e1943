"""A request that waits for its sync is answered when Dagster's run has walked the page."""

import dagster as dg
import pytest

from messenger_pipeline.db.pool import Database
from messenger_pipeline.definitions import defs
from messenger_pipeline.defs.sensors import requested_syncs
from tests.conftest import Simulated
from tests.db.test_load import query
from tests.defs.test_definitions import tick_sensor
from tests.web.conftest import serve_receiver
from tests.web.waiting import posted


@pytest.mark.parametrize("route", ["-fixed", "-optimized"])
def test_the_answer_has_the_figures_of_the_session_that_a_run_walked(
    instance: dg.DagsterInstance, registered: Simulated, database: Database, url: str, route: str
) -> None:
    page = {"pageId": registered.page.id, "facebookPageId": registered.page.id}
    with serve_receiver(url) as control, posted(control, page, route) as answered:
        tick = tick_sensor(requested_syncs, instance)
        [run] = tick.run_requests
        result = defs.resolve_job_def("sync_page").execute_in_process(
            instance=instance,
            partition_key=run.partition_key,
            run_config=run.run_config,
            tags=run.tags,
        )
        assert result.success
    answer = answered.result()
    assert answer.status_code == 200, answer.text
    body = answer.json()
    [row] = query(
        database,
        "select total_synced, inserted, updated, events_created, api_calls, mode, outcome"
        " from sync_state where sync_session_id = %s and run_id = %s",
        body["sync_session_id"],
        result.run_id,
    )
    stored = "select count(*), count(distinct conversation_id) from contact_interaction_events"
    assert row[:2] == (150, 150)
    assert query(database, stored) == [(row[3], 150)]
    if route == "-optimized":
        stats = body["stats"]
        figures = [stats[one] for one in ("fetched", "inserted", "updated", "events", "batches")]
        assert figures == [*row[:5]]
        assert body["message"] == f"Successfully synced 150 conversations in {stats['duration']}"
    else:
        names = ("synced", "inserted", "updated", "eventsCreated")
        assert [body[one] for one in names] == [*row[:4]]
        assert body["message"] == f"Full sync: 150 conversation(s) with {row[3]} events"
    assert (body["success"], body["hasMore"], body["syncMode"]) == (True, False, row[5])
    assert row[6] == "completed"
