"""All pages together, as an asset that nothing materializes: the checks of all rows hang on it.

On the assets of the rows, each page's next run would hide their last result, and a backfill would
search all tables once for each page.
"""

import dagster as dg

ALL_PAGES = "all_pages"

all_pages = dg.AssetSpec(
    ALL_PAGES,
    description=(
        "The rows of all pages together. Nothing is materialized here: **its checks** tell whether"
        " what is stored is as it should be, and which pages to look at first. The job check_tables"
        " looks each hour; launch it to look now."
    ),
    deps=["messenger_conversations", "contact_interaction_events"],
    group_name="messenger",
    kinds={"postgres"},
    owners=["team:messenger"],
)
