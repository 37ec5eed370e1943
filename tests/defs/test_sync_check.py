"""The check of each partition: was everything read."""

import dagster as dg

from messenger_pipeline.db import pages
from messenger_pipeline.db.pool import Database
from tests.conftest import Simulated
from tests.db.test_load import query
from tests.defs.test_definitions import sync
from tests.defs.test_launches import failure_of, warnings_of
from tests.walking import let_a_minute_pass


def test_each_page_has_a_result_of_its_own(
    instance: dg.DagsterInstance, registered: Simulated
) -> None:
    one, other = (page.id for page in registered.pages)
    partial = sync(instance, one, max_conversations=40)
    whole = sync(instance, other)
    for result, page_id, passed in ((partial, one, False), (whole, other, True)):
        assert result.success
        [check] = result.get_asset_check_evaluations()
        assert (check.check_name, check.partition, check.passed) == (
            "sync_complete", page_id, passed,
        )  # fmt: skip
        assert check.severity == dg.AssetCheckSeverity.WARN
        assert check.asset_key == dg.AssetKey("messenger_conversations")
    sentence = "The sync is partial (max_conversations of 40 reached). A continuation follows."
    assert warnings_of(instance, partial.run_id) == [sentence]
    assert warnings_of(instance, whole.run_id) == []

    [check] = sync(instance, one).get_asset_check_evaluations()
    assert check.passed


def test_a_truncated_sync_fails_the_check_and_warns(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    registered.fault("cursor_depth", depth=50, page=registered.page.id)
    result = sync(instance, registered.page.id)
    assert query(database, "select outcome from sync_state") == [("truncated",)]
    [check] = result.get_asset_check_evaluations()
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert check.description is not None
    assert check.description.startswith("The sync is truncated: Meta's list could not be read")
    assert check.description in warnings_of(instance, result.run_id)


def test_what_a_sync_sets_aside_is_a_warning(
    instance: dg.DagsterInstance, registered: Simulated
) -> None:
    registered.fault("permission_missing", edge="messages", times=1)
    result = sync(instance, registered.page.id)
    [check] = result.get_asset_check_evaluations()
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert check.description is not None
    assert check.description.startswith("1 gap could not be read and will be tried again.")
    assert check.description in warnings_of(instance, result.run_id)


def test_the_first_failure_of_a_dead_token_says_whose_page_it_is_and_what_to_do(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    page_id = registered.page.id
    registered.page.access = "expired"
    first = failure_of(sync(instance, page_id))
    assert first is not None
    assert first.startswith(f"Meta refuses page {page_id}: Error validating access token")
    assert "It is tried again by itself." in first
    assert first.endswith(f"run `messenger-pipeline pages add {page_id}`.")
    let_a_minute_pass(database)
    second = failure_of(sync(instance, page_id))
    assert second is not None
    assert second.startswith(
        f"Page {page_id} needs re-authorization: Error validating access token"
    )
    assert second.endswith(f" Run `messenger-pipeline pages add {page_id}` with a new token.")
    # Meta's words alone: the alert adds its own.
    reason = pages.get_page(database, page_id).status_reason
    assert reason is not None
    assert reason.startswith("Error validating access token")


def test_a_parked_full_sync_is_not_hidden_by_later_incremental_ones(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    page_id = registered.page.id
    sync(instance, page_id, max_conversations=40)
    for change, sentence in (
        ("parked_at = now()", "What is new was read, but the full sync of the page is parked"),
        ("parked_at = null", "What is new was read. The full sync of the page is not complete"),
    ):
        query(database, f"update sync_state set {change} where mode = 'full' returning 1")
        [check] = sync(instance, page_id, mode="incremental").get_asset_check_evaluations()
        assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
        assert (check.description or "").startswith(sentence)
    [check] = sync(instance, page_id).get_asset_check_evaluations()
    assert check.passed
