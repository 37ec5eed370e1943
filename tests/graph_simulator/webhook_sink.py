"""A receiver of webhooks over real HTTP that keeps what it gets."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Item = dict[str, Any]


@dataclass(frozen=True)
class Delivered:
    """A delivery as received, and the status of its response."""

    path: str
    headers: dict[str, str]
    body: bytes
    status: int

    @property
    def entries(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.body)["entry"]
        return found

    @property
    def items(self) -> list[Item]:
        return [item for entry in self.entries for item in entry["messaging"]]


class Sink:
    """Keeps the deliveries. Answers each with the next of `statuses`, then with 200."""

    def __init__(self, port: int, statuses: Iterator[int]) -> None:
        self.delivered: list[Delivered] = []
        self.connections: set[Any] = set()
        self._statuses = statuses
        self._lock = threading.Lock()
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                self.send_response(sink.keep(self))
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port: int = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}/api/webhook"

    @contextmanager
    def serving(self) -> Iterator["Sink"]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()

    def keep(self, request: BaseHTTPRequestHandler) -> int:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        with self._lock:
            status = next(self._statuses, 200)
            self.connections.add(request.client_address)
            headers = dict(request.headers.items())
            self.delivered.append(Delivered(request.path, headers, body, status))
        return status

    def items(self) -> list[Item]:
        """The items of all deliveries so far, repeated ones included."""
        return [item for one in [*self.delivered] for item in one.items]


def wait_until(done: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"condition not met within {seconds:g} s"
        time.sleep(0.02)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port
