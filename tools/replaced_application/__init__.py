"""The database of the application that this project replaces, as its guides describe it.

For tests, rehearsals and measurements of taking it over: its tables with the mess of years, in both
of its ages, in any size. The same shape and size always give the same rows.
"""

from tools.replaced_application.build import Generated, Source, build
from tools.replaced_application.checksums import (
    compare_rows,
    describe_schema,
    find_unexplained,
    keep_checksums,
)
from tools.replaced_application.of_world import OfWorld
from tools.replaced_application.shape import Shape
from tools.replaced_application.writer import OldWriter

__all__ = [
    "Generated",
    "OfWorld",
    "OldWriter",
    "Shape",
    "Source",
    "build",
    "compare_rows",
    "describe_schema",
    "find_unexplained",
    "keep_checksums",
]
