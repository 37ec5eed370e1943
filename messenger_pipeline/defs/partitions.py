"""The partitions of the assets: one per page, kept equal to the registry by a sensor."""

import dagster as dg

FACEBOOK_PAGES = "facebook_pages"

facebook_pages = dg.DynamicPartitionsDefinition(name=FACEBOOK_PAGES)
