"""Knowing that something is wrong, and telling it."""
