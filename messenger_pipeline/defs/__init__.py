"""Dagster: when a page is synced, by which run, and what is seen of it."""
