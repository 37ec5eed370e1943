"""Dagster: assets, jobs, schedules, sensors and checks."""
