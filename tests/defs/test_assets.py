"""The assets in Dagster's catalogue, and their metadata."""

from typing import Any

import dagster as dg
import pytest

from messenger_pipeline.db.pool import Database
from messenger_pipeline.definitions import defs
from messenger_pipeline.defs.columns import SCHEMAS
from tests.conftest import Simulated
from tests.db.test_load import query
from tests.defs.test_definitions import sync


@pytest.mark.parametrize("table", SCHEMAS)
def test_the_columns_are_those_of_the_database(table: str, database: Database) -> None:
    names = {"timestamp with time zone": "timestamptz"}
    found = [
        (name, names.get(kind, kind), nullable == "YES")
        for name, kind, nullable in query(
            database,
            "select column_name, data_type, is_nullable from information_schema.columns"
            " where table_schema in ('public', 'messenger_pipeline') and table_name = %s"
            " order by ordinal_position",
            table,
        )
    ]
    # Columns of later migrations can be anywhere in the description.
    assert sorted(found) == sorted(
        (column.name, column.type, column.constraints.nullable) for column in SCHEMAS[table].columns
    )
    assert all(len(column.description or "") > 10 for column in SCHEMAS[table].columns)


def test_every_asset_has_a_description_an_owner_and_its_columns() -> None:
    specs = {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}
    assert set(specs) == {
        "messenger_conversations", "contact_interaction_events", "webhook_deliveries", "all_pages",
    }  # fmt: skip
    for name, spec in specs.items():
        assert spec.owners == ["team:messenger"]
        assert spec.group_name == "messenger"
        assert "postgres" in spec.kinds
        if name == "all_pages":
            continue  # it is external
        assert spec.code_version
        assert "python" in spec.kinds
        assert spec.tags["personal-data"] == "true"
        assert len(spec.description or "") > 100
        assert spec.metadata["dagster/column_schema"]
        assert (spec.freshness_policy is None) == (name == "webhook_deliveries")


def figures(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    [found] = [
        one
        for one in result.asset_materializations_for_node("sync_facebook_page")
        if one.asset_key == dg.AssetKey(asset)
    ]
    return {name: one.value for name, one in found.metadata.items()}


def test_a_materialization_has_the_row_count_and_lag_of_its_page(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    one, other = (page.id for page in registered.pages)
    first = sync(instance, one)
    sync(instance, other)
    query(
        database,
        "update facebook_pages set last_synced_at = last_synced_at - interval '1 hour'"
        " where facebook_page_id = %s returning 1",
        one,
    )
    # An event without a message id counts, too.
    query(
        database,
        "insert into contact_interaction_events (conversation_id, page_id, event_type,"
        " event_timestamp, as_of) select id, page_id, 'read', now(), now()"
        " from messenger_conversations where page_id = %s limit 1 returning 1",
        one,
    )
    again = sync(instance, one)
    for result, more in ((first, 0), (again, 1)):
        conversations = figures(result, "messenger_conversations")
        events = figures(result, "contact_interaction_events")
        assert conversations["dagster/row_count"] == 150
        assert events["dagster/row_count"] == sum(registered.page.lengths) + more
        # Dagster plots numbers only.
        for name in ("fetched", "events", "duration_seconds", "api_calls", "waited_seconds"):
            assert isinstance(events[name], (int, float))
    assert 0 <= figures(first, "messenger_conversations")["lag_seconds"] < 60
    assert 3_600 <= figures(again, "messenger_conversations")["lag_seconds"] < 3_660


def test_a_requested_full_sync_has_no_lag(
    instance: dg.DagsterInstance, registered: Simulated, database: Database
) -> None:
    sync(instance, registered.page.id)
    query(database, "update facebook_pages set last_synced_at = null returning 1")
    metadata = figures(sync(instance, registered.page.id), "messenger_conversations")
    assert metadata["mode"] == "full"
    assert "lag_seconds" not in metadata
