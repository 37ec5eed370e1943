"""An external asset for all pages together: it carries the checks over all rows.

If the assets of the rows carried them, the next run of any page would hide their last result, and a
backfill would search all tables once per page.
"""

import dagster as dg

ALL_PAGES = "all_pages"

all_pages = dg.AssetSpec(
    ALL_PAGES,
    description=(
        "The rows of all pages together. No run materializes this asset: **its checks** show"
        " whether the stored rows are consistent and complete, and which pages to look at first."
        " The job check_tables runs the checks each hour; launch it to run them now."
    ),
    deps=["messenger_conversations", "contact_interaction_events"],
    group_name="messenger",
    kinds={"postgres"},
    owners=["team:messenger"],
)
