"""The jobs that sync pages and check tables."""

import dagster as dg

from messenger_pipeline.defs.all_pages import ALL_PAGES
from messenger_pipeline.defs.console import CONSOLE

# A continuation retries what failed; a second layer of retries would only repeat it.
_TAGS = {"dagster/max_retries": "0"}
_ASSETS = dg.AssetSelection.assets("messenger_conversations", "contact_interaction_events")


def sync_config(**fields: object) -> dict[str, object]:
    """The run config of a sync job; `fields` are those of SyncConfig."""
    return {"ops": {"sync_facebook_page": {"config": fields}}, "loggers": CONSOLE}


sync_page_job = dg.define_asset_job(
    "sync_page",
    selection=_ASSETS,
    description="Fetches what is new on one page, or resumes its open sync.",
    tags=_TAGS,
    config={"loggers": CONSOLE},
)

full_sync_page_job = dg.define_asset_job(
    "full_sync_page",
    selection=_ASSETS,
    description="Reads every message of one page that Meta still gives, newest thread first.",
    tags=_TAGS,
    config=sync_config(mode="full"),
)

check_job = dg.define_asset_job(
    "check_tables",
    # Without the check of a partition, which only a sync of that page can evaluate.
    selection=dg.AssetSelection.checks_for_assets(ALL_PAGES, "webhook_deliveries"),
    description="Runs the asset checks over all pages. Launch it to check now.",
    config={"loggers": CONSOLE},
)
