"""Compares the schemas of two databases, and writes the SQL that aligns one with the other.

Pure: db/catalog.py reads the catalogs, commands/environments.py shows the results.
"""

from messenger_pipeline.schema_diff.compare import compare
from messenger_pipeline.schema_diff.model import Catalog, Difference, Entry, Key, Server
from messenger_pipeline.schema_diff.plan import checks_of, plan
from messenger_pipeline.schema_diff.report import as_json, as_text, write_script

__all__ = [
    "Catalog",
    "Difference",
    "Entry",
    "Key",
    "Server",
    "as_json",
    "as_text",
    "checks_of",
    "compare",
    "plan",
    "write_script",
]
