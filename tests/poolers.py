"""Debian's PgBouncer before the tests' server."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")

needs_pgbouncer = pytest.mark.skipif(
    PROGRAM is None, reason="PgBouncer is not installed: apt-get install pgbouncer"
)


class Pooler:
    """A running PgBouncer, before the server of the database `direct`."""

    def __init__(self, folder: Path, direct: str, settings: dict[str, str]) -> None:
        server = conninfo_to_dict(direct)
        self.database = str(server["dbname"])
        self.user = str(server.get("user") or "postgres")
        self._folder = folder
        socket_folder = Path(str(server["host"]))
        # It refuses to run as root, and only its owner may look into a server's folder.
        self._owner = socket_folder.owner() if socket_folder.is_absolute() else "nobody"
        self._port = _free_port()
        target = f"host={server['host']} port={server.get('port') or 5432}"
        if "auth_type" not in settings:
            target += f" user={self.user}"
            if server.get("password"):
                target += f" password={server['password']}"
        defaults = {
            "listen_addr": "127.0.0.1", "listen_port": str(self._port), "unix_socket_dir": "",
            "auth_type": "any", "pool_mode": "transaction", "default_pool_size": "3",
            "max_client_conn": "500", "log_connections": "0", "log_disconnections": "0",
            "logfile": str(folder / "log"), "server_login_retry": "1",
        }  # fmt: skip
        lines = [f"{name} = {value}" for name, value in (defaults | settings).items()]
        text = "\n".join(["[databases]", f"* = {target}", "[pgbouncer]", *lines, ""])
        (folder / "pgbouncer.ini").write_text(text)
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def url(self, user: str | None = None, password: str | None = None, **parameters: str) -> str:
        account = quote(user or self.user) + (f":{quote(password)}" if password else "")
        query = "&".join(f"{name}={quote(value)}" for name, value in parameters.items())
        address = f"postgresql://{account}@127.0.0.1:{self._port}/{self.database}"
        return f"{address}?{query}" if query else address

    def start(self) -> None:
        assert PROGRAM is not None
        command = [PROGRAM, "-q", str(self._folder / "pgbouncer.ini")]
        if os.getuid() == 0:
            command[1:1] = ["-u", self._owner]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 30
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 1):
                return
            assert self._process.poll() is None, (self._folder / "log").read_text()
            assert time.monotonic() < until
            time.sleep(0.05)

    def stop(self, how: int = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None


@contextmanager
def pooler(direct: str, **settings: str) -> Iterator[Pooler]:
    """PgBouncer in transaction mode, with a pool of three connections, by default."""
    with tempfile.TemporaryDirectory(prefix="pgb") as name:
        folder = Path(name)
        folder.chmod(0o777)
        running = Pooler(folder, direct, settings)
        try:
            yield running
        finally:
            running.stop()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def connections_of_servers(direct: str) -> int:
    """Connections to the database but the one that counts them."""
    with psycopg.connect(direct) as connection:
        [(count,)] = connection.execute(
            "select count(*) from pg_stat_activity where datname = current_database()"
            " and pid <> pg_backend_pid() and backend_type = 'client backend'"
        ).fetchall()
    return int(count)
