"""The folder of a test's PostgreSQL server."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEMORY = Path("/dev/shm")  # noqa: S108 - each server has a folder of its own in it
NEEDED = 2 << 30  # bytes: several servers, with their write-ahead logs

OPTIONS = """
fsync = off
synchronous_commit = off
full_page_writes = off
autovacuum = off
max_wal_size = 256MB
"""
"""Lines of postgresql.conf: a test's data need not survive the machine."""


@contextmanager
def server_folder() -> Iterator[Path]:
    """A folder whose path is short enough for a socket, and which any user may enter.

    In memory where there is room: to clone a database is to make a thousand files, which costs a
    busy disk ten times the CPU.
    """
    in_memory = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > NEEDED
    with tempfile.TemporaryDirectory(prefix="mp", dir=MEMORY if in_memory else None) as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
