"""Brings the Messenger conversations of many Facebook pages into PostgreSQL."""
